package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// TestMain starts the server that the examples ask, whose address they find in PHANTOMDB_URL.
func TestMain(m *testing.M) {
	beChild()
	url, stop, err := support.StartDevserver()
	if err != nil {
		log.Fatal("no development server, which DEVSERVER names: ", err)
	}
	if err := os.Setenv("PHANTOMDB_URL", url); err != nil {
		log.Fatal(err)
	}
	status := m.Run()
	stop()
	os.Exit(status)
}

func Example() {
	ctx := context.Background()
	db, err := pool.New(pool.Config{BaseURL: os.Getenv("PHANTOMDB_URL"), MaxConnections: 20})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateDatabase(ctx, "library"); err != nil {
		log.Fatal(err)
	}
	err = db.CreateTable(ctx, "library", "books", []phantomdb.Column{
		{Name: "title", Type: "string", PrimaryKey: true},
		{Name: "year", Type: "integer"},
	})
	if err != nil {
		log.Fatal(err)
	}
	type Book struct {
		Title string `json:"title"`
		Year  int    `json:"year"`
	}
	if _, err := db.Insert(ctx, "library", "books", Book{"Emma", 1815}); err != nil {
		log.Fatal(err)
	}
	rows, err := db.Select(ctx, "library", "books", "year < 1900")
	if err != nil {
		log.Fatal(err)
	}
	var books []Book
	if err := rows.All(&books); err != nil {
		log.Fatal(err)
	}
	fmt.Println(books)
	// Output: [{Emma 1815}]
}

func ExamplePool_Acquire() {
	db, err := pool.New(pool.Config{BaseURL: os.Getenv("PHANTOMDB_URL"), MinConnections: 1, MaxConnections: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	client, err := db.Acquire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Release()

	// There is no other, so this one waits until its context ends.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = db.Acquire(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

func ExamplePool_Do() {
	ctx := context.Background()
	db, err := pool.New(pool.Config{BaseURL: os.Getenv("PHANTOMDB_URL")})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.Do(ctx, func(client *pool.Client) error {
		_, err := client.ListTables(ctx, "no such database")
		return err
	})
	var failure *pool.Error
	fmt.Println(errors.As(err, &failure), errors.Is(err, pool.ErrHTTP), failure.Status)
	// Output: true true 404
}

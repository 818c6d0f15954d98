// Databases lists the databases of a server: a program for the tests.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func main() {
	p, err := pool.New(pool.Config{BaseURL: os.Args[1]})
	if err != nil {
		log.Fatal(err)
	}
	names, err := p.ListDatabases(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range names {
		fmt.Println(name)
	}
	if err := p.Close(); err != nil {
		log.Fatal(err)
	}
}

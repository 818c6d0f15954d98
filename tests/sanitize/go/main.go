// Reads whatever a hostile server sends, by the Go binding.
//
//	main URL SECONDS SEED
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

var values, failures atomic.Int64

// look reads every cell in every way; an error of a conversion is fine.
func look(rows *phantomdb.Rows, err error) error {
	if err != nil {
		return err
	}
	_ = rows.Maps()
	for i := 0; i < rows.Len(); i++ {
		scan(rows.Row(i), len(rows.Columns()))
		for j := range rows.Columns() {
			cell := rows.Cell(i, j)
			_, _ = cell.Int64()
			_, _ = cell.Uint64()
			_, _ = cell.Float64()
			_, _ = cell.Bool()
			_, _ = len(cell.Text()), cell.Any()
		}
	}
	return nil
}

// scan reads a row into variables of many types, of which most do not fit.
func scan(row phantomdb.Row, columns int) {
	into := make([]any, columns)
	for _, fresh := range []func() any{
		func() any { return new(int8) },
		func() any { return new(uint64) },
		func() any { return new(float32) },
		func() any { return new([]byte) },
		func() any { return new(string) },
		func() any { return new(any) },
	} {
		for i := range into {
			into[i] = fresh()
		}
		_ = row.Scan(into...)
	}
}

func one(ctx context.Context, p *pool.Pool, chance *rand.Rand) error {
	switch chance.Intn(8) {
	case 0, 1:
		return look(p.Select(ctx, "d", "t"))
	case 2, 3:
		return look(p.Query(ctx, "d", "SELECT 1", 1))
	case 4:
		_, err := p.ListDatabases(ctx)
		return err
	case 5:
		_, err := p.Insert(ctx, "d", "t", map[string]any{"a": 1})
		return err
	case 6:
		_, err := p.Delete(ctx, "d", "t", "1=1")
		return err
	default:
		_, err := p.Request(ctx, "GET", "/any", nil)
		return err
	}
}

func work(p *pool.Pool, end time.Time, chance *rand.Rand) {
	for time.Now().Before(end) {
		ctx, cancel := context.Background(), func() {}
		if chance.Intn(10) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(chance.Intn(10))*time.Millisecond)
		}
		err := one(ctx, p, chance)
		cancel()
		var known *phantomdb.Error
		if err == nil {
			values.Add(1)
		} else if errors.As(err, &known) || errors.Is(err, context.DeadlineExceeded) {
			failures.Add(1)
		} else {
			fail(err)
		}
	}
}

func fail(why any) {
	fmt.Fprintf(os.Stderr, "seed %s: %v\n", os.Args[3], why)
	os.Exit(1)
}

func main() {
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		fail(err)
	}
	seed, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		fail(err)
	}
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	p, err := pool.New(pool.Config{BaseURL: os.Args[1], MaxConnections: 3, RequestTimeout: time.Second / 2})
	if err != nil {
		fail(err)
	}
	var all sync.WaitGroup
	for i := int64(0); i < 4; i++ {
		chance := rand.New(rand.NewSource(seed + i))
		all.Add(1)
		go func() {
			defer all.Done()
			work(p, end, chance)
		}()
	}
	all.Wait()
	if err := p.Close(); err != nil {
		fail(err)
	}
	fmt.Println("values", values.Load(), "errors", failures.Load())
	if values.Load() == 0 || failures.Load() == 0 {
		fail("one of both never came")
	}
}

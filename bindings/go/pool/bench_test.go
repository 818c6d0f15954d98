package pool_test

import (
	"testing"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// idlePool makes a pool whose connections are never used.
func idlePool(b *testing.B) *pool.Pool {
	return newPool(b, pool.Config{Validation: pool.ValidateNone, MinConnections: 10, MaxConnections: 10})
}

// inParallel runs the work in so many goroutines for each processor.
func inParallel(b *testing.B, goroutines int, work func() error) {
	b.ReportAllocs()
	b.SetParallelism(goroutines)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := work(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func acquireAndRelease(p *pool.Pool) func() error {
	return func() error {
		client, err := p.Acquire(background)
		if err != nil {
			return err
		}
		return client.Release()
	}
}

func BenchmarkAcquireAndRelease(b *testing.B) {
	work := acquireAndRelease(idlePool(b))
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if err := work(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAcquireAndReleaseContended(b *testing.B) {
	inParallel(b, 32, acquireAndRelease(idlePool(b)))
}

func BenchmarkListDatabases(b *testing.B) {
	p := newPool(b, pool.Config{BaseURL: support.Devserver(b)})
	inParallel(b, 8, func() error {
		_, err := p.ListDatabases(background)
		return err
	})
}

func BenchmarkQueryAndScan(b *testing.B) {
	p := newPool(b, pool.Config{BaseURL: support.Devserver(b)})
	check(b, p.CreateDatabase(background, "a"))
	sql := "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100) SELECT n, 'row ' || n AS name FROM n"
	inParallel(b, 8, func() error {
		rows, err := p.Query(background, "a", sql)
		if err != nil {
			return err
		}
		var all []struct {
			N    int
			Name string
		}
		return rows.All(&all)
	})
}

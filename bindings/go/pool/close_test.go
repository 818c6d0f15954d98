package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func TestClosingUnderLoad(t *testing.T) {
	url := support.Serve(t, support.Listing)
	for round := 0; round < 10; round++ {
		p, err := pool.New(pool.Config{BaseURL: url, MaxConnections: 4})
		check(t, err)
		var done atomic.Int64
		var all sync.WaitGroup
		for i := 0; i < 64; i++ {
			all.Add(1)
			go func(i int) {
				defer all.Done()
				for {
					var err error
					if i%2 == 0 {
						_, err = p.ListDatabases(background)
					} else {
						err = p.Do(background, func(client *pool.Client) error {
							_, err := client.ListDatabases(background)
							return err
						})
					}
					if err != nil {
						if !errors.Is(err, pool.ErrClosed) {
							t.Error(err)
						}
						return
					}
					done.Add(1)
				}
			}(i)
		}
		for done.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		check(t, p.Close())
		all.Wait()
	}
}

func TestAClosedPool(t *testing.T) {
	p, err := pool.New(pool.Config{})
	check(t, err)
	client := acquire(t, p)
	waiting := make(chan error, 1)
	second := acquire(t, p)
	check(t, p.Resize(1, 2))
	go func() {
		_, err := p.Acquire(background)
		waiting <- err
	}()
	waitFor(t, p, func(s pool.Status) bool { return s.Pending == 1 })
	now, cancel := context.WithCancel(background)
	cancel()
	check(t, p.Shutdown(now))
	wantError(t, <-waiting, pool.ErrClosed, "closed")
	// It took back what was out, so there is nothing wrong in giving that back.
	check(t, client.Release())
	check(t, second.Discard())
	_, err = p.Acquire(background)
	wantError(t, err, pool.ErrClosed, "closed")
	_, err = p.TryAcquire()
	wantError(t, err, pool.ErrClosed)
	_, err = p.ListDatabases(background)
	wantError(t, err, pool.ErrClosed)
	_, err = p.Status()
	wantError(t, err, pool.ErrClosed)
	_, err = p.Stats()
	wantError(t, err, pool.ErrClosed)
	_, err = p.Metrics()
	wantError(t, err, pool.ErrClosed)
	wantError(t, p.Reset(), pool.ErrClosed)
	wantError(t, p.Resize(1, 2), pool.ErrClosed)
	wantError(t, p.SetToken("x"), pool.ErrClosed)
	check(t, p.Close())
}

func TestCloseWaitsForClientsAndThenCutsThem(t *testing.T) {
	holder := support.Hold(t)
	p, err := pool.New(pool.Config{BaseURL: holder.URL, CloseTimeout: 20 * time.Millisecond})
	check(t, err)
	failed := make(chan error, 1)
	go func() {
		_, err := p.ListDatabases(background)
		failed <- err
	}()
	<-holder.Arrived
	check(t, p.Close())
	wantError(t, <-failed, pool.ErrClosed)
}

func TestShutdownWaitsAsLongAsItsContext(t *testing.T) {
	p, err := pool.New(pool.Config{CloseTimeout: time.Millisecond})
	check(t, err)
	client := acquire(t, p)
	done := make(chan error, 1)
	go func() { done <- p.Shutdown(background) }()
	// From now on it is closed for others.
	for {
		other, err := p.TryAcquire()
		if errors.Is(err, pool.ErrClosed) {
			break
		}
		check(t, err)
		check(t, other.Release())
	}
	select {
	case <-done:
		t.Fatal("it did not wait")
	case <-time.After(100 * time.Millisecond):
	}
	check(t, client.Release())
	check(t, <-done)
}

func TestACopyOfAPoolMayBeClosedToo(t *testing.T) {
	p, err := pool.New(pool.Config{Log: func(pool.LogLevel, string) {}})
	check(t, err)
	copied := *p
	check(t, p.Close())
	check(t, copied.Close())
}

func TestWhatWasNeverOpenedSaysSo(t *testing.T) {
	var p pool.Pool
	var client pool.Client
	calls := map[string]func() error{
		"a request of a pool":    func() error { _, err := p.ListDatabases(background); return err },
		"a raw request":          func() error { _, err := p.Request(background, "GET", "/x", nil); return err },
		"acquire":                func() error { _, err := p.Acquire(background); return err },
		"try":                    func() error { _, err := p.TryAcquire(); return err },
		"status":                 func() error { _, err := p.Status(); return err },
		"close":                  p.Close,
		"a request of a client":  func() error { _, err := client.Select(background, "d", "t"); return err },
		"a begin":                func() error { _, err := client.BeginTransaction(background); return err },
		"an insert":              func() error { _, err := client.Insert(background, "d", "t", 1); return err },
		"an owner":               func() error { return client.SetOwner("me") },
		"a release":              client.Release,
		"one to the other":       func() error { return p.Release(&client) },
		"an interrupt":           client.Interrupt,
		"the end of transaction": func() error { return client.CommitTransaction(background) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, pool.ErrInvalidHandle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, client.Close())
}

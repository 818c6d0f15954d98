package pool_test

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func threads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(tasks)
}

func TestACrowdWaitsWithoutThreads(t *testing.T) {
	const crowd, size, most = 10_000, 4, 50
	url := support.Serve(t, support.Listing)
	p := newPool(t, pool.Config{
		BaseURL: url, MinConnections: size, MaxConnections: size, MaxWaiters: crowd, AcquireTimeout: time.Minute,
	})
	var held []*pool.Client
	for i := 0; i < size; i++ {
		held = append(held, acquire(t, p))
	}
	var served atomic.Int64
	var all sync.WaitGroup
	for i := 0; i < crowd; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			client, err := p.Acquire(background)
			if err != nil {
				t.Error(err)
				return
			}
			if served.Add(1)%100 == 0 {
				_, err = client.ListDatabases(background)
			}
			if err != nil {
				t.Error(err)
			}
			if err := client.Release(); err != nil {
				t.Error(err)
			}
		}()
	}
	waitFor(t, p, func(s pool.Status) bool { return s.Pending == crowd })
	if waiting := threads(t); waiting >= most {
		t.Errorf("%d threads while %d goroutines wait", waiting, crowd)
	}
	for _, client := range held {
		check(t, client.Release())
	}
	all.Wait()
	if served.Load() != crowd {
		t.Errorf("%d of %d were served", served.Load(), crowd)
	}
	if after := threads(t); after >= most {
		t.Errorf("%d threads afterwards", after)
	}
	stats, err := p.Stats()
	check(t, err)
	if stats.Acquires.Waited != crowd || stats.Acquires.Direct != size {
		t.Errorf("%+v", stats.Acquires)
	}
}

func TestWaitersAreServedInTheirOrder(t *testing.T) {
	p := newPool(t, pool.Config{Validation: pool.ValidateNone, MinConnections: 1, MaxConnections: 1})
	held := acquire(t, p)
	const waiters = 200
	served := make(chan int, waiters)
	for i := 0; i < waiters; i++ {
		go func(place int) {
			client, err := p.Acquire(background)
			if err != nil {
				t.Error(err)
				return
			}
			served <- place
			if err := client.Release(); err != nil {
				t.Error(err)
			}
		}(i)
		waitFor(t, p, func(s pool.Status) bool { return s.Pending == i+1 })
	}
	check(t, held.Release())
	for i := 0; i < waiters; i++ {
		if place := <-served; place != i {
			t.Fatalf("waiter %d was served as number %d", place, i)
		}
	}
}

// soakSteps is how many steps the soak takes; `make soak-go` wants more.
func soakSteps(t *testing.T) int {
	text := os.Getenv("PHANTOMDB_GO_SOAK_STEPS")
	if text == "" {
		return 1_000_000
	}
	steps, err := strconv.Atoi(text)
	check(t, err)
	return steps
}

func TestRandomStepsLoseNoConnection(t *testing.T) {
	const goroutines, size = 64, 8
	// Without validation a connection opens at its first request, and here is none.
	p := newPool(t, pool.Config{Validation: pool.ValidateNone, MinConnections: size, MaxConnections: size})
	steps := int64(soakSteps(t))
	var taken, got, given atomic.Int64
	var all sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		all.Add(1)
		go func(seed int64) {
			defer all.Done()
			random := rand.New(rand.NewSource(seed))
			for taken.Add(1) <= steps {
				if err := randomStep(p, random, &got, &given); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		}(int64(i))
	}
	all.Wait()
	isWhole(t, p)
	stats, err := p.Stats()
	check(t, err)
	acquires := stats.Acquires
	all2 := acquires.Direct + acquires.Waited
	t.Logf("%d steps: %d clients; %+v", steps, got.Load(), acquires)
	if got.Load() != given.Load() || all2 != got.Load()+size {
		t.Errorf("%d clients were had, %d given back, %d handed out", got.Load(), given.Load(), all2)
	}
	if acquires.Cancelled == 0 || acquires.Waited == 0 || acquires.Direct == 0 {
		t.Errorf("the steps were not of every kind: %+v", acquires)
	}
}

// randomStep acquires in some way, and releases in some way what it got.
func randomStep(p *pool.Pool, random *rand.Rand, got, given *atomic.Int64) error {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var client *pool.Client
	var err error
	switch random.Intn(4) {
	case 0:
		client, err = p.TryAcquire()
		if err != nil && err.(*pool.Error).Code != pool.ErrWouldBlock {
			return err
		}
	case 1:
		go func(pause int) {
			for i := 0; i < pause; i++ {
				runtime.Gosched()
			}
			cancel()
		}(random.Intn(20))
		client, err = p.Acquire(ctx)
		if err != nil && err.(*pool.Error).Code != pool.ErrCancelled {
			return err
		}
	case 2:
		client, err = p.Acquire(ctx)
	default:
		client, err = p.Acquire(background)
	}
	if err != nil {
		if ctx.Err() == nil && err.(*pool.Error).Code != pool.ErrWouldBlock {
			return fmt.Errorf("without a reason: %w", err)
		}
		return nil
	}
	got.Add(1)
	if random.Intn(2) == 0 {
		runtime.Gosched()
	}
	if random.Intn(16) == 0 {
		err = client.Discard()
	} else {
		err = p.Release(client)
	}
	if err == nil {
		given.Add(1)
		if random.Intn(32) == 0 && client.Release() == nil {
			return fmt.Errorf("a client was released twice")
		}
	}
	return err
}

func TestOneProcessorIsEnough(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	url := support.Serve(t, support.Listing)
	p := newPool(t, pool.Config{BaseURL: url, MinConnections: 2, MaxConnections: 2})
	var all sync.WaitGroup
	for i := 0; i < 64; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for n := 0; n < 20; n++ {
				ctx, cancel := context.WithCancel(background)
				if (i+n)%7 == 0 {
					go cancel()
				}
				_, err := p.ListDatabases(ctx)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		}(i)
	}
	all.Wait()
	isWhole(t, p)
}

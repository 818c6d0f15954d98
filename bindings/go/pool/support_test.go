package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

var background = context.Background()

// newPool makes a pool that is closed with the test.
func newPool(t testing.TB, config pool.Config) *pool.Pool {
	t.Helper()
	made, err := pool.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(background)
		cancel()
		check(t, made.Shutdown(now))
	})
	return made
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func acquire(t testing.TB, from *pool.Pool) *pool.Client {
	t.Helper()
	client, err := from.Acquire(background)
	check(t, err)
	return client
}

// wantError checks that an error is what it should be, and says these words.
func wantError(t testing.TB, err, want error, words ...string) *pool.Error {
	t.Helper()
	var failure *pool.Error
	if !errors.Is(err, want) || !errors.As(err, &failure) {
		t.Fatalf("got %v (%T), want %v", err, err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("%q does not say %q", err, word)
		}
	}
	return failure
}

// waitFor waits for the numbers of a pool, which nobody tells of when they change.
func waitFor(t testing.TB, of *pool.Pool, holds func(pool.Status) bool) {
	t.Helper()
	var status pool.Status
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		var err error
		status, err = of.Status()
		check(t, err)
		if holds(status) {
			return
		}
	}
	t.Fatalf("the pool stays as it is: %+v", status)
}

// isWhole waits until no connection is out, and looks whether all of them can still be had.
func isWhole(t testing.TB, of *pool.Pool) {
	t.Helper()
	waitFor(t, of, func(s pool.Status) bool { return s.Used == 0 && s.Pending == 0 })
	status, err := of.Status()
	check(t, err)
	limited, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	for i := 0; i < status.Max; i++ {
		client, err := of.Acquire(limited)
		if err != nil {
			t.Fatalf("connection %d of %d can't be had: %v", i+1, status.Max, err)
		}
		defer func() { check(t, client.Release()) }()
	}
}

package pool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// prompt is how long the end of a call may take that was cancelled, on a busy machine.
const prompt = 2 * time.Second

var errLate = errors.New("too late")

// ends cancels a call that is under way, and checks that it ends at once, with the context's end.
func ends(t *testing.T, underway func(), call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	underway()
	cancelled := time.Now()
	cancel(errLate)
	select {
	case err := <-done:
		wantError(t, err, context.Canceled)
		wantError(t, err, pool.ErrCancelled, "too late")
		wantError(t, err, errLate)
		if took := time.Since(cancelled); took > prompt {
			t.Fatalf("it took %v to end", took)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestAContextThatHasEndedStartsNothing(t *testing.T) {
	p := newPool(t, pool.Config{MinConnections: 2, MaxConnections: 2})
	ended, cancel := context.WithCancel(background)
	cancel()
	_, err := p.Acquire(ended)
	wantError(t, err, context.Canceled)
	_, err = p.ListDatabases(ended)
	wantError(t, err, context.Canceled)
	_, err = p.Request(ended, "GET", "/", nil)
	wantError(t, err, context.Canceled)
	isWhole(t, p)
}

func TestCancellingAnAcquireThatWaits(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1", MinConnections: 1, MaxConnections: 1})
	held := acquire(t, p)
	waits := func() { waitFor(t, p, func(s pool.Status) bool { return s.Pending == 1 }) }
	ends(t, waits, func(ctx context.Context) error {
		_, err := p.Acquire(ctx)
		return err
	})
	ends(t, waits, func(ctx context.Context) error {
		_, err := p.ListDatabases(ctx)
		return err
	})
	ends(t, waits, func(ctx context.Context) error {
		return p.Do(ctx, func(*pool.Client) error {
			t.Error("there is no free client")
			return nil
		})
	})
	check(t, held.Release())
	isWhole(t, p)
}

func TestCancellingWhileTheConnectionOpens(t *testing.T) {
	address, taken := support.Silent(t)
	// It waits for the server's part of the TLS handshake.
	p := newPool(t, pool.Config{BaseURL: "https://" + address, MinConnections: pool.None, MaxConnections: 1})
	ends(t, func() { <-taken }, func(ctx context.Context) error {
		_, err := p.Acquire(ctx)
		return err
	})

	p = newPool(t, pool.Config{BaseURL: "https://" + address, MinConnections: 1, MaxConnections: 1})
	client := acquire(t, p)
	ends(t, func() { <-taken }, func(ctx context.Context) error {
		_, err := client.ListDatabases(ctx)
		return err
	})
	check(t, client.Release())
	isWhole(t, p)
}

func TestCancellingARequestInFlight(t *testing.T) {
	holder := support.Hold(t)
	p := newPool(t, pool.Config{BaseURL: holder.URL, MinConnections: 1, MaxConnections: 1})
	inFlight := func() { <-holder.Arrived }
	for i := 0; i < 2; i++ {
		ends(t, inFlight, func(ctx context.Context) error {
			_, err := p.ListDatabases(ctx)
			return err
		})
		<-holder.Gone
	}
	client := acquire(t, p)
	ends(t, inFlight, func(ctx context.Context) error {
		_, err := client.Insert(ctx, "a", "b", map[string]int{"c": 1})
		return err
	})
	<-holder.Gone
	holder.Release()
	// The client goes on, over another socket.
	_, err := client.ListDatabases(background)
	check(t, err)
	check(t, client.Release())
	isWhole(t, p)
}

func TestDeadlines(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1", MinConnections: 1, MaxConnections: 1})
	held := acquire(t, p)
	for i := 0; i < 50; i++ {
		ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
		_, err := p.Acquire(ctx)
		// Not a moment before, and with no other error.
		if ctx.Err() == nil {
			t.Fatalf("the context goes on, and Acquire has ended: %v", err)
		}
		failure := wantError(t, err, context.DeadlineExceeded)
		if !failure.Timeout() {
			t.Fatal("a deadline is a time-out")
		}
		cancel()
	}
	check(t, held.Release())
	isWhole(t, p)
}

func TestTheTimeoutOfThePool(t *testing.T) {
	p := newPool(t, pool.Config{
		BaseURL: "http://127.0.0.1:1", MinConnections: 1, MaxConnections: 1, AcquireTimeout: 20 * time.Millisecond,
	})
	held := acquire(t, p)
	_, err := p.Acquire(background)
	failure := wantError(t, err, pool.ErrTimeout, "Timeout", "1 of 1 connections in use")
	if errors.Is(err, context.DeadlineExceeded) || !failure.Timeout() || !failure.Retriable {
		t.Fatalf("%+v", failure)
	}
	check(t, held.Release())
}

func TestInterrupting(t *testing.T) {
	holder := support.Hold(t)
	p := newPool(t, pool.Config{BaseURL: holder.URL})
	client := acquire(t, p)
	done := make(chan error, 1)
	go func() {
		_, err := client.ListDatabases(background)
		done <- err
	}()
	<-holder.Arrived
	check(t, client.Interrupt())
	err := <-done
	wantError(t, err, pool.ErrCancelled)
	if errors.Is(err, context.Canceled) {
		t.Fatal("no context has ended")
	}
	check(t, client.Release())
}

func TestAnArgumentThatCannotBeUsedWaitsForNoConnection(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1", MinConnections: 1, MaxConnections: 1})
	held := acquire(t, p)
	wantError(t, p.DropTable(background, "a", ".."), pool.ErrInvalidArgument, "table: ")
	_, err := p.Delete(background, "a", "b", " ")
	wantError(t, err, pool.ErrInvalidArgument, "condition: ")
	_, err = p.Request(background, "GET", "no slash", nil)
	wantError(t, err, pool.ErrInvalidArgument, "path: ")
	check(t, held.Release())
	check(t, p.Close())
	wantError(t, p.DropTable(background, "a", ".."), pool.ErrInvalidArgument, "table: ")
}

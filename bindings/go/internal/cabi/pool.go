package cabi

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Pool is the handle of a pool.
type Pool uintptr

// Connection is the handle of a connection that was acquired.
type Connection uintptr

// Status is the numbers of a pool at one moment.
type Status struct {
	Available, Used, Pending, Total, Min, Max int
}

// TryAcquire takes a connection if one is free.
func (p Pool) TryAcquire() (Connection, error) {
	outcome := C.bridge_try_acquire(C.uintptr_t(p))
	return Connection(outcome.value), taken(outcome.error)
}

// A caller that finds no connection free lets other goroutines run before it joins the queue, so
// often and not longer than that: where connections are held for moments only, one is free by then,
// and nobody has to be put to sleep and woken. Nobody gets past those in the queue so.
const (
	yields      = 3
	yieldingFor = 50 * time.Microsecond
)

// Acquire waits for a connection.
func (p Pool) Acquire(ctx context.Context) (Connection, error) {
	if ctx.Err() != nil {
		return 0, p.cancelled(ctx)
	}
	if connection := p.take(); connection != 0 {
		return connection, nil
	}
	start := time.Now()
	for i := 0; i < yields && time.Since(start) < yieldingFor; i++ {
		runtime.Gosched()
		if connection := p.take(); connection != 0 {
			return connection, nil
		}
	}
	return p.wait(ctx)
}

func (p Pool) take() Connection { return Connection(C.bridge_take(C.uintptr_t(p))) }

// wait acquires a connection, in the queue if none is free.
func (p Pool) wait(ctx context.Context) (Connection, error) {
	if ctx.Err() != nil {
		return 0, p.cancelled(ctx)
	}
	call := newCall()
	defer call.drop()
	outcome := C.bridge_acquire(C.uintptr_t(p), call.c)
	if outcome.value != 0 || outcome.error != nil {
		return Connection(outcome.value), taken(outcome.error)
	}
	call.wait(ctx)
	value, err := call.outcome()
	return Connection(value), with(ctx, err)
}

// cancelled counts an acquire whose context had ended before it began, and says so.
func (p Pool) cancelled(ctx context.Context) error {
	return with(ctx, taken(C.bridge_acquire_cancelled(C.uintptr_t(p))))
}

// Release gives a connection back, to be closed if it is to be discarded.
func (p Pool) Release(connection Connection, discard bool) error {
	outcome := C.bridge_release(C.uintptr_t(p), C.uintptr_t(connection), C.bool(discard))
	wake(outcome.done)
	return taken(outcome.error)
}

// Status reads the pool's numbers.
func (p Pool) Status() (Status, error) {
	numbers := C.bridge_status(C.uintptr_t(p))
	it := &numbers.status
	return Status{
		Available: int(it.available),
		Used:      int(it.used),
		Pending:   int(it.pending),
		Total:     int(it.total),
		Min:       int(it.min),
		Max:       int(it.max),
	}, taken(numbers.error)
}

// StatsJSON is what the pool has done so far.
func (p Pool) StatsJSON() ([]byte, error) {
	return textOf(C.bridge_stats(C.uintptr_t(p)))
}

// Metrics is that as OpenMetrics text.
func (p Pool) Metrics() ([]byte, error) {
	return textOf(C.bridge_metrics(C.uintptr_t(p)))
}

func textOf(outcome C.bridge_outcome) ([]byte, error) {
	if err := taken(outcome.error); err != nil {
		return nil, err
	}
	return Result{handle: uintptr(outcome.value)}.TakeText()
}

// Reset retires every connection that is open now.
func (p Pool) Reset() error { return taken(C.bridge_reset(C.uintptr_t(p))) }

// Resize changes the limits of the pool.
func (p Pool) Resize(minConnections, maxConnections uint32) error {
	return taken(C.bridge_resize(C.uintptr_t(p), C.uint32_t(minConnections), C.uint32_t(maxConnections)))
}

// SetToken changes the token; an empty one sends none.
func (p Pool) SetToken(token string) error {
	if err := checkText("token", token); err != nil {
		return err
	}
	if token == "" {
		return taken(C.bridge_set_token(C.uintptr_t(p), nil))
	}
	text := C.CString(token)
	defer freeText(text)
	return taken(C.bridge_set_token(C.uintptr_t(p), text))
}

// Close closes the pool. Connections that are out have so long to come back, or as long as the
// pool's option says if the time is negative; and until the context ends.
func (p Pool) Close(ctx context.Context, timeoutMillis int64) error {
	call := newCall()
	defer call.drop()
	if err := taken(C.bridge_close(C.uintptr_t(p), C.int64_t(timeoutMillis), call.c)); err != nil {
		return err
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		// A close with less time hurries the first.
		hurry := newCall()
		defer hurry.drop()
		if err := taken(C.bridge_close(C.uintptr_t(p), 0, hurry.c)); err == nil {
			<-hurry.done
			_, _ = hurry.outcome()
		}
		<-call.done
	}
	_, err := call.outcome()
	forgetSockets()
	return err
}

// Interrupt cuts the request in flight.
func (c Connection) Interrupt() error { return taken(C.bridge_interrupt(C.uintptr_t(c))) }

// SetOwner names who has the connection.
func (c Connection) SetOwner(owner string) error {
	if err := checkText("owner", owner); err != nil {
		return err
	}
	text := C.CString(owner)
	defer freeText(text)
	return taken(C.bridge_set_owner(C.uintptr_t(c), text))
}

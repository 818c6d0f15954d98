package cabi

/*
#include <poll.h>
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"time"
	"unsafe"
)

// over is a time that has passed, which wakes whoever waits with it as a deadline.
var over = time.Unix(1, 0)

// answer carries a request on that was started, until it is over.
func (it *call) answer(ctx context.Context) (Result, error) {
	if it.c.step.state == C.PHANTOMDB_STEP_OVER {
		it.giveBack()
	} else {
		it.carryOn(ctx)
	}
	text := unsafe.Slice((*byte)(unsafe.Pointer(it.c.text)), int(it.c.length))
	value, err := it.outcome()
	if err != nil {
		return Result{}, with(ctx, err)
	}
	return Result{handle: value, text: text}, nil
}

func (it *call) carryOn(ctx context.Context) {
	for {
		switch {
		case it.c.step.state == C.PHANTOMDB_STEP_OVER:
			return
		case it.c.step.state == C.PHANTOMDB_STEP_NEEDS_THREAD:
			it.finish(ctx)
			return
		case it.c.step.events == 0:
			it.resume()
		default:
			it.watch(ctx)
		}
	}
}

// resume goes on with the request. If it is over then, the connection is back in its pool.
func (it *call) resume() {
	wake(C.bridge_resume(C.uintptr_t(it.connection), C.uintptr_t(it.pool), it.c))
}

// finish lets a thread of the library carry the request on.
func (it *call) finish(ctx context.Context) {
	// Not noted at once: what the call has come to may be there before this is back.
	if refused := C.bridge_finish(C.uintptr_t(it.connection), it.c); refused != nil {
		it.c.error = refused
	} else {
		it.wait(ctx)
	}
	it.giveBack()
}

// giveBack gives the connection back, if there is a pool for it.
func (it *call) giveBack() {
	if it.pool != 0 {
		// It fails only if the pool is closed, and has it back already.
		_ = it.pool.Release(it.connection, false)
	}
}

// watch goes on with the request whenever its socket is ready, until that is to be watched for
// something else, or no more.
func (it *call) watch(ctx context.Context) {
	socket, err := socketOf(&it.c.step)
	if err != nil {
		// Without a descriptor to be had: cut, so that it is over.
		_ = it.connection.Interrupt()
		it.resume()
		return
	}
	defer socket.leave()
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = socket.file.SetDeadline(over) })
		// One that comes too late makes the next request on this socket look once more.
		defer stop()
	}
	it.events = it.c.step.events
	if it.events&C.POLLOUT != 0 {
		err = socket.raw.Write(it.ready)
	} else {
		err = socket.raw.Read(it.ready)
	}
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		_ = it.connection.Interrupt()
	}
	it.resume()
	if it.c.step.state == C.PHANTOMDB_STEP_WAITS && errors.Is(err, os.ErrDeadlineExceeded) {
		// That was the deadline of a request before.
		_ = socket.file.SetDeadline(time.Now().Add(time.Duration(it.c.step.timeout_ms) * time.Millisecond))
	}
}

// goOn goes on with the request, and says whether its socket is not to be watched as before.
func (it *call) goOn(uintptr) bool {
	it.resume()
	return it.c.step.state != C.PHANTOMDB_STEP_WAITS || it.c.step.events != it.events
}

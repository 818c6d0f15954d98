package cabi

/*
#include <poll.h>
#include <stdlib.h>
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

// complete carries a request on that was started, until it is over.
func (it *call) complete(ctx context.Context) (Result, error) {
	if it.c.step.state != C.PHANTOMDB_STEP_OVER {
		it.carryOn(ctx)
	}
	value, err := it.outcome()
	if err != nil {
		return Result{}, with(ctx, err)
	}
	return Result{handle: value}, nil
}

func (it *call) carryOn(ctx context.Context) {
	if ctx.Done() != nil {
		// It wakes the goroutine that waits for the socket, and ends the reading of a large response.
		stop := context.AfterFunc(ctx, it.interrupt)
		defer func() {
			if !stop() {
				// So that it cuts nothing that comes later.
				<-it.interrupted
			}
		}()
	}
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
			it.watch()
		}
	}
}

func (it *call) cut() {
	_ = Connection(it.c.connection).Interrupt()
	it.interrupted <- struct{}{}
}

// resume goes on with the request. If it is over then, the connection is back in its pool.
func (it *call) resume() { wake(C.bridge_resume(it.c)) }

// finish lets a thread of the library carry the request on.
func (it *call) finish(ctx context.Context) {
	// Not noted at once: what the call has come to may be there before this is back.
	refused := C.bridge_finish(it.c)
	switch {
	case refused == nil:
		it.wait(ctx)
	case refused.code == C.PHANTOMDB_ERR_OVERLOADED:
		// The system has no thread or descriptor left for the library's own.
		C.free(unsafe.Pointer(refused))
		it.finishHere()
		return
	default:
		it.c.error = refused
	}
	it.giveBack()
}

// finishHere waits for the end of the request on this thread, for where nothing else can: at most one
// for each connection.
func (it *call) finishHere() { wake(C.bridge_finish_here(it.c)) }

// giveBack gives the connection back, if there is a pool for it.
func (it *call) giveBack() { wake(C.bridge_give_back(it.c)) }

// watch goes on with the request whenever its socket is ready, until that is to be watched for
// something else, or no more.
func (it *call) watch() {
	socket, err := it.socketOf()
	if err != nil {
		// The system has no descriptor left, or Go's poller can't take it.
		it.finishHere()
		return
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

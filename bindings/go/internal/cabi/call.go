package cabi

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"context"
	"os"
	"runtime/cgo"
	"sync"
	"time"
	"unsafe"
)

// spareCalls is how many calls are kept for later ones, each with room for arguments of at most
// spareText bytes.
const (
	spareCalls = 4096
	spareText  = 4096
)

// call is what a goroutine waits with, and what it is woken by.
type call struct {
	c    *C.bridge_call
	done chan struct{}
	// texts holds arguments on their way to C.
	texts []byte
	// events is what its socket is watched for, and ready what is done then.
	events C.int32_t
	ready  func(uintptr) bool
	// interrupt cuts the request and says so to interrupted.
	interrupt   func()
	interrupted chan struct{}
}

var spare struct {
	sync.Mutex
	calls []*call
}

func newCall() *call {
	spare.Lock()
	if last := len(spare.calls) - 1; last >= 0 {
		it := spare.calls[last]
		spare.calls = spare.calls[:last]
		spare.Unlock()
		return it
	}
	spare.Unlock()
	it := &call{
		c:    (*C.bridge_call)(C.calloc(1, C.sizeof_bridge_call)),
		done: make(chan struct{}, 1),

		interrupted: make(chan struct{}, 1),
	}
	it.c.owner = C.uintptr_t(cgo.NewHandle(it))
	it.ready, it.interrupt = it.goOn, it.cut
	return it
}

// drop ends the use of a call that is over.
func (it *call) drop() {
	if cap(it.texts) > spareText {
		it.texts = nil
	}
	spare.Lock()
	defer spare.Unlock()
	if len(spare.calls) < spareCalls {
		spare.calls = append(spare.calls, it)
		return
	}
	cgo.Handle(it.c.owner).Delete()
	C.free(unsafe.Pointer(it.c))
}

// wait parks the goroutine until the call is over, which the end of the context brings about.
func (it *call) wait(ctx context.Context) {
	if ctx.Done() == nil {
		<-it.done
		return
	}
	select {
	case <-it.done:
	case <-ctx.Done():
		wake(C.bridge_cancel(it.c))
		<-it.done
	}
}

// outcome is that of a call that is over.
func (it *call) outcome() (uintptr, error) {
	value, err := uintptr(it.c.value), taken(it.c.error)
	it.c.value, it.c.error = 0, nil
	return value, err
}

// wake wakes the goroutines of calls that are done.
func wake(list *C.bridge_call) {
	for list != nil {
		// Afterwards its goroutine may use it for something else.
		next := list.next
		cgo.Handle(list.owner).Value().(*call).done <- struct{}{}
		list = next
	}
}

var listener struct {
	sync.Mutex
	isListening bool
}

// listen starts the goroutine that wakes others whose calls end on threads of the library. What
// fails is tried again by the next pool.
func listen() error {
	listener.Lock()
	defer listener.Unlock()
	if listener.isListening {
		return nil
	}
	fd, err := C.bridge_open()
	if fd < 0 {
		return err
	}
	file := os.NewFile(uintptr(fd), "libphantomdb")
	// It fails if Go's poller could not take it, and then nobody would ever be woken.
	if err := file.SetDeadline(time.Time{}); err != nil {
		_ = file.Close()
		return err
	}
	C.bridge_listen(fd)
	listener.isListening = true
	go func() {
		for count := make([]byte, 8); ; {
			if _, err := file.Read(count); err != nil {
				panic("phantomdb: the eventfd can't be read: " + err.Error())
			}
			wake(C.bridge_done())
			forgetSockets()
		}
	}()
	return nil
}

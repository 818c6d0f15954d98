package cabi

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"os"
	"runtime/cgo"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// socket is one that Go's poller watches, by a descriptor of its own, which does not keep the
// connection open.
type socket struct {
	number uint64
	// file is nil where the poller could not take it.
	file *os.File
	raw  syscall.RawConn
	// isClosed says that the library has closed its own.
	isClosed bool
}

// sockets are those that are watched, by the numbers that the library gives them. Each is forgotten
// when the library tells that it has closed it.
var sockets struct {
	sync.RWMutex
	all map[uint64]*socket
}

// socketOf gives the socket that a request waits for.
func (it *call) socketOf() (*socket, error) {
	number := uint64(it.c.step.socket)
	sockets.RLock()
	known := sockets.all[number]
	sockets.RUnlock()
	switch {
	case known == nil:
		return it.watchSocket(number)
	case known.file == nil:
		// It could not be watched at an earlier request.
		return known, it.open(known, nil)
	}
	return known, nil
}

func (it *call) watchSocket(number uint64) (*socket, error) {
	made := &socket{number: number}
	owner := cgo.NewHandle(made)
	c := (*C.bridge_socket)(C.calloc(1, C.sizeof_bridge_socket))
	c.owner = C.uintptr_t(owner)
	return made, it.open(made, c)
}

// open has Go's poller watch a socket. With c it is a new one, which the library will tell the end of.
func (it *call) open(of *socket, c *C.bridge_socket) error {
	watched := C.bridge_watch(it.c, c)
	if watched.error != nil {
		if c != nil {
			cgo.Handle(c.owner).Delete()
			C.free(unsafe.Pointer(c))
		}
		return taken(watched.error)
	}
	file := os.NewFile(uintptr(watched.descriptor), "phantomdb")
	C.bridge_block(C.int(watched.descriptor))
	raw, err := file.SyscallConn()
	if err == nil {
		// It fails, too, if the poller could not take it.
		err = file.SetDeadline(time.Now().Add(time.Duration(it.c.step.timeout_ms) * time.Millisecond))
	}
	sockets.Lock()
	defer sockets.Unlock()
	if !of.isClosed {
		if sockets.all == nil {
			sockets.all = make(map[uint64]*socket)
		}
		sockets.all[of.number] = of
	}
	if err != nil || of.isClosed {
		_ = file.Close()
	}
	if err == nil {
		of.file, of.raw = file, raw
	}
	return err
}

// forgetting is held by who closes descriptors, so that all are closed when the next one is done.
var forgetting sync.Mutex

// forgetSockets closes the descriptors of the sockets that the library has closed.
func forgetSockets() {
	forgetting.Lock()
	defer forgetting.Unlock()
	for list := C.bridge_closed_sockets(); list != nil; {
		next, owner := list.next, cgo.Handle(list.owner)
		it := owner.Value().(*socket)
		owner.Delete()
		C.free(unsafe.Pointer(list))
		list = next

		sockets.Lock()
		it.isClosed = true
		if sockets.all[it.number] == it {
			delete(sockets.all, it.number)
		}
		file := it.file
		sockets.Unlock()
		if file != nil {
			// The goroutine that waits for it wakes.
			_ = file.Close()
		}
	}
}

// CountSockets is how many sockets are watched, for tests.
func CountSockets() int {
	sockets.RLock()
	defer sockets.RUnlock()
	return len(sockets.all)
}

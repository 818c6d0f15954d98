package cabi

/*
#include <poll.h>
#include "bridge.h"
*/
import "C"

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// socket is one that Go's poller watches, by a descriptor of its own, which does not keep the
// connection open.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	// users is how many goroutines wait for it.
	users atomic.Int32
}

// sockets are those that are watched, by the numbers that the library gives them.
var sockets struct {
	sync.RWMutex
	all map[uint64]*socket
	// most is how many there may be before those that are gone are looked for.
	most int
}

// leastSockets is how many are kept without a look.
const leastSockets = 16

// socketOf gives the socket that a request waits for, to be left.
func socketOf(step *C.phantomdb_step) (*socket, error) {
	number := uint64(step.socket)
	sockets.RLock()
	it := sockets.all[number]
	if it != nil {
		it.users.Add(1)
	}
	sockets.RUnlock()
	if it != nil {
		return it, nil
	}
	return watchSocket(number, step)
}

func watchSocket(number uint64, step *C.phantomdb_step) (*socket, error) {
	descriptor, err := C.bridge_watchable(C.int(step.descriptor))
	if descriptor < 0 {
		return nil, err
	}
	it := &socket{file: os.NewFile(uintptr(descriptor), "phantomdb")}
	C.bridge_block(descriptor)
	it.users.Store(1)
	if it.raw, err = it.file.SyscallConn(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(time.Duration(step.timeout_ms) * time.Millisecond)
	if err = it.file.SetDeadline(deadline); err != nil {
		return nil, err
	}
	sockets.Lock()
	isMany := len(sockets.all) >= sockets.most
	if sockets.all == nil {
		sockets.all = make(map[uint64]*socket)
	}
	sockets.all[number] = it
	sockets.Unlock()
	if isMany {
		forgetSockets()
	}
	return it, nil
}

func (s *socket) leave() { s.users.Add(-1) }

// forgetSockets closes the descriptors of those that the library has closed.
func forgetSockets() {
	sockets.Lock()
	defer sockets.Unlock()
	for number, it := range sockets.all {
		if it.users.Load() == 0 && it.isGone() {
			_ = it.file.Close()
			delete(sockets.all, number)
		}
	}
	sockets.most = 2*len(sockets.all) + leastSockets
}

func (s *socket) isGone() bool {
	gone := true
	_ = s.raw.Control(func(descriptor uintptr) { gone = bool(C.bridge_is_gone(C.int(descriptor))) })
	return gone
}

// CountSockets is how many sockets are watched, for tests.
func CountSockets() int {
	sockets.RLock()
	defer sockets.RUnlock()
	return len(sockets.all)
}

package cabi

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"strings"
	"unsafe"
)

// Target is what a request is sent on: a connection, or a pool, which takes one for it alone.
type Target interface {
	// Run runs an operation; nil is an argument that is not given.
	Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error)
	// Request sends a request that has no name.
	Request(ctx context.Context, method, path string, body []byte) (Result, error)
}

// Run acquires a connection, runs an operation on it and gives it back.
func (p Pool) Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error) {
	if err := checkArguments(operation, arguments); err != nil {
		return Result{}, err
	}
	connection, err := p.acquireFor(ctx, func(call *call) *C.phantomdb_error {
		return C.bridge_check(C.int32_t(operation), call.pack(arguments...), C.uint64_t(len(arguments)))
	})
	if err != nil {
		return Result{}, err
	}
	return connection.run(ctx, p, operation, arguments)
}

// Run runs an operation on the connection.
func (c Connection) Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error) {
	if err := checkArguments(operation, arguments); err != nil {
		return Result{}, err
	}
	return c.run(ctx, 0, operation, arguments)
}

// Request acquires a connection, sends a request on it and gives it back.
func (p Pool) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	if err := checkLine(method, path); err != nil {
		return Result{}, err
	}
	connection, err := p.acquireFor(ctx, func(call *call) *C.phantomdb_error {
		return C.bridge_check_request(call.pack(&method, &path), unsafe.Pointer(unsafe.SliceData(body)),
			C.uint64_t(len(body)))
	})
	if err != nil {
		return Result{}, err
	}
	return connection.request(ctx, p, method, path, body)
}

// Request sends a request on the connection.
func (c Connection) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	if err := checkLine(method, path); err != nil {
		return Result{}, err
	}
	return c.request(ctx, 0, method, path, body)
}

// acquireFor acquires a connection for a request, whose arguments are looked at first if that is not
// done at once. (Where it is, the start of the request looks at them.)
func (p Pool) acquireFor(ctx context.Context, check func(*call) *C.phantomdb_error) (Connection, error) {
	if ctx.Err() == nil {
		if connection := p.take(); connection != 0 {
			return connection, nil
		}
	}
	call := newCall()
	err := taken(check(call))
	call.drop()
	if err != nil {
		return 0, err
	}
	return p.wait(ctx)
}

// run runs an operation, and then gives the connection back if there is a pool for it.
func (c Connection) run(ctx context.Context, pool Pool, operation Operation, arguments []*string) (Result, error) {
	call := newCall()
	defer call.drop()
	call.connection, call.pool = c, pool
	if ctx.Err() != nil {
		call.giveBack()
		return Result{}, ended(ctx)
	}
	C.bridge_start(C.uintptr_t(c), C.int32_t(operation), call.pack(arguments...), C.uint64_t(len(arguments)), call.c)
	return call.complete(ctx)
}

func (c Connection) request(ctx context.Context, pool Pool, method, path string, body []byte) (Result, error) {
	call := newCall()
	defer call.drop()
	call.connection, call.pool = c, pool
	if ctx.Err() != nil {
		call.giveBack()
		return Result{}, ended(ctx)
	}
	C.bridge_start_request(C.uintptr_t(c), call.pack(&method, &path), unsafe.Pointer(unsafe.SliceData(body)),
		C.uint64_t(len(body)), call.c)
	return call.complete(ctx)
}

// pack puts arguments where C finds them; see bridge_start.
func (it *call) pack(arguments ...*string) *C.char {
	texts := it.texts[:0]
	for _, argument := range arguments {
		if argument == nil {
			texts = append(texts, 0)
			continue
		}
		texts = append(texts, 1)
		texts = append(texts, *argument...)
		texts = append(texts, 0)
	}
	it.texts = texts
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(texts)))
}

func checkArguments(operation Operation, arguments []*string) error {
	for i, argument := range arguments {
		if argument != nil && strings.IndexByte(*argument, 0) >= 0 {
			return checkText(argumentName(operation, i), *argument)
		}
	}
	return nil
}

func checkLine(method, path string) error {
	if err := checkText("method", method); err != nil {
		return err
	}
	return checkText("path", path)
}

// checkText refuses what C would take for the text's end.
func checkText(name, text string) error {
	if strings.IndexByte(text, 0) < 0 {
		return nil
	}
	return &Failure{Code: InvalidArgument, Message: name + ": holds a NUL character"}
}

func argumentName(operation Operation, index int) string {
	for _, info := range Operations() {
		if info.Operation == operation && index < len(info.Arguments) {
			return info.Arguments[index]
		}
	}
	return "argument"
}

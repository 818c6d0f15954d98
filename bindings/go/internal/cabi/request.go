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

// Run acquires a connection, runs an operation on it and gives it back; nil is an argument that is not
// given.
func (p Pool) Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error) {
	return run(ctx, p, 0, operation, arguments)
}

// Run runs an operation on the connection.
func (c Connection) Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error) {
	return run(ctx, 0, c, operation, arguments)
}

// Request acquires a connection, sends a request that has no name on it and gives it back.
func (p Pool) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	return request(ctx, p, 0, method, path, body)
}

// Request sends a request that has no name on the connection.
func (c Connection) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	return request(ctx, 0, c, method, path, body)
}

func run(ctx context.Context, pool Pool, connection Connection, operation Operation, arguments []*string) (Result, error) {
	if err := checkArguments(operation, arguments); err != nil {
		return Result{}, err
	}
	number, count := C.int32_t(operation), C.uint64_t(len(arguments))
	return send(ctx, pool, connection,
		func(it *call) *C.bridge_call { return C.bridge_start(number, it.pack(arguments...), count, it.c) },
		func(it *call) *C.phantomdb_error { return C.bridge_check(number, it.pack(arguments...), count) })
}

func request(ctx context.Context, pool Pool, connection Connection, method, path string, body []byte) (Result, error) {
	if err := checkText("method", method); err != nil {
		return Result{}, err
	}
	if err := checkText("path", path); err != nil {
		return Result{}, err
	}
	start, length := unsafe.Pointer(unsafe.SliceData(body)), C.uint64_t(len(body))
	return send(ctx, pool, connection,
		func(it *call) *C.bridge_call {
			return C.bridge_start_request(it.pack(&method, &path), start, length, it.c)
		},
		func(it *call) *C.phantomdb_error {
			return C.bridge_check_request(it.pack(&method, &path), start, length)
		})
}

// send sends a request on the connection, or without one on a connection of the pool, which gets it back
// afterwards.
//
// Where one is free, a single call into C takes it and sends. Where none is, check looks at the arguments
// before anybody waits.
func send(
	ctx context.Context, pool Pool, connection Connection,
	start func(*call) *C.bridge_call, check func(*call) *C.phantomdb_error,
) (Result, error) {
	it := newCall()
	defer it.drop()
	it.c.pool, it.c.connection = C.uintptr_t(pool), C.uintptr_t(connection)
	if ctx.Err() == nil {
		wake(start(it))
		if it.c.connection != 0 {
			return it.complete(ctx)
		}
	}
	if connection == 0 {
		if err := taken(check(it)); err != nil {
			return Result{}, err
		}
		var err error
		if connection, err = pool.wait(ctx); err != nil {
			return Result{}, err
		}
		it.c.connection = C.uintptr_t(connection)
	}
	if ctx.Err() != nil {
		it.giveBack()
		return Result{}, ended(ctx)
	}
	wake(start(it))
	return it.complete(ctx)
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

// checkText refuses what C would take for the text's end.
func checkText(name, text string) error {
	if strings.IndexByte(text, 0) < 0 {
		return nil
	}
	return &Failure{Code: InvalidArgument, Message: name + ": contains a NUL character"}
}

func argumentName(operation Operation, index int) string {
	for _, info := range Operations() {
		if info.Operation == operation && index < len(info.Arguments) {
			return info.Arguments[index]
		}
	}
	return "argument"
}

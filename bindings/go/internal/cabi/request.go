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
	return run(ctx, operation, arguments, func(it *call, texts *C.char, count C.uint64_t) *C.phantomdb_error {
		return C.bridge_run_on_pool(C.uintptr_t(p), C.int32_t(operation), texts, count, it.c)
	})
}

// Run runs an operation on the connection.
func (c Connection) Run(ctx context.Context, operation Operation, arguments ...*string) (Result, error) {
	return run(ctx, operation, arguments, func(it *call, texts *C.char, count C.uint64_t) *C.phantomdb_error {
		return C.bridge_run(C.uintptr_t(c), C.int32_t(operation), texts, count, it.c)
	})
}

// Request acquires a connection, sends a request on it and gives it back.
func (p Pool) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	return request(ctx, method, path, func(it *call, texts *C.char) *C.phantomdb_error {
		return C.bridge_request_on_pool(C.uintptr_t(p), texts, unsafe.Pointer(unsafe.SliceData(body)),
			C.uint64_t(len(body)), it.c)
	})
}

// Request sends a request on the connection.
func (c Connection) Request(ctx context.Context, method, path string, body []byte) (Result, error) {
	return request(ctx, method, path, func(it *call, texts *C.char) *C.phantomdb_error {
		return C.bridge_request(C.uintptr_t(c), texts, unsafe.Pointer(unsafe.SliceData(body)),
			C.uint64_t(len(body)), it.c)
	})
}

func run(
	ctx context.Context, operation Operation, arguments []*string,
	start func(it *call, texts *C.char, count C.uint64_t) *C.phantomdb_error,
) (Result, error) {
	for i, argument := range arguments {
		if argument != nil && strings.IndexByte(*argument, 0) >= 0 {
			return Result{}, checkText(argumentName(operation, i), *argument)
		}
	}
	return answer(ctx, func(it *call) *C.phantomdb_error {
		return start(it, it.pack(arguments...), C.uint64_t(len(arguments)))
	})
}

func request(
	ctx context.Context, method, path string, start func(it *call, texts *C.char) *C.phantomdb_error,
) (Result, error) {
	if err := checkText("method", method); err != nil {
		return Result{}, err
	}
	if err := checkText("path", path); err != nil {
		return Result{}, err
	}
	return answer(ctx, func(it *call) *C.phantomdb_error { return start(it, it.pack(&method, &path)) })
}

// answer starts a request and waits for its answer.
func answer(ctx context.Context, start func(it *call) *C.phantomdb_error) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, ended(ctx)
	}
	call := newCall()
	if err := taken(start(call)); err != nil {
		call.drop()
		return Result{}, err
	}
	call.wait(ctx)
	text := unsafe.Slice((*byte)(unsafe.Pointer(call.c.text)), int(call.c.length))
	value, err := call.outcome()
	call.drop()
	if err != nil {
		return Result{}, with(ctx, err)
	}
	return Result{handle: value, text: text}, nil
}

// pack puts arguments where C finds them; see bridge_run.
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

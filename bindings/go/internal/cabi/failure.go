package cabi

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"time"
	"unsafe"
)

// Failure is why a call failed.
type Failure struct {
	Code       int32
	Status     int
	Retriable  bool
	RetryAfter time.Duration
	Message    string
	// Cause is the end of the context that ended the call, if one did.
	Cause error
}

func (f *Failure) Error() string { return f.Message }

// taken is an error of the library as one of Go, or nil; it frees the former.
func taken(it *C.phantomdb_error) error {
	if it == nil {
		return nil
	}
	return failureOf(it)
}

func failureOf(it *C.phantomdb_error) *Failure {
	defer C.free(unsafe.Pointer(it))
	return &Failure{
		Code:       int32(it.code),
		Status:     int(it.http_status),
		Retriable:  bool(it.retriable),
		RetryAfter: time.Duration(it.retry_after_ms) * time.Millisecond,
		Message:    C.GoString(&it.message[0]),
	}
}

// endOf is why a context has ended, for errors.Is.
func endOf(ctx context.Context) error {
	ended, cause := ctx.Err(), context.Cause(ctx)
	if cause == ended {
		return ended
	}
	return errors.Join(ended, cause)
}

// ended is the failure of a call whose context had ended before it began.
func ended(ctx context.Context) error {
	cause := endOf(ctx)
	return &Failure{Code: Cancelled, Message: "Nothing was done: " + cause.Error(), Cause: cause}
}

// with gives the failure of a call that its context has cancelled the context's end as its cause.
func with(ctx context.Context, err error) error {
	if failure, ok := err.(*Failure); ok && failure.Code == Cancelled && ctx.Err() != nil {
		failure.Cause = endOf(ctx)
		failure.Message += ": " + failure.Cause.Error()
	}
	return err
}

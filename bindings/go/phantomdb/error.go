package phantomdb

import (
	"fmt"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Error is why a call failed. It matches its [Code] by [errors.Is], and the end of the context that
// ended the call, if one did: [context.Canceled] or [context.DeadlineExceeded], and its cause.
type Error struct {
	// Code says what it is.
	Code Code
	// Status is the HTTP status of the response, or 0.
	Status int
	// Retriable says whether the same call may succeed later, and is safe to repeat. After a write
	// that may have been carried out it is false, and the message says that this is not known.
	Retriable bool
	// RetryAfter is when a new try makes sense, or 0 if that is not known.
	RetryAfter time.Duration
	// Message says what was tried, on what, and why it failed.
	Message string

	cause error
}

// PhantomDBError is the name that the public SDK has for an error.
type PhantomDBError = Error

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Is says whether the target is the code of this error.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap is the end of the context that ended the call, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Timeout says whether a time was over, as [net.Error] has it.
func (e *Error) Timeout() bool {
	cause, ok := e.cause.(interface{ Timeout() bool })
	return e.Code == ErrTimeout || ok && cause.Timeout()
}

// Code is what kind of failure an [Error] is. Each is an error itself, for [errors.Is].
type Code int32

// The codes, as in phantomdb.h.
const (
	// ErrInvalidArgument: an argument or option can't be used; the message begins with its name.
	ErrInvalidArgument Code = cabi.InvalidArgument
	// ErrInvalidHandle: the client was released already, or is of another pool.
	ErrInvalidHandle Code = cabi.InvalidHandle
	// ErrClosed: the pool is closed.
	ErrClosed Code = cabi.Closed
	// ErrTimeout: a time of the pool's options passed first.
	ErrTimeout Code = cabi.Timeout
	// ErrWouldBlock: no connection is free at this moment, and the call does not wait.
	ErrWouldBlock Code = cabi.WouldBlock
	// ErrOverloaded: too many callers wait already.
	ErrOverloaded Code = cabi.Overloaded
	// ErrUnavailable: the server can't be reached; the message holds the root cause.
	ErrUnavailable Code = cabi.Unavailable
	// ErrCancelled: the context ended, or the client was interrupted.
	ErrCancelled Code = cabi.Cancelled
	// ErrBusy: the connection has another request in flight.
	ErrBusy Code = cabi.Busy
	// ErrWouldDeadlock: the call would wait for itself.
	ErrWouldDeadlock Code = cabi.WouldDeadlock
	// ErrInvalidState: the operation does not fit the state of the connection: a commit without an
	// open transaction, for example.
	ErrInvalidState Code = cabi.InvalidState
	// ErrHTTP: the server responded with an error; Status says which.
	ErrHTTP Code = cabi.HTTP
	// ErrUnauthorized: the server refused the credentials.
	ErrUnauthorized Code = cabi.Unauthorized
	// ErrProtocol: the server's response is not valid HTTP or not valid JSON.
	ErrProtocol Code = cabi.Protocol
	// ErrConnectionLost: the connection broke before the response was complete.
	ErrConnectionLost Code = cabi.ConnectionLost
	// ErrTooLarge: the server's response is larger than MaxResponseBytes.
	ErrTooLarge Code = cabi.TooLarge
	// ErrTLS: the TLS settings are wrong, or the server's certificate was refused.
	ErrTLS Code = cabi.TLS
	// ErrType: a value of a response has another type, or lies outside its range.
	ErrType Code = cabi.Type
	// ErrPanic: a bug in the library, caught. The pool stays usable.
	ErrPanic Code = cabi.Panic
	// ErrOutOfMemory: there is not enough memory for the request, or for a response that MaxResponseBytes allows.
	ErrOutOfMemory Code = cabi.OutOfMemory
)

var codes = func() map[Code]cabi.CodeInfo {
	codes := make(map[Code]cabi.CodeInfo)
	for _, info := range cabi.Codes() {
		codes[Code(info.Code)] = info
	}
	return codes
}()

// String is the name of the code, "TIMEOUT" for example.
func (c Code) String() string {
	if info, ok := codes[c]; ok {
		return info.Name
	}
	return fmt.Sprintf("Code(%d)", int32(c))
}

// Error is a sentence that says what the code means.
func (c Code) Error() string {
	if info, ok := codes[c]; ok {
		return info.Text
	}
	return c.String()
}

// Wrap gives an error of the library its public type; for package pool.
func Wrap(err error) error {
	failure, ok := err.(*cabi.Failure)
	if !ok {
		return err
	}
	return &Error{
		Code:       Code(failure.Code),
		Status:     failure.Status,
		Retriable:  failure.Retriable,
		RetryAfter: failure.RetryAfter,
		Message:    failure.Message,
		cause:      failure.Cause,
	}
}

func invalid(name, why string) error {
	return &Error{Code: ErrInvalidArgument, Message: name + ": " + why}
}

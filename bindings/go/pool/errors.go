package pool

import "github.com/phantomdb/libphantomdb/bindings/go/phantomdb"

// Error is why a call failed.
type Error = phantomdb.Error

// The codes of errors, for errors.Is; see [phantomdb.Code].
const (
	ErrInvalidArgument = phantomdb.ErrInvalidArgument
	ErrInvalidHandle   = phantomdb.ErrInvalidHandle
	ErrClosed          = phantomdb.ErrClosed
	ErrTimeout         = phantomdb.ErrTimeout
	ErrWouldBlock      = phantomdb.ErrWouldBlock
	ErrOverloaded      = phantomdb.ErrOverloaded
	ErrUnavailable     = phantomdb.ErrUnavailable
	ErrCancelled       = phantomdb.ErrCancelled
	ErrBusy            = phantomdb.ErrBusy
	ErrWouldDeadlock   = phantomdb.ErrWouldDeadlock
	ErrInvalidState    = phantomdb.ErrInvalidState
	ErrHTTP            = phantomdb.ErrHTTP
	ErrUnauthorized    = phantomdb.ErrUnauthorized
	ErrProtocol        = phantomdb.ErrProtocol
	ErrConnectionLost  = phantomdb.ErrConnectionLost
	ErrTooLarge        = phantomdb.ErrTooLarge
	ErrTLS             = phantomdb.ErrTLS
	ErrType            = phantomdb.ErrType
	ErrPanic           = phantomdb.ErrPanic
	ErrOutOfMemory     = phantomdb.ErrOutOfMemory
)

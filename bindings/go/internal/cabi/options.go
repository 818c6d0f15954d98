package cabi

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Log is told of what happens to a pool.
type Log func(level int, message string)

// Options are a pool's, as in phantomdb.h; nil is the default.
type Options struct {
	BaseURL, Token, TLSCAFile, TLSCertFile, TLSKeyFile *string

	MinConnections, MaxConnections, MaxConnecting, MaxWaiters *uint32

	AcquireTimeout, IdleTimeout, MaxLifetime, ValidateAfter, ValidationTimeout, RequestTimeout,
	ConnectTimeout, CloseTimeout, LeakThreshold *int64

	MaxResponseBytes *uint64
	Validation       *int32
	Preconnect       bool
	Log              Log
}

// Create makes a pool. The function is to be called once, when the pool is closed.
func (o *Options) Create() (Pool, func(), error) {
	if err := listen(); err != nil {
		return 0, nil, &Failure{
			Code:      Overloaded,
			Retriable: true,
			Message:   "The system has no descriptor left that the pool could be watched with: " + err.Error(),
		}
	}
	var c C.phantomdb_pool_options
	C.phantomdb_pool_options_init(&c, C.sizeof_phantomdb_pool_options)
	texts := []struct {
		name  string
		text  *string
		place **C.char
	}{
		{"base_url", o.BaseURL, &c.base_url},
		{"token", o.Token, &c.token},
		{"tls_ca_file", o.TLSCAFile, &c.tls_ca_file},
		{"tls_cert_file", o.TLSCertFile, &c.tls_cert_file},
		{"tls_key_file", o.TLSKeyFile, &c.tls_key_file},
	}
	for _, it := range texts {
		if it.text == nil {
			continue
		}
		if err := checkText(it.name, *it.text); err != nil {
			return 0, nil, err
		}
		*it.place = C.CString(*it.text)
		defer freeText(*it.place)
	}
	set(&c.min_connections, o.MinConnections)
	set(&c.max_connections, o.MaxConnections)
	set(&c.max_connecting, o.MaxConnecting)
	set(&c.max_waiters, o.MaxWaiters)
	set(&c.acquire_timeout_ms, o.AcquireTimeout)
	set(&c.idle_timeout_ms, o.IdleTimeout)
	set(&c.max_lifetime_ms, o.MaxLifetime)
	set(&c.validate_after_ms, o.ValidateAfter)
	set(&c.validation_timeout_ms, o.ValidationTimeout)
	set(&c.request_timeout_ms, o.RequestTimeout)
	set(&c.connect_timeout_ms, o.ConnectTimeout)
	set(&c.close_timeout_ms, o.CloseTimeout)
	set(&c.leak_threshold_ms, o.LeakThreshold)
	set(&c.max_response_bytes, o.MaxResponseBytes)
	set(&c.validation, o.Validation)
	if o.Preconnect {
		c.preconnect = 1
	}
	forget := func() {}
	if o.Log != nil {
		log := cgo.NewHandle(o.Log)
		forget = log.Delete
		C.bridge_set_log(&c, C.uintptr_t(log))
	}
	outcome := C.bridge_create(&c)
	if err := taken(outcome.error); err != nil {
		forget()
		return 0, nil, err
	}
	return Pool(outcome.value), forget, nil
}

func set[T, C ~int32 | ~uint32 | ~int64 | ~uint64](place *C, value *T) {
	if value != nil {
		*place = C(*value)
	}
}

func freeText(text *C.char) { C.free(unsafe.Pointer(text)) }

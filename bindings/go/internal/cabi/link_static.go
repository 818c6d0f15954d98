//go:build phantomdb_static

package cabi

// The archive comes first, so that the shared library, which pkg-config names too, is not needed.

// #cgo pkg-config: --static phantomdb
// #cgo LDFLAGS: -l:libphantomdb.a -Wl,--as-needed
import "C"

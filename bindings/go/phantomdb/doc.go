// Package phantomdb is a client for PhantomDB, on libphantomdb.
//
// A [Client] comes from a pool: see package
// [github.com/phantomdb/libphantomdb/bindings/go/pool], which is where to begin. Here is what a
// client and a pool can do ([Operations]), what they return ([Rows], [Cell]) and how they fail
// ([Error], [Code]).
package phantomdb

import "github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"

// Version is the version of libphantomdb.
func Version() string { return cabi.Version() }

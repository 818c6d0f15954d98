//go:build !phantomdb_static

package cabi

// #cgo pkg-config: phantomdb
import "C"

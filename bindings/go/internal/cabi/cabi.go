// Package cabi is the border to libphantomdb: all of this module's cgo, and nothing else.
//
// No call of it parks a thread for longer than a few microseconds, and no thread of the library
// ever enters Go, but for the log. A call that has to wait leaves a bridge_call behind, which lives
// in C's memory; the thread that brings its outcome about hands it back, and its goroutine is woken.
package cabi

/*
#include "bridge.h"
*/
import "C"

import "unsafe"

// Version is the version of the library.
func Version() string { return C.GoString(C.phantomdb_version()) }

// CodeInfo is a code with its name and text.
type CodeInfo struct {
	Code       int32
	Name, Text string
}

// Codes lists the codes, as the library knows them.
func Codes() []CodeInfo {
	var count C.uint64_t
	first := C.phantomdb_code_table(&count)
	var infos []CodeInfo
	for _, it := range unsafe.Slice(first, int(count)) {
		infos = append(infos, CodeInfo{int32(it.code), C.GoString(it.name), C.GoString(it.text)})
	}
	return infos
}

// Operation is an operation by number.
type Operation int32

// OperationInfo is an operation with its name and arguments.
type OperationInfo struct {
	Operation Operation
	Name      string
	Arguments []string
}

// Operations lists the operations, as the library knows them.
func Operations() []OperationInfo {
	var count C.uint64_t
	first := C.phantomdb_operation_table(&count)
	var infos []OperationInfo
	for _, it := range unsafe.Slice(first, int(count)) {
		info := OperationInfo{Operation: Operation(it.operation), Name: C.GoString(it.name)}
		for _, name := range unsafe.Slice(it.arguments, int(it.argument_count)) {
			info.Arguments = append(info.Arguments, C.GoString(name))
		}
		infos = append(infos, info)
	}
	return infos
}

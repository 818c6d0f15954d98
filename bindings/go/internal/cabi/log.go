package cabi

// #include <stdint.h>
import "C"

import "runtime/cgo"

//export phantomdbGoLog
func phantomdbGoLog(level C.int32_t, message *C.char, log C.uintptr_t) {
	cgo.Handle(log).Value().(Log)(int(level), C.GoString(message))
}

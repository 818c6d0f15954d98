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

// OptionInfo is an option of a pool, as the library knows it.
type OptionInfo struct {
	Name, Unit    string
	Type          int32
	Choices       []string
	DefaultNumber int64
	DefaultText   string
	offset        uintptr
}

// OptionTable lists the options of a pool, as the library knows them. One that a newer library has, and
// phantomdb.h did not, is not among them.
func OptionTable() []OptionInfo {
	var count C.uint64_t
	first := C.phantomdb_option_table(&count)
	var infos []OptionInfo
	for _, option := range unsafe.Slice(first, int(count)) {
		if option._type > OptionLog || option.offset+option.size > C.sizeof_phantomdb_pool_options {
			continue
		}
		info := OptionInfo{
			Name: C.GoString(option.name), Unit: C.GoString(option.unit), Type: int32(option._type),
			DefaultNumber: int64(option.default_number), DefaultText: C.GoString(option.default_text),
			offset: uintptr(option.offset),
		}
		for _, name := range unsafe.Slice(option.choices, int(option.choice_count)) {
			info.Choices = append(info.Choices, C.GoString(name))
		}
		infos = append(infos, info)
	}
	return infos
}

// Options are a pool's, by their names in the table; what is not set has its default.
type Options struct {
	numbers map[string]int64
	texts   map[string]string
	// Log is told of what happens to the pool, if there is one.
	Log Log
}

// SetNumber sets an option that is not a text: a time in milliseconds, a flag as 0 or 1, a choice as its
// number.
func (o *Options) SetNumber(name string, number int64) {
	if o.numbers == nil {
		o.numbers = map[string]int64{}
	}
	o.numbers[name] = number
}

// SetText sets a text or the path of a file.
func (o *Options) SetText(name, text string) {
	if o.texts == nil {
		o.texts = map[string]string{}
	}
	o.texts[name] = text
}

// Create makes a pool. The function is to be called once, when the pool is closed.
func (o *Options) Create() (Pool, func(), error) {
	if err := listen(); err != nil {
		return 0, nil, &Failure{
			Code:      Overloaded,
			Retriable: true,
			Message:   "The system has no descriptor left to watch the pool with: " + err.Error(),
		}
	}
	var c C.phantomdb_pool_options
	C.phantomdb_pool_options_init(&c, C.sizeof_phantomdb_pool_options)
	for _, option := range OptionTable() {
		member := unsafe.Add(unsafe.Pointer(&c), option.offset)
		if number, isSet := o.numbers[option.Name]; isSet {
			option.setNumber(member, number)
		}
		if text, isSet := o.texts[option.Name]; isSet {
			if err := checkText(option.Name, text); err != nil {
				return 0, nil, err
			}
			place := (**C.char)(member)
			*place = C.CString(text)
			defer freeText(*place)
		}
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

func (o *OptionInfo) setNumber(member unsafe.Pointer, number int64) {
	switch o.Type {
	case OptionCount:
		*(*C.uint32_t)(member) = C.uint32_t(number)
	case OptionSize:
		*(*C.uint64_t)(member) = C.uint64_t(number)
	case OptionTime:
		*(*C.int64_t)(member) = C.int64_t(number)
	case OptionFlag, OptionChoice:
		*(*C.int32_t)(member) = C.int32_t(number)
	}
}

func freeText(text *C.char) { C.free(unsafe.Pointer(text)) }

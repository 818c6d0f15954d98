package cabi

/*
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// Result is an answer, which one of its functions is to be called of, once.
type Result struct {
	handle uintptr
	// text is C's memory.
	text []byte
}

// Cell is a value of a table, in every type that it can be read as.
type Cell struct {
	Text                        string
	Integer                     int64
	Number                      float64
	Kind                        int8
	IsInteger, IsNumber, IsBool bool
	Boolean                     bool
}

// Table is all rows of an answer, one after the other.
type Table struct {
	Columns      []string
	Cells        []Cell
	RowCount     int
	AffectedRows int64
}

// TakeText gives the answer as JSON.
func (r Result) TakeText() []byte {
	text := append(make([]byte, 0, len(r.text)), r.text...)
	r.Drop()
	return text
}

// Drop is for an answer that is of no interest.
func (r Result) Drop() { C.bridge_free_result(C.uintptr_t(r.handle), nil) }

// TakeAffectedRows gives how many rows a statement changed, or -1.
func (r Result) TakeAffectedRows() (int64, error) {
	outcome := C.bridge_take_affected_rows(C.uintptr_t(r.handle))
	return int64(outcome.count), taken(outcome.error)
}

// TakeTable gives the answer as a table.
func (r Result) TakeTable() (*Table, error) {
	var failure *C.phantomdb_error
	table := C.bridge_read_table(C.uintptr_t(r.handle), &failure)
	defer C.bridge_free_result(C.uintptr_t(r.handle), table)
	if table == nil {
		return nil, unread(failure)
	}
	return copyTable(table), nil
}

// TakeNames gives the answer as a list of names.
func (r Result) TakeNames() ([]string, error) {
	var failure *C.phantomdb_error
	table := C.bridge_read_list(C.uintptr_t(r.handle), &failure)
	defer C.bridge_free_result(C.uintptr_t(r.handle), table)
	if table == nil {
		return nil, unread(failure)
	}
	names := make([]string, int(table.row_count))
	for i, cell := range cellsOf(table)[1:] {
		names[i] = C.GoStringN(cell.text, C.int(cell.length))
	}
	return names, nil
}

func unread(failure *C.phantomdb_error) error {
	if err := taken(failure); err != nil {
		return err
	}
	return errors.New("phantomdb: no memory for the table of an answer")
}

func cellsOf(table *C.bridge_table) []C.bridge_cell {
	// cgo has no name for an array without a size, which stands after all that has one.
	first := (*C.bridge_cell)(unsafe.Add(unsafe.Pointer(table), C.sizeof_bridge_table))
	return unsafe.Slice(first, int((table.row_count+1)*table.column_count))
}

func copyTable(table *C.bridge_table) *Table {
	cells := cellsOf(table)
	length := 0
	for i := range cells {
		length += int(cells[i].length)
	}
	// All texts in one.
	all := make([]byte, 0, length)
	for i := range cells {
		all = append(all, unsafe.Slice((*byte)(unsafe.Pointer(cells[i].text)), int(cells[i].length))...)
	}
	rest := unsafe.String(unsafe.SliceData(all), len(all))
	columns := int(table.column_count)
	it := &Table{
		Columns:      make([]string, columns),
		Cells:        make([]Cell, len(cells)-columns),
		RowCount:     int(table.row_count),
		AffectedRows: int64(table.affected_rows),
	}
	for i := range cells {
		cell := &cells[i]
		text := rest[:int(cell.length)]
		rest = rest[int(cell.length):]
		if i < columns {
			it.Columns[i] = text
			continue
		}
		it.Cells[i-columns] = Cell{
			Text:      text,
			Integer:   int64(cell.integer),
			Number:    float64(cell.number),
			Kind:      int8(cell.kind),
			IsInteger: bool(cell.is_integer),
			IsNumber:  bool(cell.is_number),
			IsBool:    bool(cell.is_bool),
			Boolean:   bool(cell.boolean),
		}
	}
	return it
}

// text gives the text that a call has brought at once.
func (it *call) text(err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	text := unsafe.Slice((*byte)(unsafe.Pointer(it.c.text)), int(it.c.length))
	value, _ := it.outcome()
	return Result{handle: value, text: text}.TakeText(), nil
}

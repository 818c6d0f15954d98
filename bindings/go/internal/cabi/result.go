package cabi

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"math"
	"sort"
	"strconv"
	"unsafe"
)

// Result is a response, which one of its functions is to be called of, once.
type Result struct {
	handle uintptr
}

// Cell is a value of a table.
type Cell struct {
	// value is an integer, or else the bits of a double, as the flags say.
	value          uint64
	offset, length uint32
	Column         uint32
	// Kind is one of the kinds of values.
	Kind  int8
	flags uint8
}

// Integer gives the value of a number that is exactly a whole one of 64 bits.
func (c *Cell) Integer() (int64, bool) {
	return int64(c.value), c.flags&hasInteger != 0 && c.Kind != ValueBool
}

// IsTrue says whether a boolean is true.
func (c *Cell) IsTrue() bool { return c.value != 0 }

// IsReplaced says whether the text had characters that no text can hold.
func (c *Cell) IsReplaced() bool { return c.flags&isReplaced != 0 }

// Table is the rows of a response. What the server left out of a row takes no room.
type Table struct {
	Columns  []string
	RowCount int
	// ReportedRows is how many rows the server says there are.
	ReportedRows int64
	AffectedRows int64
	// cells has the cells of all rows, and starts where each row's begin; texts has their texts.
	cells  []Cell
	starts []uint32
	texts  string
}

var null Cell

// Row is the cells of a row that the server sent, by columns.
func (t *Table) Row(row int) []Cell { return t.cells[t.starts[row]:t.starts[row+1]] }

// Cell is a cell; one that the server left out is null.
func (t *Table) Cell(row, column int) *Cell {
	cells := t.Row(row)
	if column < len(cells) && int(cells[column].Column) == column {
		return &cells[column]
	}
	at := sort.Search(len(cells), func(i int) bool { return int(cells[i].Column) >= column })
	if at < len(cells) && int(cells[at].Column) == column {
		return &cells[at]
	}
	return &null
}

// Text is the text of a cell of this table.
func (t *Table) Text(cell *Cell) string {
	return t.texts[cell.offset : uint64(cell.offset)+uint64(cell.length)]
}

// Number is the nearest double to a number, if one is near.
func (t *Table) Number(cell *Cell) (float64, bool) {
	switch {
	case cell.flags&hasDouble == 0:
		return 0, false
	case cell.flags&hasInteger == 0 && cell.Kind == ValueDouble:
		return math.Float64frombits(cell.value), true
	case cell.Kind == ValueInteger:
		return float64(int64(cell.value)), true
	}
	number, err := strconv.ParseFloat(t.Text(cell), 64)
	return number, err == nil
}

// TakeText gives the response as JSON.
func (r Result) TakeText() ([]byte, error) {
	defer r.Drop()
	text := C.bridge_read_text(C.uintptr_t(r.handle))
	if err := taken(text.error); err != nil {
		return nil, err
	}
	bytes, err := lent(text.text, text.length)
	return append(make([]byte, 0, len(bytes)), bytes...), err
}

// Drop is for a response that is of no interest.
func (r Result) Drop() { C.bridge_free_result(C.uintptr_t(r.handle)) }

// TakeAffectedRows gives how many rows a statement changed, or -1.
func (r Result) TakeAffectedRows() (int64, error) {
	defer r.Drop()
	outcome := C.bridge_read_affected_rows(C.uintptr_t(r.handle))
	return int64(outcome.count), taken(outcome.error)
}

// TakeTable gives the response as a table.
func (r Result) TakeTable() (*Table, error) {
	defer r.Drop()
	shape := C.bridge_read_shape(C.uintptr_t(r.handle))
	if err := taken(shape.error); err != nil {
		return nil, err
	}
	// Each of them took two bytes of the response at least; but that does not limit it on 32 bits.
	rows, columns := uint64(shape.row_count), uint64(shape.column_count)
	if rows >= math.MaxInt32 || columns >= math.MaxInt32 {
		return nil, tooLarge()
	}
	table := &Table{
		Columns:      make([]string, 0, int(columns)),
		RowCount:     int(rows),
		ReportedRows: int64(shape.reported_rows),
		AffectedRows: int64(shape.affected_rows),
		starts:       make([]uint32, 1, int(rows)+1),
	}
	err := r.read(C.BRIDGE_COLUMNS, func(value *C.phantomdb_value) error {
		name, err := lent(value.text, value.length)
		table.Columns = append(table.Columns, string(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	// A table may have no cell at all, and no more than these; both are below 2^31.
	table.cells = make([]Cell, 0, int(min(rows*columns, 4096)))
	var texts []byte
	err = r.read(C.BRIDGE_CELLS, func(value *C.phantomdb_value) error {
		text, err := lent(value.text, value.length)
		if err != nil || uint64(len(texts))+uint64(len(text)) > math.MaxUint32 || value.row >= shape.row_count {
			return tooLarge()
		}
		for uint64(len(table.starts)) <= uint64(value.row) {
			table.starts = append(table.starts, uint32(len(table.cells)))
		}
		cell := Cell{
			offset: uint32(len(texts)),
			length: uint32(len(text)),
			Column: uint32(value.column),
			Kind:   int8(value.kind),
			flags:  uint8(value.flags),
			value:  uint64(value.integer),
		}
		if cell.flags&hasInteger == 0 && cell.Kind == ValueDouble {
			cell.value = math.Float64bits(float64(value.number))
		}
		texts = append(texts, text...)
		table.cells = append(table.cells, cell)
		return nil
	})
	for len(table.starts) <= table.RowCount {
		table.starts = append(table.starts, uint32(len(table.cells)))
	}
	table.texts = unsafe.String(unsafe.SliceData(texts), len(texts))
	return table, err
}

// TakeNames gives the response as a list of names.
func (r Result) TakeNames() ([]string, error) {
	defer r.Drop()
	names := []string{}
	err := r.read(C.BRIDGE_ITEMS, func(value *C.phantomdb_value) error {
		name, err := lent(value.text, value.length)
		names = append(names, string(name))
		return err
	})
	return names, err
}

// read reads a part of the response, value by value.
func (r Result) read(part C.bridge_part, take func(value *C.phantomdb_value) error) error {
	chunk := newChunk()
	defer dropChunk(chunk)
	chunk.position = 0
	for {
		if err := taken(C.bridge_read(C.uintptr_t(r.handle), part, chunk)); err != nil {
			return err
		}
		for i := range chunk.values[:int(chunk.count)] {
			if err := take(&chunk.values[i]); err != nil {
				return err
			}
		}
		if int(chunk.count) < len(chunk.values) {
			return nil
		}
	}
}

// spareChunks are those that were used, for later ones: as many as responses are read at once, and no
// more than their room.
var spareChunks = make(chan *C.bridge_chunk, 16)

func newChunk() *C.bridge_chunk {
	select {
	case chunk := <-spareChunks:
		return chunk
	default:
		return (*C.bridge_chunk)(C.malloc(C.sizeof_bridge_chunk))
	}
}

func dropChunk(chunk *C.bridge_chunk) {
	select {
	case spareChunks <- chunk:
	default:
		C.free(unsafe.Pointer(chunk))
	}
}

// lent is bytes of C's memory. On 32 bits their number may be too large for Go.
func lent(text *C.char, length C.uint64_t) ([]byte, error) {
	if uint64(length) > math.MaxInt {
		return nil, tooLarge()
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(text)), int(length)), nil
}

func tooLarge() error {
	return &Failure{Code: TooLarge, Message: "The response is too large for this program's memory"}
}

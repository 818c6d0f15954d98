package phantomdb

import (
	"encoding/json"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Kind is the type of a [Cell].
type Kind int8

// The kinds of cells.
const (
	Null   Kind = cabi.CellNull
	Bool   Kind = cabi.CellBool
	Number Kind = cabi.CellNumber
	String Kind = cabi.CellString
	// JSON is an array or an object.
	JSON Kind = cabi.CellJSON
)

// Cell is one value of a row.
type Cell struct {
	cell   *cabi.Cell
	column string
}

// Kind is the type of the value.
func (c Cell) Kind() Kind { return Kind(c.cell.Kind) }

// IsNull says whether there is no value.
func (c Cell) IsNull() bool { return c.Kind() == Null }

// Text is the value as text: of a string its characters, of anything else its JSON, of a null "".
func (c Cell) Text() string { return c.cell.Text }

// Int64 is the value as a whole number; [ErrType] for anything that is not exactly one of 64 bits.
func (c Cell) Int64() (int64, error) {
	if !c.cell.IsInteger {
		return 0, c.isNo("whole number of 64 bits")
	}
	return c.cell.Integer, nil
}

// Float64 is the value as the nearest floating-point number; [ErrType] for what is no number.
func (c Cell) Float64() (float64, error) {
	if !c.cell.IsNumber {
		return 0, c.isNo("number")
	}
	return c.cell.Number, nil
}

// Bool is the value as true or false, which the numbers 1 and 0 are too, because SQL often has no
// others; [ErrType] for anything else.
func (c Cell) Bool() (bool, error) {
	if !c.cell.IsBool {
		return false, c.isNo("boolean")
	}
	return c.cell.Boolean, nil
}

// Any is the value as what it is: nil, bool, int64, float64, string, or of an array or object what
// [json.Unmarshal] makes of it, but with [json.Number]. So is a whole number beyond 64 bits.
func (c Cell) Any() any {
	switch c.Kind() {
	case Bool:
		return c.cell.Boolean
	case Number:
		return c.number()
	case String:
		return c.cell.Text
	case JSON:
		return decoded(c.cell.Text)
	}
	return nil
}

// json is the value as JSON.
func (c Cell) json() []byte {
	switch c.Kind() {
	case Null:
		return []byte("null")
	case String:
		text, _ := json.Marshal(c.cell.Text)
		return text
	}
	return []byte(c.cell.Text)
}

func (c Cell) isNo(what string) error {
	message := "column " + c.column + ": the value is no " + what
	if c.IsNull() {
		message = "column " + c.column + ": the value is null"
	}
	return &Error{Code: ErrType, Message: message}
}

package phantomdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

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

// mostDigits is how many digits a whole number may have for [Cell.Any] to make a *[big.Int] of it,
// which takes more than linear time.
const mostDigits = 4300

// Cell is one value of a row.
type Cell struct {
	table  *cabi.Table
	cell   *cabi.Cell
	row    int
	column string
}

// Kind is the type of the value.
func (c Cell) Kind() Kind {
	switch c.cell.Kind {
	case cabi.ValueNull:
		return Null
	case cabi.ValueBool:
		return Bool
	case cabi.ValueString:
		return String
	case cabi.ValueJSON:
		return JSON
	}
	return Number
}

// IsNull says whether there is no value: because it is null, or because the server left it out of its
// row.
func (c Cell) IsNull() bool { return c.cell.Kind == cabi.ValueNull }

// Text is the value as text: of a string its characters, of anything else its JSON, of a null "".
func (c Cell) Text() string { return c.table.Text(c.cell) }

// IsReplaced says whether the server sent characters that no text can hold (half a surrogate pair),
// each of which is U+FFFD in the text.
func (c Cell) IsReplaced() bool { return c.cell.IsReplaced() }

// Int64 is the value as a whole number; [ErrType] for anything that is not exactly one of 64 bits.
func (c Cell) Int64() (int64, error) {
	value, ok := c.cell.Integer()
	if !ok {
		return 0, c.isNo("a whole number of 64 bits")
	}
	return value, nil
}

// Uint64 is the value as a whole number that is not negative; [ErrType] for anything that is not
// exactly one of 64 bits.
func (c Cell) Uint64() (uint64, error) {
	value, ok := c.cell.Integer()
	if ok && value >= 0 {
		return uint64(value), nil
	}
	if c.cell.Kind == cabi.ValueBigInteger {
		if large, err := strconv.ParseUint(c.Text(), 10, 64); err == nil {
			return large, nil
		}
	}
	return 0, c.isNo("a whole number of 64 bits that is not negative")
}

// Float64 is the value as the nearest floating-point number; [ErrType] for what is not a number, or
// beyond the range.
func (c Cell) Float64() (float64, error) {
	value, ok := c.table.Number(c.cell)
	if !ok {
		return 0, c.isNo("a number of 64 bits")
	}
	return value, nil
}

// Bool is the value as true or false, which the numbers 1 and 0 are too, because SQL often has no
// others; [ErrType] for anything else.
func (c Cell) Bool() (bool, error) {
	if c.cell.Kind == cabi.ValueBool {
		return c.cell.IsTrue(), nil
	}
	if value, ok := c.cell.Integer(); ok && (value == 0 || value == 1) {
		return value == 1, nil
	}
	return false, c.isNo("a boolean")
}

// Any is the value as what it is: nil, bool, string, a number as below, or of an array or object what
// [json.Unmarshal] makes of it, but with [json.Number].
//
// A number that is spelled as a whole one is an int64, or else a uint64, or else a *[big.Int]; one with
// a fraction or an exponent is a float64. What fits none of them (1e400, or more than 4300
// digits) is a [json.Number], with the digits as the server sent them.
func (c Cell) Any() any {
	switch c.cell.Kind {
	case cabi.ValueNull:
		return nil
	case cabi.ValueBool:
		return c.cell.IsTrue()
	case cabi.ValueInteger:
		value, _ := c.cell.Integer()
		return value
	case cabi.ValueDouble:
		value, _ := c.table.Number(c.cell)
		return value
	case cabi.ValueBigInteger:
		return bigInteger(c.Text())
	case cabi.ValueBigNumber:
		return json.Number(c.Text())
	case cabi.ValueJSON:
		return decoded(c.Text())
	}
	return c.Text()
}

func bigInteger(text string) any {
	if value, err := strconv.ParseUint(text, 10, 64); err == nil {
		return value
	}
	if len(strings.TrimPrefix(text, "-")) <= mostDigits {
		if value, ok := new(big.Int).SetString(text, 10); ok {
			return value
		}
	}
	return json.Number(text)
}

// driverValue is the value as a driver of database/sql would give it: of a number that fits no
// other type its digits.
func (c Cell) driverValue() any {
	switch c.cell.Kind {
	case cabi.ValueBigInteger, cabi.ValueBigNumber:
		return c.Text()
	case cabi.ValueJSON:
		return []byte(c.Text())
	}
	return c.Any()
}

// json is the value as JSON.
func (c Cell) json() []byte {
	switch c.cell.Kind {
	case cabi.ValueNull:
		return []byte("null")
	case cabi.ValueString:
		text, _ := json.Marshal(c.Text())
		return text
	}
	return []byte(c.Text())
}

func decoded(text string) any {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	return value
}

func (c Cell) isNo(what string) error {
	if c.IsNull() {
		return c.unfit("the value is null, not "+what, nil)
	}
	return c.unfit("the value is not "+what, nil)
}

func (c Cell) unfit(why string, cause error) error {
	return &Error{
		Code:    ErrType,
		Message: fmt.Sprintf("row %d, column %q: %s", c.row, c.column, why),
		cause:   cause,
	}
}

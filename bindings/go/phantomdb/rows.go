package phantomdb

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Rows is the answer to a query, all of it.
//
// Its rows can be read at once into a slice of structs or maps ([Rows.All]), one by one
// ([Rows.Row]), or cell by cell ([Rows.Cell]).
type Rows struct {
	table *cabi.Table
}

// Row is one row of an answer.
type Row struct {
	rows  *Rows
	index int
}

// Len is how many rows there are.
func (r *Rows) Len() int { return r.table.RowCount }

// Columns are the names of the columns, in the server's order.
func (r *Rows) Columns() []string { return r.table.Columns }

// Affected is how many rows the statement changed; -1 if the server did not say.
func (r *Rows) Affected() int64 { return r.table.AffectedRows }

// Row is a row by its index.
func (r *Rows) Row(index int) Row {
	if index < 0 || index >= r.Len() {
		panic("phantomdb: there is no such row")
	}
	return Row{r, index}
}

// Cell is a value by the indices of its row and column.
func (r *Rows) Cell(row, column int) Cell { return r.Row(row).At(column) }

// All reads all rows into the slice that it is given a pointer to: of structs, maps with strings as
// keys, or anything that [Row.Scan] takes for rows of one column. See [Row.Into].
func (r *Rows) All(slice any) error { return scanAll(r, slice) }

// Maps gives the rows as maps, with the values that [Cell.Any] gives.
func (r *Rows) Maps() []map[string]any {
	maps := make([]map[string]any, r.Len())
	for i := range maps {
		maps[i] = r.Row(i).Map()
	}
	return maps
}

// At is the value in the column with this index.
func (r Row) At(column int) Cell {
	columns := r.rows.Columns()
	if column < 0 || column >= len(columns) {
		panic("phantomdb: there is no such column")
	}
	return Cell{&r.rows.table.Cells[r.index*len(columns)+column], columns[column]}
}

// Get is the value in the column of this name; a null if there is no such column.
func (r Row) Get(column string) Cell {
	for i, name := range r.rows.Columns() {
		if name == column {
			return r.At(i)
		}
	}
	return Cell{&cabi.Cell{Kind: int8(Null)}, column}
}

// Map gives the row as a map, with the values that [Cell.Any] gives.
func (r Row) Map() map[string]any {
	row := make(map[string]any, len(r.rows.Columns()))
	for i, name := range r.rows.Columns() {
		row[name] = r.At(i).Any()
	}
	return row
}

// Scan reads the values of the row, column by column, into what the pointers lead to: booleans,
// numbers, strings, any, pointers to such (nil for a null), what has a Scan method as in
// database/sql, and for the rest what [json.Unmarshal] can do.
//
// It fails with [ErrType] where a value does not fit, and with [ErrInvalidArgument] for another
// number of pointers than columns.
func (r Row) Scan(into ...any) error { return scanRow(r, into) }

// Into reads the row into a struct or a map that it is given a pointer to. A field takes the column
// that its json tag names, or else of its own name, whatever the case. Columns without a field are
// left out, and fields without a column left alone.
func (r Row) Into(target any) error { return scanInto(r, target) }

func (c Cell) number() any {
	if c.cell.IsInteger {
		return c.cell.Integer
	}
	if strings.ContainsAny(c.cell.Text, ".eE") {
		return c.cell.Number
	}
	return json.Number(c.cell.Text)
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

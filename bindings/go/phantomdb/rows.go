package phantomdb

import (
	"sync"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Rows is the response to a query, all of it.
//
// Its rows can be read at once into a slice of structs or maps ([Rows.All]), one by one
// ([Rows.Row]), or cell by cell ([Rows.Cell]).
type Rows struct {
	table *cabi.Table
	once  sync.Once
	names map[string]int
}

// Row is one row of a response.
type Row struct {
	rows  *Rows
	index int
}

// Len is how many rows there are.
func (r *Rows) Len() int { return r.table.RowCount }

// Count is how many rows the server says there are; it may have sent fewer, which Len counts.
func (r *Rows) Count() int64 { return r.table.ReportedRows }

// byName is the columns by their names.
func (r *Rows) byName() map[string]int {
	r.once.Do(func() {
		r.names = make(map[string]int, len(r.table.Columns))
		for i, name := range r.table.Columns {
			if _, isTaken := r.names[name]; !isTaken {
				r.names[name] = i
			}
		}
	})
	return r.names
}

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

// Maps gives the rows as maps; see [Row.Map].
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
	return Cell{r.rows.table, r.rows.table.Cell(r.index, column), r.index, columns[column]}
}

// Get is the value in the column of this name, the first of several; a null if there is no such
// column.
func (r Row) Get(column string) Cell {
	if index, ok := r.rows.byName()[column]; ok {
		return r.At(index)
	}
	return Cell{r.rows.table, &cabi.Cell{}, r.index, column}
}

// Map gives the row as a map, with the values that [Cell.Any] gives. It holds what the server sent: a
// value that it left out of the row is not among them.
func (r Row) Map() map[string]any {
	cells := r.rows.table.Row(r.index)
	row := make(map[string]any, len(cells))
	for i := range cells {
		it := r.sent(&cells[i])
		row[it.column] = it.Any()
	}
	return row
}

// sent is a value that the server sent.
func (r Row) sent(cell *cabi.Cell) Cell {
	return Cell{r.rows.table, cell, r.index, r.rows.table.Columns[cell.Column]}
}

// Scan reads the values of the row, column by column, into what the pointers lead to:
//
//   - booleans, numbers and strings; a number that does not fit is an error;
//   - []byte: the bytes of a text, or the JSON of anything else;
//   - any: what [Cell.Any] gives;
//   - pointers to such, which a null makes nil, while it fits no other type;
//   - what has a Scan method as in database/sql, such as [database/sql.NullString];
//   - what [encoding/json] or [encoding.TextUnmarshaler] can read, such as [time.Time], and for arrays and objects
//     whatever [json.Unmarshal] can do.
//
// It fails with [ErrType] where a value does not fit, with its row and column, and with
// [ErrInvalidArgument] for another number of pointers than columns; nothing is changed then.
func (r Row) Scan(into ...any) error { return scanRow(r, into) }

// Into reads the row into a struct or a map that it is given a pointer to. A field takes the column
// that its json tag names, or else of its own name, whatever the case. Columns without a field are
// left out, and fields without a value in this row left alone. What fails changes nothing.
func (r Row) Into(target any) error { return scanInto(r, target) }

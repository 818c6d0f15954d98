package phantomdb

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// scanner is database/sql's.
type scanner interface{ Scan(src any) error }

var (
	scannerType         = reflect.TypeOf((*scanner)(nil)).Elem()
	unmarshalerType     = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()
	textUnmarshalerType = reflect.TypeOf((*encoding.TextUnmarshaler)(nil)).Elem()
	numberType          = reflect.TypeOf(json.Number(""))
)

func scanRow(row Row, into []any) error {
	if columns := len(row.rows.Columns()); len(into) != columns {
		return invalid("into", fmt.Sprintf("%d pointers for %d columns", len(into), columns))
	}
	// Put where they belong only when all are read.
	values := make([]reflect.Value, len(into))
	for i, target := range into {
		pointer := reflect.ValueOf(target)
		if scans, ok := target.(scanner); ok && pointer.Kind() != reflect.Pointer {
			if err := row.At(i).scan(scans); err != nil {
				return err
			}
			continue
		}
		if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
			return invalid("into", fmt.Sprintf("%T is not a pointer to a value", target))
		}
		values[i] = reflect.New(pointer.Type().Elem()).Elem()
		values[i].Set(pointer.Elem())
		if err := row.At(i).set(values[i]); err != nil {
			return err
		}
	}
	for i, value := range values {
		if value.IsValid() {
			reflect.ValueOf(into[i]).Elem().Set(value)
		}
	}
	return nil
}

func scanInto(row Row, target any) error {
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return invalid("target", fmt.Sprintf("%T is not a pointer to a value", target))
	}
	read, err := readerOf(row.rows.Columns(), pointer.Type().Elem())
	if err != nil {
		return err
	}
	return read(row, pointer.Elem())
}

func scanAll(rows *Rows, slice any) error {
	pointer := reflect.ValueOf(slice)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() || pointer.Elem().Kind() != reflect.Slice {
		return invalid("slice", fmt.Sprintf("%T is not a pointer to a slice", slice))
	}
	all := reflect.MakeSlice(pointer.Elem().Type(), rows.Len(), rows.Len())
	read, err := readerOf(rows.Columns(), all.Type().Elem())
	if err != nil {
		return err
	}
	for i := 0; i < rows.Len(); i++ {
		if err := read(rows.Row(i), all.Index(i)); err != nil {
			return err
		}
	}
	pointer.Elem().Set(all)
	return nil
}

// rowReader reads a row into a value, which it changes only if all of the row fits.
type rowReader func(Row, reflect.Value) error

// readerOf gives the reader of rows of these columns into values of the type.
func readerOf(columns []string, of reflect.Type) (rowReader, error) {
	switch {
	case of.Kind() == reflect.Pointer && of.Elem().Kind() == reflect.Struct && !isValue(of.Elem()):
		read, err := readerOf(columns, of.Elem())
		return func(row Row, target reflect.Value) error {
			made := reflect.New(of.Elem())
			if err := read(row, made.Elem()); err != nil {
				return err
			}
			target.Set(made)
			return nil
		}, err
	case of.Kind() == reflect.Struct && !isValue(of):
		return structReader(columns, of), nil
	case of.Kind() == reflect.Map && of.Key().Kind() == reflect.String && !isValue(of):
		return readMap, nil
	case len(columns) == 1:
		return func(row Row, target reflect.Value) error { return row.At(0).set(target) }, nil
	}
	return nil, invalid("target", fmt.Sprintf("%s does not hold a row of %d columns", of, len(columns)))
}

// isValue says whether a type is one value, as a time is, and not a row.
func isValue(of reflect.Type) bool {
	pointer := reflect.PointerTo(of)
	return pointer.Implements(scannerType) || pointer.Implements(unmarshalerType) ||
		pointer.Implements(textUnmarshalerType)
}

func structReader(columns []string, of reflect.Type) rowReader {
	byName := map[string][]int{}
	byFoldedName := map[string][]int{}
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		// An outer field comes before one of the same name that is embedded.
		if earlier, ok := byName[name]; !ok || len(field.Index) < len(earlier) {
			byName[name] = field.Index
			byFoldedName[strings.ToLower(name)] = field.Index
		}
	}
	fields := make([][]int, len(columns))
	for i, column := range columns {
		fields[i] = byName[column]
		if fields[i] == nil {
			fields[i] = byFoldedName[strings.ToLower(column)]
		}
	}
	return func(row Row, target reflect.Value) error { return readStruct(row, target, fields) }
}

func readStruct(row Row, target reflect.Value, fields [][]int) error {
	cells := row.rows.table.Row(row.index)
	type read struct {
		field []int
		value reflect.Value
	}
	var all []read
	for i := range cells {
		field := fields[cells[i].Column]
		if field == nil {
			continue
		}
		it := row.sent(&cells[i])
		value := reflect.New(target.Type().FieldByIndex(field).Type).Elem()
		if current, err := target.FieldByIndexErr(field); err == nil {
			value.Set(current)
		}
		if err := it.set(value); err != nil {
			return err
		}
		if !canReach(target, field) {
			return it.unfit("its field is in an embedded struct that can't be made", nil)
		}
		all = append(all, read{field, value})
	}
	for _, it := range all {
		fieldOf(target, it.field).Set(it.value)
	}
	return nil
}

// canReach says whether the embedded structs on the way to a field are there or can be made.
func canReach(target reflect.Value, index []int) bool {
	for i, at := range index {
		if i > 0 && target.Kind() == reflect.Pointer {
			if target.IsNil() {
				return target.CanSet()
			}
			target = target.Elem()
		}
		target = target.Field(at)
	}
	return true
}

// fieldOf is a field, for which the embedded pointers on the way to it are made.
func fieldOf(target reflect.Value, index []int) reflect.Value {
	for i, at := range index {
		if i > 0 && target.Kind() == reflect.Pointer {
			if target.IsNil() {
				target.Set(reflect.New(target.Type().Elem()))
			}
			target = target.Elem()
		}
		target = target.Field(at)
	}
	return target
}

// readMap reads what the server sent of a row.
func readMap(row Row, target reflect.Value) error {
	cells := row.rows.table.Row(row.index)
	values := make([]reflect.Value, len(cells))
	for i := range cells {
		values[i] = reflect.New(target.Type().Elem()).Elem()
		if err := row.sent(&cells[i]).set(values[i]); err != nil {
			return err
		}
	}
	if target.IsNil() {
		target.Set(reflect.MakeMapWithSize(target.Type(), len(cells)))
	}
	for i := range cells {
		name := row.rows.table.Columns[cells[i].Column]
		target.SetMapIndex(reflect.ValueOf(name).Convert(target.Type().Key()), values[i])
	}
	return nil
}

// set puts the value into a variable, or leaves it as it is and says why.
func (c Cell) set(target reflect.Value) error {
	of := target.Type()
	kind := of.Kind()
	switch {
	case reflect.PointerTo(of).Implements(scannerType):
		// Into a copy: those of database/sql are changed by what fails, too.
		copied := reflect.New(of)
		copied.Elem().Set(target)
		if err := c.scan(copied.Interface().(scanner)); err != nil {
			return err
		}
		target.Set(copied.Elem())
		return nil
	case kind == reflect.Interface && of.NumMethod() == 0:
		if value := c.Any(); value == nil {
			target.SetZero()
		} else {
			target.Set(reflect.ValueOf(value))
		}
		return nil
	case kind == reflect.Pointer:
		if c.IsNull() {
			target.SetZero()
			return nil
		}
		made := reflect.New(of.Elem())
		if err := c.set(made.Elem()); err != nil {
			return err
		}
		target.Set(made)
		return nil
	case c.IsNull() && kind != reflect.Slice && kind != reflect.Map:
		return c.isNo("a " + of.String())
	case reflect.PointerTo(of).Implements(unmarshalerType):
		return c.unmarshal(target, json.Unmarshal, c.json())
	case reflect.PointerTo(of).Implements(textUnmarshalerType) && c.isText():
		return c.unmarshal(target, unmarshalText, []byte(c.Text()))
	}
	return c.setPlain(target)
}

// isText says whether the value is one that a text can be of: neither null nor nested.
func (c Cell) isText() bool { return !c.IsNull() && c.cell.Kind != cabi.ValueJSON }

func (c Cell) setPlain(target reflect.Value) error {
	of := target.Type()
	switch of.Kind() {
	case reflect.String:
		if of == numberType && c.Kind() != Number {
			return c.isNo("a number")
		}
		// Any value can be read as a text.
		target.SetString(c.Text())
		return nil
	case reflect.Bool:
		value, err := c.Bool()
		if err != nil {
			return err
		}
		target.SetBool(value)
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		value, err := c.Int64()
		if err != nil || target.OverflowInt(value) {
			return c.isNo("a whole number that fits " + of.String())
		}
		target.SetInt(value)
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		value, err := c.Uint64()
		if err != nil || target.OverflowUint(value) {
			return c.isNo("a whole number that fits " + of.String())
		}
		target.SetUint(value)
		return nil
	case reflect.Float32, reflect.Float64:
		value, err := c.Float64()
		if err != nil || target.OverflowFloat(value) {
			return c.isNo("a number that fits " + of.String())
		}
		target.SetFloat(value)
		return nil
	case reflect.Slice:
		if c.IsNull() {
			target.SetZero()
			return nil
		}
		if of.Elem().Kind() == reflect.Uint8 && !isValue(of.Elem()) {
			target.SetBytes([]byte(c.Text()))
			return nil
		}
	}
	return c.unmarshal(target, json.Unmarshal, c.json())
}

// scan gives the value to what reads it as from a driver of database/sql.
func (c Cell) scan(into scanner) error {
	if err := into.Scan(c.driverValue()); err != nil {
		return c.unfit(err.Error(), err)
	}
	return nil
}

func unmarshalText(text []byte, into any) error {
	return into.(encoding.TextUnmarshaler).UnmarshalText(text)
}

// unmarshal reads into a new value first, because what fails may have changed it.
func (c Cell) unmarshal(target reflect.Value, read func(text []byte, into any) error, text []byte) error {
	made := reflect.New(target.Type())
	if err := read(text, made.Interface()); err != nil {
		return c.unfit(err.Error(), err)
	}
	target.Set(made.Elem())
	return nil
}

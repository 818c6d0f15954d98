package phantomdb

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// scanner is database/sql's.
type scanner interface{ Scan(src any) error }

func scanRow(row Row, into []any) error {
	if columns := len(row.rows.Columns()); len(into) != columns {
		return invalid("into", fmt.Sprintf("%d pointers for %d columns", len(into), columns))
	}
	for i, target := range into {
		pointer := reflect.ValueOf(target)
		if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
			return invalid("into", fmt.Sprintf("%T is no pointer", target))
		}
		if err := row.At(i).set(pointer.Elem()); err != nil {
			return err
		}
	}
	return nil
}

func scanInto(row Row, target any) error {
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return invalid("target", fmt.Sprintf("%T is no pointer", target))
	}
	set, err := setterOf(row.rows.Columns(), pointer.Type().Elem())
	if err != nil {
		return err
	}
	return set(row, pointer.Elem())
}

func scanAll(rows *Rows, slice any) error {
	pointer := reflect.ValueOf(slice)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() || pointer.Elem().Kind() != reflect.Slice {
		return invalid("slice", fmt.Sprintf("%T is no pointer to a slice", slice))
	}
	all := reflect.MakeSlice(pointer.Elem().Type(), rows.Len(), rows.Len())
	set, err := setterOf(rows.Columns(), all.Type().Elem())
	if err != nil {
		return err
	}
	for i := 0; i < rows.Len(); i++ {
		if err := set(rows.Row(i), all.Index(i)); err != nil {
			return err
		}
	}
	pointer.Elem().Set(all)
	return nil
}

// setterOf gives the function that reads a row of these columns into a value of the type.
func setterOf(columns []string, of reflect.Type) (func(Row, reflect.Value) error, error) {
	switch {
	case of.Kind() == reflect.Pointer && of.Elem().Kind() == reflect.Struct && !isValue(of.Elem()):
		set, err := setterOf(columns, of.Elem())
		return func(row Row, target reflect.Value) error {
			target.Set(reflect.New(of.Elem()))
			return set(row, target.Elem())
		}, err
	case of.Kind() == reflect.Struct && !isValue(of):
		return structSetter(columns, of), nil
	case of.Kind() == reflect.Map && of.Key().Kind() == reflect.String:
		return mapSetter(columns), nil
	case len(columns) == 1:
		return func(row Row, target reflect.Value) error { return row.At(0).set(target) }, nil
	}
	return nil, invalid("target", fmt.Sprintf("%s holds no row of %d columns", of, len(columns)))
}

var (
	scannerType     = reflect.TypeOf((*scanner)(nil)).Elem()
	unmarshalerType = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()
)

// isValue says whether a struct is one value, as a time is, and not a row.
func isValue(of reflect.Type) bool {
	pointer := reflect.PointerTo(of)
	return pointer.Implements(scannerType) || pointer.Implements(unmarshalerType)
}

func structSetter(columns []string, of reflect.Type) func(Row, reflect.Value) error {
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
	return func(row Row, target reflect.Value) error {
		for i, field := range fields {
			if field == nil {
				continue
			}
			if err := row.At(i).set(fieldOf(target, field)); err != nil {
				return err
			}
		}
		return nil
	}
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

func mapSetter(columns []string) func(Row, reflect.Value) error {
	return func(row Row, target reflect.Value) error {
		if target.IsNil() {
			target.Set(reflect.MakeMapWithSize(target.Type(), len(columns)))
		}
		for i, column := range columns {
			value := reflect.New(target.Type().Elem()).Elem()
			if err := row.At(i).set(value); err != nil {
				return err
			}
			target.SetMapIndex(reflect.ValueOf(column).Convert(target.Type().Key()), value)
		}
		return nil
	}
}

// set puts the value into a variable.
func (c Cell) set(target reflect.Value) error {
	if target.CanAddr() {
		if scans, ok := target.Addr().Interface().(scanner); ok {
			return scans.Scan(c.Any())
		}
	}
	kind := target.Kind()
	switch {
	case kind == reflect.Interface && target.NumMethod() == 0:
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
		made := reflect.New(target.Type().Elem())
		target.Set(made)
		return c.set(made.Elem())
	case c.IsNull() && kind != reflect.Slice && kind != reflect.Map:
		return c.isNo(target.Type().String())
	case reflect.PointerTo(target.Type()).Implements(unmarshalerType):
		return c.unmarshal(target)
	}
	switch kind {
	case reflect.String:
		// Any value can be read as a text.
		target.SetString(c.Text())
		return nil
	case reflect.Bool:
		value, err := c.Bool()
		target.SetBool(value)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		value, err := c.Int64()
		if err == nil && target.OverflowInt(value) {
			err = c.isNo(target.Type().String())
		}
		target.SetInt(value)
		return err
	case reflect.Float32, reflect.Float64:
		value, err := c.Float64()
		target.SetFloat(value)
		return err
	}
	return c.unmarshal(target)
}

func (c Cell) unmarshal(target reflect.Value) error {
	if err := json.Unmarshal(c.json(), target.Addr().Interface()); err != nil {
		return &Error{Code: ErrType, Message: "column " + c.column + ": " + err.Error()}
	}
	return nil
}

package phantomdb

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"unicode/utf8"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Operations is what the server can be asked: on a [Client], and on a pool, which takes a client for
// each call alone.
//
// The end of the context ends a call at once, with an error that is the context's by [errors.Is].
// A request in flight is then cut, and what the server made of it is unknown. A request is sent
// again only if nothing of it reached the server, or if it only reads; an insert never.
type Operations struct {
	pool cabi.Pool
	// connection is what they are on, if not on a pool.
	connection cabi.Connection
}

// OperationsOn is for package pool.
func OperationsOn(pool cabi.Pool) Operations { return Operations{pool: pool} }

// Column is a column of a new table.
type Column struct {
	// Name and Type are as in SQL: "id" and "integer", for example.
	Name string `json:"name"`
	Type string `json:"type"`
	// NotNull is whether rows must give a value.
	NotNull bool `json:"-"`
	// PrimaryKey is whether the column is the primary key, or a part of it.
	PrimaryKey bool `json:"primaryKey,omitempty"`
	// Default is the value of rows that give none; nil for no default.
	Default any `json:"defaultValue,omitempty"`
}

// MarshalJSON writes the column as the server wants it.
func (c Column) MarshalJSON() ([]byte, error) {
	type plain Column
	column := struct {
		plain
		Nullable *bool `json:"nullable,omitempty"`
	}{plain: plain(c)}
	if c.NotNull {
		column.Nullable = new(bool)
	}
	return json.Marshal(column)
}

// Response is the body of the response to an operation, as JSON: mostly an object.
type Response []byte

// Decode decodes the response as [json.Unmarshal] does.
func (a Response) Decode(into any) error { return json.Unmarshal(a, into) }

// String is the text of the response.
func (a Response) String() string { return string(a) }

// HealthCheck asks the server for its health: an object whose status is "healthy" or "unhealthy".
func (o Operations) HealthCheck(ctx context.Context) (Response, error) {
	return o.text(ctx, cabi.HealthCheck)
}

// ListDatabases lists the names of the databases.
func (o Operations) ListDatabases(ctx context.Context) ([]string, error) {
	return o.names(ctx, cabi.ListDatabases)
}

// CreateDatabase makes a database; status 409 if there is one of this name.
func (o Operations) CreateDatabase(ctx context.Context, name string) error {
	return o.do(ctx, cabi.CreateDatabase, &name)
}

// DropDatabase removes a database with all that is in it.
func (o Operations) DropDatabase(ctx context.Context, database string) error {
	return o.do(ctx, cabi.DropDatabase, &database)
}

// ListTables lists the names of the tables of a database.
func (o Operations) ListTables(ctx context.Context, database string) ([]string, error) {
	return o.names(ctx, cabi.ListTables, &database)
}

// CreateTable makes a table.
func (o Operations) CreateTable(ctx context.Context, database, name string, columns []Column) error {
	text, err := written("columns", columns)
	if err != nil {
		return err
	}
	return o.do(ctx, cabi.CreateTable, &database, &name, &text)
}

// DropTable removes a table with all its rows.
func (o Operations) DropTable(ctx context.Context, database, table string) error {
	return o.do(ctx, cabi.DropTable, &database, &table)
}

// Insert adds one row: anything that is an object as JSON, such as a struct with json tags or a map.
// It is never carried out twice.
func (o Operations) Insert(ctx context.Context, database, table string, row any) (Response, error) {
	text, err := written("row", row)
	if err != nil {
		return nil, err
	}
	return o.text(ctx, cabi.Insert, &database, &table, &text)
}

// Select reads the rows that fulfil an SQL condition, or all without one. A blank condition is
// refused.
func (o Operations) Select(ctx context.Context, database, table string, condition ...string) (*Rows, error) {
	return o.rows(ctx, cabi.Select, append([]*string{&database, &table}, optional(condition)...)...)
}

// Update changes the rows that fulfil an SQL condition, or all without one, and returns how many,
// or -1 if the server did not say. A blank condition is refused.
func (o Operations) Update(
	ctx context.Context, database, table string, data any, condition ...string,
) (int64, error) {
	text, err := written("data", data)
	if err != nil {
		return 0, err
	}
	arguments := append([]*string{&database, &table, &text}, optional(condition)...)
	return o.affected(ctx, cabi.Update, arguments...)
}

// Delete deletes the rows that fulfil an SQL condition, and returns how many, or -1 if the server
// did not say. The condition is never optional: say "1=1" for all rows.
func (o Operations) Delete(ctx context.Context, database, table, condition string) (int64, error) {
	return o.affected(ctx, cabi.Delete, &database, &table, &condition)
}

// Query runs one SQL statement, with a value for each ? of it, and returns its rows.
func (o Operations) Query(ctx context.Context, database, sql string, parameters ...any) (*Rows, error) {
	arguments, err := statement(&database, &sql, parameters)
	if err != nil {
		return nil, err
	}
	return o.rows(ctx, cabi.ExecuteQuery, arguments...)
}

// ExecuteQuery is Query under the public SDK's name.
func (o Operations) ExecuteQuery(ctx context.Context, database, sql string, parameters ...any) (*Rows, error) {
	return o.Query(ctx, database, sql, parameters...)
}

// Exec runs one SQL statement, with a value for each ? of it, and returns how many rows it changed,
// or -1 if the server did not say.
func (o Operations) Exec(ctx context.Context, database, sql string, parameters ...any) (int64, error) {
	arguments, err := statement(&database, &sql, parameters)
	if err != nil {
		return 0, err
	}
	return o.affected(ctx, cabi.ExecuteQuery, arguments...)
}

// Request sends a request that has no name here. The path begins with "/" and is sent as it is; the
// body is anything that can be written as JSON, or nil for none.
func (o Operations) Request(ctx context.Context, method, path string, body any) (Response, error) {
	var text string
	if body != nil {
		var err error
		if text, err = written("body", body); err != nil {
			return nil, err
		}
	}
	result, err := o.request(ctx, method, path, []byte(text))
	if err != nil {
		return nil, Wrap(err)
	}
	taken, err := result.TakeText()
	return taken, Wrap(err)
}

func (o Operations) run(ctx context.Context, operation cabi.Operation, arguments ...*string) (cabi.Result, error) {
	switch {
	case o.connection != 0:
		return o.connection.Run(ctx, operation, arguments...)
	case o.pool != 0:
		return o.pool.Run(ctx, operation, arguments...)
	}
	return cabi.Result{}, neverOpened()
}

func (o Operations) request(ctx context.Context, method, path string, body []byte) (cabi.Result, error) {
	switch {
	case o.connection != 0:
		return o.connection.Request(ctx, method, path, body)
	case o.pool != 0:
		return o.pool.Request(ctx, method, path, body)
	}
	return cabi.Result{}, neverOpened()
}

// neverOpened is the error of a zero Client or Pool.
func neverOpened() error {
	return &Error{
		Code:    ErrInvalidHandle,
		Message: "The client or pool was never opened: make one with pool.New, pool.Connect or phantomdb.New",
	}
}

func (o Operations) do(ctx context.Context, operation cabi.Operation, arguments ...*string) error {
	result, err := o.run(ctx, operation, arguments...)
	if err != nil {
		return Wrap(err)
	}
	result.Drop()
	return nil
}

func (o Operations) text(ctx context.Context, operation cabi.Operation, arguments ...*string) (Response, error) {
	result, err := o.run(ctx, operation, arguments...)
	if err != nil {
		return nil, Wrap(err)
	}
	taken, err := result.TakeText()
	return taken, Wrap(err)
}

func (o Operations) names(ctx context.Context, operation cabi.Operation, arguments ...*string) ([]string, error) {
	result, err := o.run(ctx, operation, arguments...)
	if err != nil {
		return nil, Wrap(err)
	}
	names, err := result.TakeNames()
	return names, Wrap(err)
}

func (o Operations) rows(ctx context.Context, operation cabi.Operation, arguments ...*string) (*Rows, error) {
	result, err := o.run(ctx, operation, arguments...)
	if err != nil {
		return nil, Wrap(err)
	}
	table, err := result.TakeTable()
	if err != nil {
		return nil, Wrap(err)
	}
	return &Rows{table: table}, nil
}

func (o Operations) affected(ctx context.Context, operation cabi.Operation, arguments ...*string) (int64, error) {
	result, err := o.run(ctx, operation, arguments...)
	if err != nil {
		return 0, Wrap(err)
	}
	count, err := result.TakeAffectedRows()
	return count, Wrap(err)
}

func statement(database, sql *string, parameters []any) ([]*string, error) {
	if len(parameters) == 0 {
		return []*string{database, sql}, nil
	}
	text, err := written("parameters", parameters)
	return []*string{database, sql, &text}, err
}

func written(name string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", invalid(name, "can't be written as JSON: "+err.Error())
	}
	// What is not UTF-8 becomes this, and so would be stored as something else.
	if bytes.Contains(text, []byte(`\ufffd`)) && !isUTF8(reflect.ValueOf(value)) {
		return "", invalid(name, "contains a text that is not UTF-8")
	}
	return string(text), nil
}

var marshalerType = reflect.TypeOf((*json.Marshaler)(nil)).Elem()

// isUTF8 says whether all texts are UTF-8 in a value that can be written as JSON. What writes itself
// responses for itself.
func isUTF8(value reflect.Value) bool {
	if !value.IsValid() || value.Type().Implements(marshalerType) && value.Kind() != reflect.Struct {
		return true
	}
	switch value.Kind() {
	case reflect.String:
		return utf8.ValidString(value.String())
	case reflect.Pointer, reflect.Interface:
		return isUTF8(value.Elem())
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			if !isUTF8(entries.Key()) || !isUTF8(entries.Value()) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < value.Len(); i++ {
			if !isUTF8(value.Index(i)) {
				return false
			}
		}
	case reflect.Struct:
		for i := 0; i < value.NumField(); i++ {
			field := value.Type().Field(i)
			isWritten := field.IsExported() || field.Anonymous
			if isWritten && field.Tag.Get("json") != "-" && !isUTF8(value.Field(i)) {
				return false
			}
		}
	}
	return true
}

func optional(texts []string) []*string {
	pointers := make([]*string, len(texts))
	for i := range texts {
		pointers[i] = &texts[i]
	}
	return pointers
}

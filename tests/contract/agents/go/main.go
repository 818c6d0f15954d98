// The agent for Go: a goroutine for each command.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// command is one line of the driver's.
type command struct {
	ID        int64
	Do        string
	On        string
	As        string
	From      string
	Call      int64
	Timeout   *int64
	Owner     string
	Operation string
	Arguments []*string
	Method    string
	Path      string
	Body      *string
	Min       int
	Max       int
	Token     string
	Options   map[string]json.RawMessage
}

// named is a pool, with what it has logged.
type named struct {
	*pool.Pool
	lock     sync.Mutex
	messages [][2]string
}

// things is what the driver has given names to; released clients keep theirs.
type things struct {
	lock    sync.Mutex
	pools   map[string]*named
	clients map[string]*pool.Client
	cancels map[int64]context.CancelFunc
}

var (
	all    things
	output sync.Mutex
)

func (t *things) clear() map[string]*named {
	t.lock.Lock()
	defer t.lock.Unlock()
	pools := t.pools
	t.pools = map[string]*named{}
	t.clients = map[string]*pool.Client{}
	t.cancels = map[int64]context.CancelFunc{}
	return pools
}

func (t *things) pool(name string) *named {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.pools[name]
}

func (t *things) client(name string) *pool.Client {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.clients[name]
}

func main() {
	all.clear()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		it := command{On: "pool"}
		if err := json.Unmarshal(lines.Bytes(), &it); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		all.lock.Lock()
		all.cancels[it.ID] = cancel
		all.lock.Unlock()
		go func() {
			value, err := carryOut(ctx, &it)
			all.lock.Lock()
			delete(all.cancels, it.ID)
			all.lock.Unlock()
			cancel()
			report(it.ID, value, err)
		}()
	}
}

func report(id int64, value any, err error) {
	line := map[string]any{"id": id, "ok": value}
	var failure *phantomdb.Error
	if errors.As(err, &failure) {
		line = map[string]any{"id": id, "error": map[string]any{
			"code":        failure.Code.String(),
			"status":      failure.Status,
			"retriable":   failure.Retriable,
			"retry_after": failure.RetryAfter.Milliseconds(),
			"message":     failure.Message,
		}}
	} else if err != nil {
		panic(err)
	} else if response, ok := value.(phantomdb.Response); ok {
		line = map[string]any{"id": id, "text": response.String()}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	_, _ = os.Stdout.Write(text.Bytes())
}

// within gives the context the command's time-out, if it has one.
func (c *command) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Timeout == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(*c.Timeout)*time.Millisecond)
}

func carryOut(ctx context.Context, it *command) (any, error) {
	switch it.Do {
	case "create":
		return nil, create(it)
	case "acquire":
		ctx, cancel := it.within(ctx)
		defer cancel()
		client, err := all.pool(it.On).Acquire(ctx)
		return nil, keep(it, client, err)
	case "try_acquire":
		client, err := all.pool(it.On).TryAcquire()
		return nil, keep(it, client, err)
	case "release":
		if it.From != "" {
			return nil, all.pool(it.From).Release(all.client(it.On))
		}
		return nil, all.client(it.On).Release()
	case "discard":
		return nil, all.client(it.On).Discard()
	case "run":
		return run(ctx, it)
	case "request":
		var body any
		if it.Body != nil {
			body = json.RawMessage(*it.Body)
		}
		return operations(it).Request(ctx, it.Method, it.Path, body)
	case "cancel":
		all.lock.Lock()
		cancel, isUnderWay := all.cancels[it.Call]
		all.lock.Unlock()
		if isUnderWay {
			cancel()
		}
		return nil, nil
	case "interrupt":
		return nil, all.client(it.On).Interrupt()
	case "status":
		status, err := all.pool(it.On).Status()
		return map[string]int{
			"available": status.Available, "used": status.Used, "pending": status.Pending,
			"total": status.Total, "min": status.Min, "max": status.Max,
		}, err
	case "stats":
		return all.pool(it.On).Stats()
	case "metrics":
		return all.pool(it.On).Metrics()
	case "log":
		of := all.pool(it.On)
		of.lock.Lock()
		defer of.lock.Unlock()
		return append([][2]string{}, of.messages...), nil
	case "reset":
		return nil, all.pool(it.On).Reset()
	case "resize":
		return nil, all.pool(it.On).Resize(it.Min, it.Max)
	case "set_token":
		return nil, all.pool(it.On).SetToken(it.Token)
	case "close":
		if it.Timeout == nil {
			return nil, all.pool(it.On).Close()
		}
		ctx, cancel := it.within(ctx)
		defer cancel()
		return nil, all.pool(it.On).Shutdown(ctx)
	case "end":
		over, cancel := context.WithCancel(ctx)
		cancel()
		for _, one := range all.clear() {
			if err := one.Shutdown(over); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	panic("there is no command " + it.Do)
}

// keep keeps a client under the name that the command gives it.
func keep(it *command, client *pool.Client, err error) error {
	if err != nil {
		return err
	}
	if it.Owner != "" {
		if err := client.SetOwner(it.Owner); err != nil {
			return err
		}
	}
	all.lock.Lock()
	defer all.lock.Unlock()
	all.clients[it.As] = client
	return nil
}

// operations are those of the client or the pool that the command is for.
func operations(it *command) phantomdb.Operations {
	if client := all.client(it.On); client != nil {
		return client.Operations
	}
	return all.pool(it.On).Operations
}

func run(ctx context.Context, it *command) (any, error) {
	on := operations(it)
	text := func(index int) string {
		if index >= len(it.Arguments) || it.Arguments[index] == nil {
			return ""
		}
		return *it.Arguments[index]
	}
	value := func(index int) any {
		if text(index) == "" {
			return nil
		}
		return json.RawMessage(text(index))
	}
	// What may be left out.
	rest := func(index int) []string {
		if index >= len(it.Arguments) {
			return nil
		}
		return []string{text(index)}
	}
	switch it.Operation {
	case "health_check":
		return on.HealthCheck(ctx)
	case "list_databases":
		return on.ListDatabases(ctx)
	case "create_database":
		return nil, on.CreateDatabase(ctx, text(0))
	case "drop_database":
		return nil, on.DropDatabase(ctx, text(0))
	case "list_tables":
		return on.ListTables(ctx, text(0))
	case "create_table":
		return nil, on.CreateTable(ctx, text(0), text(1), columns(text(2)))
	case "drop_table":
		return nil, on.DropTable(ctx, text(0), text(1))
	case "insert":
		return on.Insert(ctx, text(0), text(1), value(2))
	case "select":
		rows, err := on.Select(ctx, text(0), text(1), rest(2)...)
		if err != nil {
			return nil, err
		}
		return rows.Maps(), nil
	case "update":
		return counted(on.Update(ctx, text(0), text(1), value(2), rest(3)...))
	case "delete":
		return counted(on.Delete(ctx, text(0), text(1), text(2)))
	case "execute_query":
		return query(on.Query(ctx, text(0), text(1), parameters(text(2))...))
	case "begin_transaction":
		id, err := all.client(it.On).BeginTransaction(ctx, rest(0)...)
		return map[string]string{"transaction_id": id}, err
	case "commit_transaction":
		return nil, all.client(it.On).CommitTransaction(ctx, rest(0)...)
	case "rollback_transaction":
		return nil, all.client(it.On).RollbackTransaction(ctx, rest(0)...)
	}
	panic("there is no operation " + it.Operation)
}

func counted(count int64, err error) (any, error) {
	return map[string]int64{"count": count}, err
}

// query gives a query's rows as lists, in the order of their columns.
func query(rows *phantomdb.Rows, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	lists := make([][]any, rows.Len())
	for i := range lists {
		lists[i] = []any{}
		for j := range rows.Columns() {
			lists[i] = append(lists[i], rows.Cell(i, j).Any())
		}
	}
	columns := append([]string{}, rows.Columns()...)
	// Others say null where the server said nothing.
	var affected any
	if count := rows.Affected(); count != -1 {
		affected = count
	}
	return map[string]any{
		"columns": columns, "rows": lists, "rowCount": rows.Count(), "affectedRows": affected,
	}, nil
}

func parameters(text string) []any {
	if text == "" {
		return nil
	}
	var values []json.RawMessage
	must(json.Unmarshal([]byte(text), &values))
	anything := make([]any, len(values))
	for i := range values {
		anything[i] = values[i]
	}
	return anything
}

func columns(text string) []phantomdb.Column {
	var given []struct {
		phantomdb.Column
		Nullable *bool
	}
	must(json.Unmarshal([]byte(text), &given))
	columns := make([]phantomdb.Column, len(given))
	for i, one := range given {
		columns[i] = one.Column
		columns[i].NotNull = one.Nullable != nil && !*one.Nullable
	}
	return columns
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func create(it *command) error {
	made := &named{}
	var config pool.Config
	for name, value := range it.Options {
		set(&config, made, name, value)
	}
	var err error
	if made.Pool, err = pool.New(config); err != nil {
		return err
	}
	all.lock.Lock()
	defer all.lock.Unlock()
	all.pools[it.As] = made
	return nil
}

func set(config *pool.Config, of *named, name string, value json.RawMessage) {
	var text string
	var number int64
	if value[0] == '"' {
		must(json.Unmarshal(value, &text))
	} else if value[0] != 't' && value[0] != 'f' {
		must(json.Unmarshal(value, &number))
	}
	// A 0 stands for the default in this language.
	count, span := int(number), time.Duration(number)*time.Millisecond
	if number == 0 {
		count, span = pool.None, pool.None
	}
	validations := map[string]pool.Validation{
		"socket": pool.ValidateSocket, "ping": pool.ValidatePing, "none": pool.ValidateNone,
	}
	field := reflect.ValueOf(config).Elem().FieldByNameFunc(func(field string) bool {
		return strings.EqualFold(field, strings.ReplaceAll(name, "_", ""))
	})
	if !field.IsValid() {
		panic(fmt.Sprintf("there is no option %s", name))
	}
	switch field := field.Addr().Interface().(type) {
	case *string:
		*field = text
	case *int:
		*field = count
	case *int64:
		*field = int64(count)
	case *time.Duration:
		*field = span
	case *bool:
		*field = value[0] == 't'
	case *pool.Validation:
		*field = validations[text]
	case *func(pool.LogLevel, string):
		*field = func(level pool.LogLevel, message string) {
			of.lock.Lock()
			defer of.lock.Unlock()
			of.messages = append(of.messages, [2]string{level.String(), message})
		}
	default:
		panic(fmt.Sprintf("the option %s is a %T", name, field))
	}
}

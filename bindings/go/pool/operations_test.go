package pool_test

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func equal(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
}

// shop makes a pool with a database and a table.
func shop(t *testing.T) *pool.Pool {
	p := newPool(t, pool.Config{BaseURL: support.Devserver(t)})
	check(t, p.CreateDatabase(background, "shop"))
	check(t, p.CreateTable(background, "shop", "orders", []phantomdb.Column{
		{Name: "id", Type: "integer", PrimaryKey: true},
		{Name: "name", Type: "string", NotNull: true},
		{Name: "price", Type: "float", Default: 1.5},
		{Name: "paid", Type: "boolean"},
	}))
	return p
}

type order struct {
	ID    int64    `json:"id"`
	Name  string   `json:"name"`
	Price *float64 `json:"price"`
	Paid  *bool    `json:"paid"`
}

func TestEveryOperation(t *testing.T) {
	p := shop(t)
	health, err := p.HealthCheck(background)
	check(t, err)
	var status struct{ Status string }
	check(t, health.Decode(&status))
	equal(t, status.Status, "healthy")

	databases, err := p.ListDatabases(background)
	check(t, err)
	equal(t, databases, []string{"shop"})
	tables, err := p.ListTables(background, "shop")
	check(t, err)
	equal(t, tables, []string{"orders"})

	price, paid := 2.25, true
	response, err := p.Insert(background, "shop", "orders", order{1, "a <b> & ü", &price, &paid})
	check(t, err)
	if !strings.Contains(response.String(), "message") {
		t.Fatal(response)
	}
	for id := 2; id <= 4; id++ {
		_, err = p.Insert(background, "shop", "orders", map[string]any{"id": id, "name": "more"})
		check(t, err)
	}

	rows, err := p.Select(background, "shop", "orders", "id = 1")
	check(t, err)
	var orders []order
	check(t, rows.All(&orders))
	equal(t, orders, []order{{1, "a <b> & ü", &price, &paid}})
	rows, err = p.Select(background, "shop", "orders")
	check(t, err)
	equal(t, rows.Len(), 4)
	equal(t, rows.Columns(), []string{"id", "name", "price", "paid"})

	changed, err := p.Update(background, "shop", "orders", map[string]any{"name": "new"}, "id > 2")
	check(t, err)
	equal(t, changed, int64(2))
	changed, err = p.Update(background, "shop", "orders", map[string]any{"paid": false})
	check(t, err)
	equal(t, changed, int64(4))
	deleted, err := p.Delete(background, "shop", "orders", "id = 4")
	check(t, err)
	equal(t, deleted, int64(1))

	rows, err = p.Query(background, "shop", "SELECT id FROM orders WHERE name = ? AND id < ?", "new", 10)
	check(t, err)
	equal(t, rows.Maps(), []map[string]any{{"id": int64(3)}})
	changed, err = p.Exec(background, "shop", "DELETE FROM orders WHERE id = ?", 3)
	check(t, err)
	equal(t, changed, int64(1))

	response, err = p.Request(background, "POST", "/databases/shop/query", map[string]string{"query": "SELECT 7 AS n"})
	check(t, err)
	var queried struct{ Rows [][]int }
	check(t, response.Decode(&queried))
	equal(t, queried.Rows, [][]int{{7}})

	check(t, p.DropTable(background, "shop", "orders"))
	check(t, p.DropDatabase(background, "shop"))
}

func TestTransactions(t *testing.T) {
	p := shop(t)
	count := func(on phantomdb.Operations) int {
		rows, err := on.Query(background, "shop", "SELECT count(*) FROM orders")
		check(t, err)
		var count int
		check(t, rows.Row(0).Scan(&count))
		return count
	}
	insert := func(client *pool.Client, id int) {
		_, err := client.Insert(background, "shop", "orders", map[string]any{"id": id, "name": "x"})
		check(t, err)
	}
	check(t, p.Do(background, func(client *pool.Client) error {
		id, err := client.BeginTransaction(background, "shop")
		check(t, err)
		insert(client, 1)
		_, err = client.BeginTransaction(background)
		wantError(t, err, pool.ErrInvalidState)
		wantError(t, client.CommitTransaction(background, "another"), pool.ErrInvalidState)
		return client.CommitTransaction(background, id)
	}))
	equal(t, count(p.Operations), 1)
	client := acquire(t, p)
	_, err := client.BeginTransaction(background)
	check(t, err)
	insert(client, 2)
	equal(t, count(client.Operations), 2)
	check(t, client.RollbackTransaction(background))
	equal(t, count(client.Operations), 1)
	_, err = client.BeginTransaction(background)
	check(t, err)
	insert(client, 3)
	check(t, client.Release())
	equal(t, count(p.Operations), 1)
	wantError(t, p.Do(background, func(client *pool.Client) error {
		return client.CommitTransaction(background)
	}), pool.ErrInvalidState)
}

// values gives a row with a value of each kind.
func values(t *testing.T) *phantomdb.Rows {
	url := support.Serve(t, serveText(`{"columns":["null","yes","one","big","huge","half","text","list"],
		"rows":[[null,true,1,9007199254740993,123456789012345678901234567890,0.5,"a\u0000\"b",[1,{"c":2}]]]}`))
	rows, err := newPool(t, pool.Config{BaseURL: url}).Query(background, "a", "SELECT 1")
	check(t, err)
	return rows
}

func TestCells(t *testing.T) {
	row := values(t).Row(0)
	type cell struct {
		kind phantomdb.Kind
		text string
		any  any
	}
	for name, want := range map[string]cell{
		"null": {phantomdb.Null, "", nil},
		"yes":  {phantomdb.Bool, "true", true},
		"one":  {phantomdb.Number, "1", int64(1)},
		"big":  {phantomdb.Number, "9007199254740993", int64(9007199254740993)},
		"huge": {phantomdb.Number, "123456789012345678901234567890", bigInt("123456789012345678901234567890")},
		"half": {phantomdb.Number, "0.5", 0.5},
		"text": {phantomdb.String, "a\x00\"b", "a\x00\"b"},
		"list": {phantomdb.JSON, `[1,{"c":2}]`, []any{json.Number("1"), map[string]any{"c": json.Number("2")}}},
	} {
		it := row.Get(name)
		equal(t, cell{it.Kind(), it.Text(), it.Any()}, want)
	}
	if !row.Get("null").IsNull() || !row.Get("no such").IsNull() || row.Get("yes").IsNull() {
		t.Fatal("wrong about nulls")
	}
	whole, err := row.Get("big").Int64()
	check(t, err)
	equal(t, whole, int64(9007199254740993))
	_, err = row.Get("half").Int64()
	wantError(t, err, phantomdb.ErrType, `row 0, column "half"`)
	_, err = row.Get("huge").Int64()
	wantError(t, err, phantomdb.ErrType)
	_, err = row.Get("null").Int64()
	wantError(t, err, phantomdb.ErrType, "null")
	half, err := row.Get("half").Float64()
	check(t, err)
	equal(t, half, 0.5)
	_, err = row.Get("text").Float64()
	wantError(t, err, phantomdb.ErrType)
	yes, err := row.Get("one").Bool()
	check(t, err)
	equal(t, yes, true)
	_, err = row.Get("big").Bool()
	wantError(t, err, phantomdb.ErrType)
}

func TestScanning(t *testing.T) {
	rows := values(t)
	var (
		null  *int
		yes   bool
		one   int8
		big   uint64
		huge  json.Number
		half  float32
		text  string
		list  []any
		raw   json.RawMessage
		maybe sql.NullString
		any_  any
	)
	row := rows.Row(0)
	check(t, row.Scan(&null, &yes, &one, &big, &huge, &half, &text, &list))
	equal(t, []any{null, yes, one, big, huge, half, text, len(list)}, []any{(*int)(nil), true, int8(1),
		uint64(9007199254740993), json.Number("123456789012345678901234567890"), float32(0.5), "a\x00\"b", 2})
	check(t, row.Scan(&maybe, &any_, &raw, &raw, &raw, &raw, &raw, &raw))
	equal(t, maybe, sql.NullString{})
	equal(t, string(raw), `[1,{"c":2}]`)
	wantError(t, row.Scan(&yes), phantomdb.ErrInvalidArgument, "1 pointers for 8 columns")
	wantError(t, row.Scan(1, 2, 3, 4, 5, 6, 7, 8), phantomdb.ErrInvalidArgument, "not a pointer")
	wantError(t, row.Scan(&yes, &yes, &one, &big, &raw, &half, &text, &list), phantomdb.ErrType, `column "null"`, "is null")
	wantError(t, row.Scan(&null, &yes, &one, &one, &raw, &half, &text, &list), phantomdb.ErrType, `column "big"`)

	type Inner struct {
		Half float64
		Text string `json:"text"`
	}
	type outer struct {
		*Inner
		Null  *time.Time
		Big   int64  `json:"big,omitempty"`
		Yes   string `json:"-"`
		Other string
	}
	all := []*outer{}
	check(t, rows.All(&all))
	equal(t, len(all), 1)
	equal(t, *all[0].Inner, Inner{0.5, "a\x00\"b"})
	equal(t, []any{all[0].Big, all[0].Yes, all[0].Other}, []any{int64(9007199254740993), "", ""})
	var texts []map[string]string
	wantError(t, rows.All(&texts), phantomdb.ErrType)
	maps := []map[string]any{}
	check(t, rows.All(&maps))
	equal(t, maps, rows.Maps())
	var into map[string]*string
	check(t, row.Into(&into))
	equal(t, *into["half"], "0.5")
	wantError(t, rows.All(all), phantomdb.ErrInvalidArgument, "not a pointer to a slice")
	var numbers []int
	wantError(t, rows.All(&numbers), phantomdb.ErrInvalidArgument, "8 columns")
}

func TestOneColumnScansIntoASliceOfItsValues(t *testing.T) {
	url := support.Serve(t, serveText(`{"columns":["at"],"rows":[["2026-01-02T03:04:05Z"],["2027-01-02T03:04:05Z"]]}`))
	rows, err := newPool(t, pool.Config{BaseURL: url}).Query(background, "a", "SELECT at FROM a")
	check(t, err)
	var times []time.Time
	check(t, rows.All(&times))
	equal(t, times[1], time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC))
	var texts []string
	check(t, rows.All(&texts))
	equal(t, texts[0], "2026-01-02T03:04:05Z")
}

func TestALargeRequestLeavesNoMemoryBehind(t *testing.T) {
	const size = 8 << 20
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, func(writer http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		support.Listing(writer, request)
	})})
	inUse := func() uint64 {
		var memory runtime.MemStats
		// Twice: the first may leave what pools of memory hold to the second.
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	_, err := p.ListDatabases(background)
	check(t, err)
	before := inUse()
	_, err = p.Insert(background, "a", "b", map[string]string{"text": strings.Repeat("x", size)})
	check(t, err)
	if after := inUse(); after > before+size/2 {
		t.Errorf("%d bytes before a large request, and %d after it", before, after)
	}
}

package pool_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func bigInt(digits string) *big.Int {
	value, _ := new(big.Int).SetString(digits, 10)
	return value
}

// rowsOf gives the rows of a response.
func rowsOf(t *testing.T, text string) *phantomdb.Rows {
	t.Helper()
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, serveText(text))})
	rows, err := p.Query(background, "a", "SELECT 1")
	check(t, err)
	return rows
}

// valueOf gives one value of a response.
func valueOf(t *testing.T, text string) phantomdb.Row {
	t.Helper()
	return rowsOf(t, `{"columns":["v"],"rows":[[`+text+`]]}`).Row(0)
}

func TestANumberIsGivenExactlyOrAsItsDigits(t *testing.T) {
	digits := strings.Repeat("9", 5000)
	cases := []struct {
		json string
		want any
	}{
		{"9007199254740993", int64(9007199254740993)},
		{"9223372036854775807", int64(math.MaxInt64)},
		{"-9223372036854775808", int64(math.MinInt64)},
		{"9223372036854775808", uint64(1 << 63)},
		{"18446744073709551615", uint64(math.MaxUint64)},
		{"18446744073709551616", bigInt("18446744073709551616")},
		{"-9223372036854775809", bigInt("-9223372036854775809")},
		{digits[:4300], bigInt(digits[:4300])},
		{digits, json.Number(digits)},
		{"-" + digits, json.Number("-" + digits)},
		{"-0", int64(0)},
		{"-0.0", math.Copysign(0, -1)},
		{"5.0", 5.0},
		{"1e3", 1000.0},
		{"1e308", 1e308},
		{"5e-324", 5e-324},
		{"1e-400", 0.0},
		{"1e400", json.Number("1e400")},
		{"-1E400", json.Number("-1E400")},
	}
	texts := make([]string, len(cases))
	for i, it := range cases {
		texts[i] = it.json
	}
	rows := rowsOf(t, `{"columns":["v"],"rows":[[`+strings.Join(texts, "],[")+`]]}`)
	type row struct{ V any }
	var all []row
	check(t, rows.All(&all))
	for i, it := range cases {
		var scanned any
		check(t, rows.Row(i).Scan(&scanned))
		for _, got := range []any{rows.Cell(i, 0).Any(), scanned, all[i].V, rows.Maps()[i]["v"]} {
			if !reflect.DeepEqual(got, it.want) || fmt.Sprint(got) != fmt.Sprint(it.want) {
				t.Fatalf("%.40s: got %.40v (%T), want %.40v (%T)", it.json, got, got, it.want, it.want)
			}
		}
		equal(t, rows.Cell(i, 0).Text(), it.json)
	}
	// A whole number however it is spelled, and exactly that one.
	for text, want := range map[string]int64{"1e3": 1000, "5.0": 5, "9007199254740993.0": 9007199254740993} {
		got, err := valueOf(t, text).At(0).Int64()
		check(t, err)
		equal(t, got, want)
	}
	number, err := valueOf(t, "9007199254740993.0").At(0).Float64()
	check(t, err)
	equal(t, number, 9007199254740992.0)
	large, err := valueOf(t, "18446744073709551616").At(0).Float64()
	check(t, err)
	equal(t, large, 18446744073709551616.0)
	_, err = valueOf(t, "1e400").At(0).Float64()
	wantError(t, err, pool.ErrType, `row 0, column "v"`)
}

// grumpy has a Scan method that changes it and then fails.
type grumpy struct{ changes int }

var errGrumpy = errors.New("that is not taken")

func (g *grumpy) Scan(any) error {
	g.changes++
	return errGrumpy
}

type inner struct{ N int8 }

func TestWhatDoesNotFitLeavesItsDestinationAlone(t *testing.T) {
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	seven := int8(7)
	for _, it := range []struct {
		json string
		// destination is a pointer to a value that is to stay as it is.
		destination any
	}{
		{"300", ptr(int8(7))}, {"-129", ptr(int8(7))}, {"40000", ptr(int16(7))}, {"3000000000", ptr(int32(7))},
		{"9223372036854775808", ptr(int64(7))}, {"1.5", ptr(7)}, {"1e400", ptr(7)}, {`"7"`, ptr(7)}, {"true", ptr(7)},
		{"-1", ptr(uint8(7))}, {"256", ptr(uint8(7))}, {"-1", ptr(uint64(7))}, {"18446744073709551616", ptr(uint64(7))},
		{"-1", ptr(uint(7))}, {"70000", ptr(uint16(7))}, {"4294967296", ptr(uint32(7))}, {"-1", ptr(uintptr(7))},
		{"1e300", ptr(float32(7))}, {"-1e300", ptr(float32(7))}, {"1e400", ptr(7.0)}, {`"7"`, ptr(7.0)},
		{"2", ptr(true)}, {`"true"`, ptr(true)}, {"[true]", ptr(true)},
		{"null", ptr(7)}, {"null", ptr("seven")}, {"null", ptr(true)}, {"null", ptr(7.0)}, {"null", ptr(uint8(7))},
		{"null", ptr(at)}, {"null", ptr(inner{7})}, {"null", ptr(json.Number("7"))},
		{`"not a time"`, ptr(at)}, {"7", ptr(at)}, {`"x"`, ptr(json.Number("7"))},
		{"300", ptr(&seven)}, {"300", ptr(ptr(&seven))}, {`{"N":300}`, ptr(inner{7})}, {`{"N":1,"N":300}`, ptr(&inner{7})},
		{`[1,300]`, ptr([]int8{7})}, {`{"a":1,"b":300}`, ptr(map[string]int8{"a": 7})}, {"7", ptr([]int{7})},
		{"[1,2]", ptr([2]string{"7"})}, {"1.5", ptr(bigInt("7"))}, {`"7"`, ptr(complex(7, 0))},
		{`"x"`, ptr(sql.NullInt64{Int64: 7, Valid: true})}, {`"x"`, ptr(sql.NullInt16{Int16: 7})},
		{"70000", ptr(sql.NullInt16{Int16: 7})}, {"300", ptr(sql.NullByte{Byte: 7})}, {"1e400", ptr(sql.NullFloat64{Float64: 7})},
		{`"x"`, ptr(sql.NullBool{})}, {`"x"`, ptr(sql.NullTime{Time: at})}, {`"x"`, ptr(&sql.NullInt32{Int32: 7})},
		{"18446744073709551616", ptr(sql.NullInt64{Int64: 7})}, {"1", ptr(grumpy{7})}, {"null", ptr(grumpy{7})},
		{`"x"`, ptr(netip.MustParseAddr("::7"))},
	} {
		t.Run(fmt.Sprintf("%s into %T", it.json, it.destination), func(t *testing.T) {
			rows := rowsOf(t, `{"columns":["v"],"rows":[[`+it.json+`]]}`)
			pointer := reflect.ValueOf(it.destination)
			before := fmt.Sprintf("%#v", deep(pointer.Elem()))
			stays := func(err error) {
				t.Helper()
				wantError(t, err, pool.ErrType, `row 0, column "v"`)
				equal(t, fmt.Sprintf("%#v", deep(pointer.Elem())), before)
			}
			stays(rows.Row(0).Scan(it.destination))

			// The same in a struct, in a map and in a slice.
			of := pointer.Type().Elem()
			object := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: of}}))
			object.Elem().Field(0).Set(pointer.Elem())
			stays(rows.Row(0).Into(object.Interface()))
			equal(t, fmt.Sprintf("%#v", deep(object.Elem().Field(0))), before)
			table := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(""), of))
			table.SetMapIndex(reflect.ValueOf("v"), pointer.Elem())
			into := reflect.New(table.Type())
			into.Elem().Set(table)
			stays(rows.Row(0).Into(into.Interface()))
			equal(t, fmt.Sprintf("%#v", deep(table.MapIndex(reflect.ValueOf("v")))), before)
			slice := reflect.New(reflect.SliceOf(object.Type().Elem()))
			stays(rows.All(slice.Interface()))
			equal(t, slice.Elem().Len(), 0)
		})
	}
	var caught *pool.Error
	err := valueOf(t, "1").Scan(&grumpy{})
	if !errors.Is(err, errGrumpy) || !errors.As(err, &caught) {
		t.Fatal(err)
	}
}

// counting responds as serveText, and counts.
func counting(requests *atomic.Int64, text string) http.HandlerFunc {
	response := serveText(text)
	return func(writer http.ResponseWriter, request *http.Request) {
		requests.Add(1)
		response(writer, request)
	}
}

func ptr[T any](value T) *T { return &value }

// deep is what pointers lead to in the end.
func deep(value reflect.Value) any {
	for value.Kind() == reflect.Pointer && !value.IsNil() && value.Type() != reflect.TypeOf((*big.Int)(nil)) {
		value = value.Elem()
	}
	return value.Interface()
}

func TestARowThatDoesNotFitChangesNothing(t *testing.T) {
	row := rowsOf(t, `{"columns":["a","b","Half"],"rows":[[1,300,"x"]]}`).Row(0)
	a, b, half := int64(7), int8(7), "seven"
	wantError(t, row.Scan(&a, &b, &half), pool.ErrType, `column "b"`)
	equal(t, []any{a, b, half}, []any{int64(7), int8(7), "seven"})
	type Embedded struct{ A int }
	type wide struct {
		*Embedded
		B int8
	}
	it := wide{Embedded: &Embedded{7}, B: 7}
	wantError(t, row.Into(&it), pool.ErrType, `column "b"`)
	equal(t, *it.Embedded, Embedded{7})
	into := map[string]int8{"a": 7}
	wantError(t, row.Into(&into), pool.ErrType, `column "b"`)
	equal(t, into, map[string]int8{"a": 7})
	type hidden struct{ A int }
	type outer struct{ *hidden }
	wantError(t, row.Into(&outer{}), pool.ErrType, "can't be made")
}

func TestWhatFitsIsRead(t *testing.T) {
	for _, it := range []struct {
		json        string
		destination any
		want        any
	}{
		{`"aGk="`, new([]byte), []byte("aGk=")}, {`"h\u0000ü"`, new([]byte), []byte("h\x00ü")}, {`[1,2]`, new([]byte), []byte("[1,2]")},
		{"null", ptr([]byte("x")), []byte(nil)}, {"12", new([]byte), []byte("12")}, {`"x"`, new(sql.RawBytes), sql.RawBytes("x")},
		{`"x"`, new(json.RawMessage), json.RawMessage(`"x"`)}, {"null", new(json.RawMessage), json.RawMessage("null")},
		{"127", new(int8), int8(127)}, {"-128", new(int8), int8(-128)}, {"5.0", new(uint8), uint8(5)}, {"1e2", new(int), 100},
		{"18446744073709551615", new(uint64), uint64(math.MaxUint64)}, {"-0", new(uint8), uint8(0)},
		{"3.4028234663852886e38", new(float32), float32(math.MaxFloat32)}, {"1e-300", new(float32), float32(0)},
		{"1e400", new(json.Number), json.Number("1e400")}, {"1e400", new(string), "1e400"}, {"1", new(bool), true},
		{"123456789012345678901234567890", new(big.Int), *bigInt("123456789012345678901234567890")},
		{"123456789012345678901234567890", new(sql.NullString), sql.NullString{String: "123456789012345678901234567890", Valid: true}},
		{"null", ptr(sql.NullInt64{Int64: 7, Valid: true}), sql.NullInt64{}}, {"7", new(sql.NullInt16), sql.NullInt16{Int16: 7, Valid: true}},
		{"null", ptr(ptr(7)), (*int)(nil)}, {"null", ptr([]int{7}), []int(nil)}, {"null", ptr(map[string]int{"a": 7}), map[string]int(nil)},
		{"null", ptr(any(7)), any(nil)}, {`"::1"`, new(netip.Addr), netip.MustParseAddr("::1")},
		{`{"N":5}`, ptr(inner{7}), inner{5}}, {`{"b":1}`, ptr(map[string]int{"a": 7}), map[string]int{"b": 1}},
		{`"2026-01-02T03:04:05Z"`, new(time.Time), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		t.Run(fmt.Sprintf("%s into %T", it.json, it.destination), func(t *testing.T) {
			check(t, valueOf(t, it.json).Scan(it.destination))
			equal(t, reflect.ValueOf(it.destination).Elem().Interface(), it.want)
		})
	}
	// A big.Float has no method for JSON, but one for texts.
	var large big.Float
	check(t, valueOf(t, "1e400").Scan(&large))
	equal(t, large.Text('g', 3), "1e+400")
}

func TestHalfASurrogatePairIsReplacedAndToldOf(t *testing.T) {
	row := rowsOf(t, `{"columns":["a","b","c\ud800"],"rows":[["x\ud800y","�",1]]}`).Row(0)
	equal(t, row.At(0).Text(), "x\uFFFDy")
	equal(t, []bool{row.At(0).IsReplaced(), row.At(1).IsReplaced(), row.At(2).IsReplaced()}, []bool{true, false, false})
	equal(t, row.Map()["c\uFFFD"], int64(1))
}

func TestWhatTheServerLeftOutTakesNoRoom(t *testing.T) {
	const n = 6000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"%d"`, i)
	}
	text := `{"columns":[` + strings.Join(names, ",") + `],"rows":[` + strings.Repeat("[],", n-1) + `[7]]}`
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, serveText(text))})
	check(t, p.Do(background, func(*pool.Client) error { return nil }))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, err := p.Query(background, "a", "SELECT 1")
	check(t, err)
	maps := rows.Maps()
	var structs []struct {
		Name string `json:"5999"`
		N    int    `json:"0"`
	}
	check(t, rows.All(&structs))
	var texts []map[string]string
	check(t, rows.All(&texts))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100*uint64(len(text)) {
		t.Fatalf("%d bytes took %d", len(text), took)
	}
	equal(t, []int{rows.Len(), len(maps), len(structs), len(texts)}, []int{n, n, n, n})
	equal(t, []int{len(maps[0]), len(maps[n-1]), structs[n-1].N}, []int{0, 1, 7})
	if !rows.Cell(17, n-1).IsNull() || !rows.Cell(n-1, 1).IsNull() || rows.Cell(n-1, 0).Text() != "7" {
		t.Fatal("wrong cells")
	}
	for i := 0; i < n; i++ {
		rows.Row(i).Get("5999")
	}
}

func TestTextsThatAreNotUTF8AndNumbersThatAreNoneAreRefusedByName(t *testing.T) {
	var requests atomic.Int64
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, counting(&requests, `{"affectedRows":1}`))})
	bad := "a\xff"
	refused := func(name string, err error) {
		t.Helper()
		failure := wantError(t, err, pool.ErrInvalidArgument)
		if !strings.HasPrefix(failure.Message, name) {
			t.Fatalf("%q does not begin with %q", failure.Message, name)
		}
	}
	refused("name", p.CreateDatabase(background, bad))
	refused("database", p.DropDatabase(background, bad))
	refused("table", p.DropTable(background, "a", bad))
	refused("columns", p.CreateTable(background, "a", "b", []phantomdb.Column{{Name: bad, Type: "integer"}}))
	refused("columns", p.CreateTable(background, "a", "b", []phantomdb.Column{{Name: "n", Type: "float", Default: math.NaN()}}))
	type row struct {
		Name string
		More any
	}
	for _, value := range []any{
		map[string]any{"a": bad}, map[string]any{bad: 1}, row{Name: bad}, &row{More: []any{bad}}, row{More: map[string]string{"x": bad}},
		map[string]any{"a": math.NaN()}, map[string]any{"a": math.Inf(1)}, row{More: float32(math.Inf(-1))},
		map[string]any{"a": json.Number("NaN")}, map[string]any{"a": json.RawMessage(`"\ud800"`)},
	} {
		_, err := p.Insert(background, "a", "b", value)
		refused("row", err)
		_, err = p.Update(background, "a", "b", value)
		refused("data", err)
	}
	_, err := p.Select(background, "a", "b", bad)
	refused("condition", err)
	_, err = p.Delete(background, "a", "b", bad)
	refused("condition", err)
	_, err = p.Query(background, "a", bad)
	refused("sql", err)
	for _, parameter := range []any{bad, math.NaN(), math.Inf(1), []string{bad}, ptr(bad)} {
		_, err = p.Exec(background, "a", "SELECT ?", parameter)
		refused("parameters", err)
	}
	_, err = p.Request(background, "GET", "/"+bad, nil)
	refused("path", err)
	_, err = p.Request(background, "POST", "/", bad)
	refused("body", err)
	refused("Token", p.SetToken(bad))
	_, err = pool.New(pool.Config{BaseURL: "http://a" + bad})
	refused("BaseURL", err)
	check(t, p.Do(background, func(client *pool.Client) error {
		refused("owner", client.SetOwner(bad))
		return nil
	}))
	equal(t, requests.Load(), int64(0))
	// What is U+FFFD already is a text like any other, and so is what was encoded elsewhere.
	_, err = p.Insert(background, "a", "b", map[string]any{"a": "\uFFFD", "b": json.RawMessage(`"\ufffd"`)})
	check(t, err)
	equal(t, requests.Load(), int64(1))
}

package pool_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// serveText responds to every request with this JSON.
func serveText(text string) http.HandlerFunc {
	return func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(writer, text)
	}
}

func TestEveryCodeOfTheLibraryHasItsConstant(t *testing.T) {
	constants := []phantomdb.Code{
		pool.ErrInvalidArgument, pool.ErrInvalidHandle, pool.ErrClosed, pool.ErrTimeout, pool.ErrWouldBlock,
		pool.ErrOverloaded, pool.ErrUnavailable, pool.ErrCancelled, pool.ErrBusy, pool.ErrWouldDeadlock,
		pool.ErrInvalidState, pool.ErrHTTP, pool.ErrUnauthorized, pool.ErrProtocol, pool.ErrConnectionLost,
		pool.ErrTooLarge, pool.ErrTLS, pool.ErrType, pool.ErrPanic,
		pool.ErrOutOfMemory,
	}
	infos := cabi.Codes()[1:]
	equal(t, len(infos), len(constants))
	for i, info := range infos {
		equal(t, constants[i], phantomdb.Code(info.Code))
		equal(t, constants[i].String(), info.Name)
		equal(t, constants[i].Error(), info.Text)
	}
	equal(t, phantomdb.Code(7).Error(), "Code(7)")
}

func TestErrorsOfTheServer(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: support.Devserver(t, "--token", "secret"), Token: "secret"})
	_, err := p.ListTables(background, "none such")
	failure := wantError(t, err, pool.ErrHTTP, "none such")
	equal(t, failure.Status, 404)
	if errors.Is(err, pool.ErrTimeout) || failure.Timeout() || failure.Retriable {
		t.Fatalf("%+v", failure)
	}
	check(t, p.SetToken("wrong"))
	_, err = p.ListDatabases(background)
	equal(t, wantError(t, err, pool.ErrUnauthorized).Status, 401)
	check(t, p.SetToken(""))
	_, err = p.ListDatabases(background)
	wantError(t, err, pool.ErrUnauthorized)
	check(t, p.SetToken("secret"))
	_, err = p.ListDatabases(background)
	check(t, err)
	wantError(t, p.SetToken("a\nb"), pool.ErrInvalidArgument, "Token")
}

func TestAServerThatIsNotThere(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1", Preconnect: true})
	_, err := p.ListDatabases(background)
	wantError(t, err, pool.ErrUnavailable, "127.0.0.1:1")
}

func TestArgumentsThatCantBeUsed(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1"})
	_, err := p.ListTables(background, "..")
	wantError(t, err, pool.ErrInvalidArgument, "database")
	_, err = p.ListTables(background, "a\x00b")
	wantError(t, err, pool.ErrInvalidArgument, "database: ", "NUL")
	_, err = p.ListTables(background, "a\xff")
	wantError(t, err, pool.ErrInvalidArgument, "database")
	_, err = p.Request(background, "GET", "/a\x00", nil)
	wantError(t, err, pool.ErrInvalidArgument, "path")
	_, err = p.Insert(background, "a", "b", math.NaN())
	wantError(t, err, pool.ErrInvalidArgument, "row: ")
	_, err = p.Insert(background, "a", "b", 7)
	wantError(t, err, pool.ErrInvalidArgument, "row")
	_, err = p.Delete(background, "a", "b", " ")
	wantError(t, err, pool.ErrInvalidArgument, "condition")
	_, err = p.Update(background, "a", "b", map[string]int{"c": 1}, "")
	wantError(t, err, pool.ErrInvalidArgument, "condition")
	_, err = p.Select(background, "a", "b", "c", "d")
	wantError(t, err, pool.ErrInvalidArgument)
	_, err = p.Request(background, "GET", "/", func() {})
	wantError(t, err, pool.ErrInvalidArgument, "body")
}

func TestClientsThatWereReleased(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1"})
	other := newPool(t, pool.Config{BaseURL: "http://127.0.0.1:1"})
	client := acquire(t, p)
	wantError(t, other.Release(client), pool.ErrInvalidHandle)
	check(t, p.Release(client))
	wantError(t, p.Release(client), pool.ErrInvalidHandle)
	wantError(t, client.Release(), pool.ErrInvalidHandle)
	wantError(t, client.Discard(), pool.ErrInvalidHandle)
	_, err := client.ListDatabases(background)
	wantError(t, err, pool.ErrInvalidHandle, "released")
	wantError(t, client.Interrupt(), pool.ErrInvalidHandle)
	wantError(t, client.SetOwner("x"), pool.ErrInvalidHandle)
	isOnce := p.Do(background, func(client *pool.Client) error { return client.Release() })
	check(t, isOnce)
}

func TestDoReleasesWhateverComesOfIt(t *testing.T) {
	p := newPool(t, pool.Config{MaxConnections: 1, MinConnections: 1})
	mine := errors.New("mine")
	if err := p.Do(background, func(*pool.Client) error { return mine }); err != mine {
		t.Fatal(err)
	}
	func() {
		defer func() { equal(t, recover(), "mine") }()
		_ = p.Do(background, func(*pool.Client) error { panic("mine") })
	}()
	status, err := p.Status()
	check(t, err)
	equal(t, status, pool.Status{Available: 1, Total: 1, Min: 1, Max: 1})
}

func TestEveryOptionIsCheckedByItsName(t *testing.T) {
	const tooLong = 366 * 24 * time.Hour
	for name, config := range map[string]pool.Config{
		"BaseURL":           {BaseURL: "ftp://somewhere"},
		"Token":             {Token: "a\nb"},
		"MinConnections":    {MinConnections: 11},
		"MaxConnections":    {MaxConnections: 65536},
		"MaxConnecting":     {MaxConnecting: pool.None},
		"MaxWaiters":        {MaxWaiters: -2},
		"AcquireTimeout":    {AcquireTimeout: tooLong},
		"IdleTimeout":       {IdleTimeout: tooLong},
		"MaxLifetime":       {MaxLifetime: tooLong},
		"ValidateAfter":     {ValidateAfter: tooLong},
		"Validation":        {Validation: 99},
		"ValidationTimeout": {ValidationTimeout: tooLong},
		"RequestTimeout":    {RequestTimeout: pool.None},
		"ConnectTimeout":    {ConnectTimeout: tooLong},
		"CloseTimeout":      {CloseTimeout: tooLong},
		"LeakThreshold":     {LeakThreshold: -time.Second},
		"TLSCAFile":         {BaseURL: "https://localhost", TLSCAFile: "/no/such/file"},
		"TLSCertFile":       {BaseURL: "https://localhost", TLSCertFile: "a\x00b"},
		"TLSKeyFile":        {BaseURL: "https://localhost", TLSCertFile: "/no", TLSKeyFile: "/no\x00"},
		"MaxResponseBytes":  {MaxResponseBytes: pool.None},
	} {
		_, err := pool.New(config)
		var failure *pool.Error
		if !errors.As(err, &failure) || !regexp.MustCompile("^"+name+`\b`).MatchString(failure.Message) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

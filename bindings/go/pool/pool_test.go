package pool_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

func statusOf(t *testing.T, p *pool.Pool) pool.Status {
	t.Helper()
	status, err := p.Status()
	check(t, err)
	return status
}

func TestStatus(t *testing.T) {
	p := newPool(t, pool.Config{})
	equal(t, statusOf(t, p), pool.Status{Available: 2, Total: 2, Min: 2, Max: 10})
	client := acquire(t, p)
	equal(t, statusOf(t, p), pool.Status{Available: 1, Used: 1, Total: 2, Min: 2, Max: 10})
	check(t, client.Release())
	check(t, p.Resize(1, 3))
	equal(t, statusOf(t, p).Max, 3)
	wantError(t, p.Resize(4, 3), pool.ErrInvalidArgument, "MinConnections")
	wantError(t, p.Resize(-1, 3), pool.ErrInvalidArgument, "MinConnections")
	wantError(t, p.Resize(1, 1<<40), pool.ErrInvalidArgument, "MaxConnections")
	check(t, p.Resize(0, 1))
	equal(t, statusOf(t, p).Min, 0)

	none := newPool(t, pool.Config{MinConnections: pool.None, MaxWaiters: pool.None, MaxConnections: 1})
	equal(t, statusOf(t, none).Min, 0)
}

func TestTryAcquire(t *testing.T) {
	p := newPool(t, pool.Config{MinConnections: 1, MaxConnections: 1, MaxWaiters: pool.None})
	client, err := p.TryAcquire()
	check(t, err)
	_, err = p.TryAcquire()
	wantError(t, err, pool.ErrWouldBlock)
	_, err = p.Acquire(background)
	wantError(t, err, pool.ErrOverloaded)
	check(t, p.Discard(client))
}

func TestStatsAndMetrics(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: support.Devserver(t)})
	_, err := p.ListDatabases(background)
	check(t, err)
	client, err := p.TryAcquire()
	check(t, err)
	check(t, client.Discard())
	stats, err := p.Stats()
	check(t, err)
	equal(t, []int64{stats.Acquires.Direct, stats.Use.Count, stats.Created}, []int64{2, 2, 1})
	if len(stats.Wait.Buckets) == 0 || stats.Wait.Buckets[0].AtMost <= 0 || stats.Use.SumSeconds <= 0 {
		t.Fatalf("%+v", stats)
	}
	metrics, err := p.Metrics()
	check(t, err)
	if !strings.Contains(metrics, "phantomdb_pool_connections") || !strings.HasSuffix(metrics, "# EOF\n") {
		t.Fatal(metrics)
	}
}

func TestStatsHasAllThatTheLibraryTells(t *testing.T) {
	made, forget, err := new(cabi.Options).Create()
	check(t, err)
	defer forget()
	defer func() { check(t, made.Close(background, 0)) }()
	text, err := made.StatsJSON()
	check(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var stats pool.Stats
	check(t, decoder.Decode(&stats))
	again, err := json.Marshal(stats)
	check(t, err)
	var told, kept any
	check(t, json.Unmarshal(text, &told))
	check(t, json.Unmarshal(again, &kept))
	equal(t, kept, told)
}

func TestResetReplacesConnections(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: support.Devserver(t), MinConnections: 1, MaxConnections: 1})
	for i := int64(1); i <= 2; i++ {
		_, err := p.ListDatabases(background)
		check(t, err)
		stats, err := p.Stats()
		check(t, err)
		equal(t, stats.Created, i)
		check(t, p.Reset())
	}
}

func TestALeakedClientIsReported(t *testing.T) {
	reports := make(chan string, 1)
	p := newPool(t, pool.Config{
		LeakThreshold: 10 * time.Millisecond,
		Log:           func(level pool.LogLevel, message string) { reports <- fmt.Sprint(level, ": ", message) },
	})
	client := acquire(t, p)
	check(t, client.SetOwner("the nightly report"))
	select {
	case report := <-reports:
		if !strings.HasPrefix(report, "warning: ") || !strings.Contains(report, "the nightly report") {
			t.Fatal(report)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody said so")
	}
	// Nothing is taken back.
	check(t, client.Release())
	stats, err := p.Stats()
	check(t, err)
	equal(t, stats.Leaked, int64(1))
}

func TestTheLogMustNotWaitForThePool(t *testing.T) {
	refused := make(chan error, 1)
	var p *pool.Pool
	made := make(chan struct{})
	p = newPool(t, pool.Config{
		LeakThreshold: 10 * time.Millisecond,
		Log: func(pool.LogLevel, string) {
			<-made
			_, err := p.TryAcquire()
			refused <- err
		},
	})
	close(made)
	client := acquire(t, p)
	defer func() { check(t, client.Release()) }()
	// What does not wait is allowed.
	check(t, <-refused)
}

func TestAClientServesOneRequestAtATime(t *testing.T) {
	holder := support.Hold(t)
	p := newPool(t, pool.Config{BaseURL: holder.URL})
	client := acquire(t, p)
	first := make(chan error, 1)
	go func() {
		_, err := client.ListDatabases(background)
		first <- err
	}()
	<-holder.Arrived
	_, err := client.ListDatabases(background)
	wantError(t, err, pool.ErrBusy)
	holder.Release()
	check(t, <-first)
	_, err = client.ListDatabases(background)
	check(t, err)
	check(t, client.Release())
}

// sockets is how many descriptors of sockets this process has.
func sockets(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	count := 0
	for _, entry := range entries {
		if kind, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(kind, "socket:") {
			count++
		}
	}
	return count
}

func TestDescriptorsGoWithTheirConnections(t *testing.T) {
	url := support.Devserver(t)
	before := sockets(t)
	p := newPool(t, pool.Config{BaseURL: url, MinConnections: 1, MaxConnections: 1})
	for i := 0; i < 100; i++ {
		check(t, p.Do(background, func(client *pool.Client) error {
			for n := 0; n < 2; n++ {
				if _, err := client.ListDatabases(background); err != nil {
					return err
				}
			}
			return client.Discard()
		}))
	}
	// The connection's own, the ones that are closing, and those that nobody has looked for yet.
	if during := sockets(t) - before; during > 48 {
		t.Errorf("%d descriptors for one connection", during)
	}
	check(t, p.Close())
	if after := sockets(t); after != before {
		t.Errorf("%d descriptors are left of %d", after, before)
	}
}

func TestAResponseThatTakesLongerThanADeadlineBefore(t *testing.T) {
	url := support.Serve(t, func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/slow" {
			time.Sleep(200 * time.Millisecond)
		}
		support.Listing(writer, request)
	})
	p := newPool(t, pool.Config{BaseURL: url, MaxConnections: 1, MinConnections: 1, RequestTimeout: 300 * time.Millisecond})
	for i := 0; i < 4; i++ {
		// Its deadline, which the socket still has, passes in the middle of the next request.
		_, err := p.ListDatabases(background)
		check(t, err)
		_, err = p.Request(background, "GET", "/slow", nil)
		check(t, err)
	}
	stats, err := p.Stats()
	check(t, err)
	equal(t, stats.Created, int64(1))
}

func TestTheTimeoutOfARequest(t *testing.T) {
	holder := support.Hold(t)
	p := newPool(t, pool.Config{BaseURL: holder.URL, RequestTimeout: 50 * time.Millisecond, MaxConnections: 2})
	for i := 0; i < 3; i++ {
		_, err := p.Insert(background, "a", "b", map[string]int{"c": 1})
		wantError(t, err, pool.ErrTimeout, "Timeout")
	}
	holder.Release()
	isWhole(t, p)
}

func TestRequestsThatAreLargerThanASocketTakes(t *testing.T) {
	const size = 16 << 20
	url := support.Serve(t, func(writer http.ResponseWriter, request *http.Request) {
		length, err := io.Copy(io.Discard, request.Body)
		serveText(fmt.Sprintf(`{"length":%d,"failed":%t,"echo":%q}`, length, err != nil, strings.Repeat("x", size)))(writer, request)
	})
	p := newPool(t, pool.Config{BaseURL: url, MinConnections: 1, MaxConnections: 1})
	for i := 0; i < 3; i++ {
		response, err := p.Request(background, "POST", "/", strings.Repeat("y", size))
		check(t, err)
		var told struct {
			Length int
			Failed bool
			Echo   string
		}
		check(t, response.Decode(&told))
		equal(t, []any{told.Length, told.Failed, len(told.Echo)}, []any{size + 2, false, size})
	}
}

func TestVersion(t *testing.T) {
	if version := phantomdb.Version(); strings.Count(version, ".") != 2 {
		t.Fatal(version)
	}
}

func TestAnAcquireThatNeedNotWaitAllocatesNothing(t *testing.T) {
	p := newPool(t, pool.Config{Validation: pool.ValidateNone})
	count := testing.AllocsPerRun(1000, func() {
		client, err := p.Acquire(background)
		check(t, err)
		check(t, client.Release())
	})
	equal(t, count, 0.0)
}

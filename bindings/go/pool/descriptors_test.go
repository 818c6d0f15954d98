package pool_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// childVariable names what a copy of the test program is to do instead of the tests, and childURL
// is the server that it uses.
const (
	childVariable = "PHANTOMDB_GO_CHILD"
	childURL      = "PHANTOMDB_GO_CHILD_URL"
)

// children are what copies of the test program do. They must not have used Go's poller, of which the
// runner of tests knows nothing.
var children = map[string]func(url string) error{
	"request without descriptors": requestWithoutDescriptors,
	"pool without descriptors":    poolWithoutDescriptors,
}

// beChild does not return in a copy of the test program that was started by inChild.
func beChild() {
	work := children[os.Getenv(childVariable)]
	if work == nil {
		return
	}
	if err := work(os.Getenv(childURL)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// inChild runs one of the children, because what it does to its process would spoil the tests.
func inChild(t *testing.T, work, url string) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childVariable+"="+work, childURL+"="+url)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// useUpDescriptors leaves the process none, until the function is called.
func useUpDescriptors() (func(), error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	limit.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	var used []int
	for {
		descriptor, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		used = append(used, descriptor)
	}
	return func() {
		for _, descriptor := range used {
			_ = syscall.Close(descriptor)
		}
	}, nil
}

func TestWithoutDescriptorsARequestIsFinishedAnotherWay(t *testing.T) {
	var inserted, silent atomic.Int64
	url := support.Serve(t, func(writer http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		if strings.HasSuffix(request.URL.Path, "/silent") {
			silent.Add(1)
			<-request.Context().Done()
			return
		}
		if request.Method == http.MethodPost {
			inserted.Add(1)
		}
		support.Listing(writer, request)
	})
	inChild(t, "request without descriptors", url)
	equal(t, inserted.Load(), int64(3))
	equal(t, silent.Load(), int64(1))
}

func requestWithoutDescriptors(url string) error {
	p, err := pool.New(pool.Config{BaseURL: url, MinConnections: 1, MaxConnections: 1})
	if err != nil {
		return err
	}
	client, err := p.Acquire(background)
	if err != nil {
		return err
	}
	// It opens the socket, which is not watched by then.
	if _, err := client.ListDatabases(background); err != nil {
		return err
	}
	other, err := pool.New(pool.Config{BaseURL: url, MinConnections: 1, MaxConnections: 1})
	if err != nil {
		return err
	}
	free, err := useUpDescriptors()
	if err != nil {
		return err
	}
	if _, err := client.Insert(background, "a", "b", map[string]int{"c": 1}); err != nil {
		return fmt.Errorf("an insert that the server carried out: %w", err)
	}
	// So does the end of a context.
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err = client.Request(ctx, "GET", "/silent", nil)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, pool.ErrCancelled) {
		return fmt.Errorf("a request whose context has ended: %v", err)
	}
	// Where nothing can be sent, the error says why. (The socket that was cut may be closed.)
	freeMore, err := useUpDescriptors()
	if err != nil {
		return err
	}
	_, err = other.Insert(background, "a", "b", map[string]int{"c": 2})
	var failure *pool.Error
	if !errors.As(err, &failure) || errors.Is(err, pool.ErrCancelled) ||
		!strings.Contains(strings.ToLower(err.Error()), "too many open files") {
		return fmt.Errorf("a request that needs a socket: %v", err)
	}
	freeMore()
	free()
	if _, err := client.Insert(background, "a", "b", map[string]int{"c": 3}); err != nil {
		return fmt.Errorf("when there are descriptors again: %w", err)
	}
	// Its next try is a moment away.
	_, err = other.Insert(background, "a", "b", map[string]int{"c": 4})
	for errors.Is(err, pool.ErrUnavailable) {
		_, err = other.Insert(background, "a", "b", map[string]int{"c": 4})
	}
	if err != nil {
		return fmt.Errorf("another pool, when there are descriptors again: %w", err)
	}
	if err := client.Release(); err != nil {
		return err
	}
	return errors.Join(other.Close(), p.Close())
}

func TestAPoolThatIsMadeWithoutDescriptorsSaysSo(t *testing.T) {
	inChild(t, "pool without descriptors", support.Serve(t, support.Listing))
}

func poolWithoutDescriptors(url string) error {
	free, err := useUpDescriptors()
	if err != nil {
		return err
	}
	_, err = pool.New(pool.Config{BaseURL: url})
	var failure *pool.Error
	if !errors.As(err, &failure) || !errors.Is(err, pool.ErrOverloaded) || !failure.Retriable ||
		!strings.Contains(err.Error(), "too many open files") {
		return fmt.Errorf("without descriptors: %v", err)
	}
	free()
	p, err := pool.New(pool.Config{BaseURL: url})
	if err != nil {
		return fmt.Errorf("when there are descriptors again: %w", err)
	}
	if _, err := p.ListDatabases(background); err != nil {
		return err
	}
	return p.Close()
}

// descriptors is how many this process has.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

// eventually waits for what nobody tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal(what + ": it does not come to that")
		}
	}
}

// chatty starts a server that says more than it was asked for.
func chatty(t *testing.T, rest string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = connection.Close() }()
				input := bufio.NewReader(connection)
				for {
					request, err := http.ReadRequest(input)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					text := `{"databases":[]}`
					// All at once, so that it is there when the connection is let go.
					_, _ = fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s",
						len(text), text, rest)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestNoDescriptorIsLeftOfAConnectionThatIsClosed(t *testing.T) {
	for name, rest := range map[string]string{"quiet": "", "with unread bytes": "HTTP/1.1 408 Request Timeout\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, pool.Config{BaseURL: chatty(t, rest), MinConnections: pool.None, MaxConnections: 4})
			discard := func() {
				client := acquire(t, p)
				for i := 0; i < 2; i++ {
					_, err := client.ListDatabases(background)
					check(t, err)
				}
				check(t, client.Discard())
			}
			discard()
			eventually(t, "the first is gone", func() bool { return cabi.CountSockets() == 0 })
			before := descriptors(t)
			for i := 0; i < 50; i++ {
				discard()
			}
			eventually(t, "no socket is watched", func() bool { return cabi.CountSockets() == 0 })
			eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
		})
	}
}

func TestADescriptorIsGivenBackThoughNothingElseIsAsked(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, support.Listing), MinConnections: pool.None, MaxConnections: 12})
	clients := make([]*pool.Client, 12)
	for i := range clients {
		clients[i] = acquire(t, p)
		for j := 0; j < 2; j++ {
			_, err := clients[i].ListDatabases(background)
			check(t, err)
		}
	}
	for _, client := range clients {
		check(t, client.Release())
	}
	equal(t, cabi.CountSockets(), 12)
	check(t, p.Reset())
	eventually(t, "no socket is watched", func() bool { return cabi.CountSockets() == 0 })
}

func TestAnAcquireWhoseContextHasEndedIsCountedOnce(t *testing.T) {
	p := newPool(t, pool.Config{BaseURL: support.Serve(t, support.Listing)})
	ended, cancel := context.WithCancel(background)
	cancel()
	_, err := p.Acquire(ended)
	wantError(t, err, pool.ErrCancelled, "context canceled")
	_, err = p.ListDatabases(ended)
	wantError(t, err, context.Canceled)
	_, err = p.Request(ended, "GET", "/", nil)
	wantError(t, err, context.Canceled)
	check(t, p.Do(background, func(client *pool.Client) error {
		// It has a connection, and asks for none.
		_, err := client.ListDatabases(ended)
		wantError(t, err, context.Canceled)
		return nil
	}))
	stats, err := p.Stats()
	check(t, err)
	text, err := json.Marshal(stats.Acquires)
	check(t, err)
	equal(t, string(text), `{"direct":1,"waited":0,"timed_out":0,"cancelled":3,"rejected":0,"failed":0}`)
	equal(t, stats.Wait.Count, int64(4))
}

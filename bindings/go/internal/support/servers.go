package support

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Serve starts a server that responds as the function does, and gives its URL.
func Serve(t testing.TB, response http.HandlerFunc) string {
	server := httptest.NewServer(response)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// Listing responds to every request with an empty list of databases.
func Listing(writer http.ResponseWriter, _ *http.Request) {
	writer.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(writer, `{"databases":[]}`)
}

// Holder is a server that holds its responses back until it is told.
type Holder struct {
	URL string
	// Arrived gets a value for each request.
	Arrived chan struct{}
	// Gone gets a value for each request whose client has hung up.
	Gone    chan struct{}
	release chan struct{}
	once    sync.Once
}

// Hold starts such a server.
func Hold(t testing.TB) *Holder {
	holder := &Holder{
		Arrived: make(chan struct{}, 1<<16),
		Gone:    make(chan struct{}, 1<<16),
		release: make(chan struct{}),
	}
	holder.URL = Serve(t, func(writer http.ResponseWriter, request *http.Request) {
		// Only then does the server notice when its client hangs up.
		_, _ = io.Copy(io.Discard, request.Body)
		holder.Arrived <- struct{}{}
		select {
		case <-holder.release:
			Listing(writer, request)
		case <-request.Context().Done():
			holder.Gone <- struct{}{}
		}
	})
	// Before the server is closed, which waits for its responses.
	t.Cleanup(holder.Release)
	return holder
}

// Release lets it respond to everything that it holds, and to whatever comes later.
func (h *Holder) Release() { h.once.Do(func() { close(h.release) }) }

// Silent starts a server that takes connections and says nothing, and gives its address. The
// channel gets a value for each of them.
func Silent(t testing.TB) (address string, taken <-chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	accepted := make(chan struct{}, 1<<10)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			go func() {
				_, _ = io.Copy(io.Discard, connection)
				_ = connection.Close()
			}()
		}
	}()
	return listener.Addr().String(), accepted
}

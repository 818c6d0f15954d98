// Package pool is a pool of connections to a PhantomDB server, on libphantomdb.
//
// Callers are served in the order in which they came. A goroutine that waits, for a connection or
// for a response, takes no thread. Every call that may wait takes a context, whose end ends it at
// once.
package pool

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
)

// Client is a connection that was acquired from a pool.
type Client = phantomdb.Client

// Pool is a pool of connections to one server. Every call on it is safe from any goroutine.
//
// Its [phantomdb.Operations] take a client for each call alone.
type Pool struct {
	phantomdb.Operations
	handle cabi.Pool
	// forget does something once, also if the pool was copied.
	forget func()
}

// PhantomDBPool is the name that the public SDK has for a pool.
type PhantomDBPool = Pool

// Status is the numbers of a pool at one moment.
type Status struct {
	// Available is how many connections can be handed out at once.
	Available int
	// Used is how many connections callers have.
	Used int
	// Pending is how many callers wait.
	Pending int
	// Total is how many connections there are: available, used, and those being opened, checked,
	// cleaned or closed.
	Total int
	// Min and Max are MinConnections and MaxConnections.
	Min, Max int
}

// New creates a pool. It opens no connection, unless Preconnect asks for it, so the server need not
// be there yet.
func New(config Config) (*Pool, error) {
	options, err := config.options()
	if err != nil {
		return nil, err
	}
	handle, forget, err := options.Create()
	if err != nil {
		return nil, named(phantomdb.Wrap(err))
	}
	return &Pool{Operations: phantomdb.OperationsOn(handle), handle: handle, forget: sync.OnceFunc(forget)}, nil
}

// Connect creates a client with a connection of its own, without a pool. Close it after use. It takes
// the options of a pool that apply to one connection, and refuses the others.
func Connect(config Config) (*Client, error) {
	for name, isSet := range map[string]bool{
		"MinConnections": config.MinConnections != 0,
		"MaxConnections": config.MaxConnections != 0,
		"MaxConnecting":  config.MaxConnecting != 0,
		"MaxWaiters":     config.MaxWaiters != 0,
		"AcquireTimeout": config.AcquireTimeout != 0,
		"IdleTimeout":    config.IdleTimeout != 0,
		"LeakThreshold":  config.LeakThreshold != 0,
	} {
		if isSet {
			return nil, &Error{Code: ErrInvalidArgument, Message: name + ": a client with a connection of its own has no such option"}
		}
	}
	options, err := config.options()
	if err != nil {
		return nil, err
	}
	client, err := phantomdb.Connect(options)
	return client, named(err)
}

// Acquire waits for a client; release it after use. It fails with [ErrTimeout], [ErrClosed],
// [ErrOverloaded], [ErrUnavailable] while the server can't be reached, or [ErrCancelled] at the end
// of the context, whose error errors.Is matches too.
//
// It is small enough to become a part of its caller, where the client then needs no memory of its own.
func (p *Pool) Acquire(ctx context.Context) (*Client, error) {
	client, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &client, nil
}

func (p *Pool) acquire(ctx context.Context) (Client, error) {
	connection, err := p.handle.Acquire(ctx)
	return phantomdb.ClientOf(p.handle, connection), phantomdb.Wrap(err)
}

// TryAcquire gives a client if one is free; [ErrWouldBlock] if none is. It never waits and never
// uses the network.
func (p *Pool) TryAcquire() (*Client, error) {
	client, err := p.tryAcquire()
	if err != nil {
		return nil, err
	}
	return &client, nil
}

func (p *Pool) tryAcquire() (Client, error) {
	connection, err := p.handle.TryAcquire()
	return phantomdb.ClientOf(p.handle, connection), phantomdb.Wrap(err)
}

// Release gives a client back, as [phantomdb.Client.Release] does; it fails with [ErrInvalidHandle]
// for one of another pool.
func (p *Pool) Release(client *Client) error { return client.ReleaseTo(p.handle, false) }

// Discard releases a client, and closes its connection instead of reusing it.
func (p *Pool) Discard(client *Client) error { return client.ReleaseTo(p.handle, true) }

// Do acquires a client, calls the function with it and releases it, whatever happens.
func (p *Pool) Do(ctx context.Context, work func(client *Client) error) error {
	client, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	// It fails only if the function has released it already.
	defer func() { _ = client.Release() }()
	return work(client)
}

// Status reads the numbers of this moment.
func (p *Pool) Status() (Status, error) {
	status, err := p.handle.Status()
	return Status(status), phantomdb.Wrap(err)
}

// Stats reads what the pool has done so far.
func (p *Pool) Stats() (Stats, error) {
	var stats Stats
	text, err := p.handle.StatsJSON()
	if err != nil {
		return stats, phantomdb.Wrap(err)
	}
	err = json.Unmarshal(text, &stats)
	return stats, err
}

// Metrics gives statistics and status as OpenMetrics text, for Prometheus and its like.
func (p *Pool) Metrics() (string, error) {
	text, err := p.handle.Metrics()
	return string(text), phantomdb.Wrap(err)
}

// Reset retires every connection that is open now: idle ones at once, others when they come back.
func (p *Pool) Reset() error { return phantomdb.Wrap(p.handle.Reset()) }

// Resize changes the limits while the pool is in use. Connections above a smaller maximum close,
// idle ones at once, others when they come back.
func (p *Pool) Resize(minConnections, maxConnections int) error {
	if err := inRange("MinConnections", minConnections); err != nil {
		return err
	}
	if err := inRange("MaxConnections", maxConnections); err != nil {
		return err
	}
	return named(phantomdb.Wrap(p.handle.Resize(uint32(minConnections), uint32(maxConnections))))
}

// SetToken changes the bearer token of every request that starts afterwards; "" sends none.
func (p *Pool) SetToken(token string) error { return named(phantomdb.Wrap(p.handle.SetToken(token))) }

// Close closes the pool, and returns when nothing of it is left. Waiters get [ErrClosed] at
// once; clients that are out have CloseTimeout to come back, and are then cut. Closing it again is
// fine.
func (p *Pool) Close() error { return p.close(context.Background(), cabi.PoolTimeout) }

// Shutdown closes the pool, and waits for clients that are out as long as the context lasts; then it
// cuts them, as Close does.
func (p *Pool) Shutdown(ctx context.Context) error { return p.close(ctx, longestTimeout) }

// longestTimeout is the longest that the library takes: 365 days, in milliseconds.
const longestTimeout = 365 * 24 * 60 * 60 * 1000

func (p *Pool) close(ctx context.Context, timeoutMillis int64) error {
	if err := p.handle.Close(ctx, timeoutMillis); err != nil {
		return phantomdb.Wrap(err)
	}
	p.forget()
	return nil
}

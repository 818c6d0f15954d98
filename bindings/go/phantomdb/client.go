package phantomdb

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// Client is a connection that was acquired from a pool, until it is released. It may be used by
// any goroutine, by one at a time: a request fails with [ErrBusy] while another is in flight. A
// transaction is the requests between its begin and its end on one client. A request after the
// release fails with [ErrInvalidHandle].
type Client struct {
	Operations
	// forget is there if the pool is the client's own, for its connection alone.
	forget func()
}

// PhantomDB is the name that the public SDK has for a client.
type PhantomDB = Client

// New creates a client with a connection of its own, without a pool. Close it after use. The URL is
// http[s]://host[:port][/prefix]; "" is http://localhost:8080. The first request connects, so the server
// need not be there yet. Package pool's Connect takes all options.
func New(baseURL string) (*Client, error) {
	options := &cabi.Options{}
	if baseURL != "" {
		options.SetText("base_url", baseURL)
	}
	return Connect(options)
}

// Connect is for package pool.
func Connect(options *cabi.Options) (*Client, error) {
	options.SetNumber("min_connections", 1)
	options.SetNumber("max_connections", 1)
	pool, forget, err := options.Create()
	if err != nil {
		return nil, Wrap(err)
	}
	connection, err := pool.Acquire(context.Background())
	if err != nil {
		_ = pool.Close(context.Background(), 0)
		forget()
		return nil, Wrap(err)
	}
	client := ClientOf(pool, connection)
	client.forget = sync.OnceFunc(forget)
	return &client, nil
}

// Close ends the use of the client: one of a pool is released; of one with a connection of its own that is
// closed. An open transaction is rolled back. Closing it again is fine.
func (c *Client) Close() error {
	err := c.Release()
	if errors.Is(err, ErrInvalidHandle) {
		err = nil
	}
	if c.forget == nil {
		return err
	}
	if err := c.pool.Close(context.Background(), cabi.PoolTimeout); err != nil {
		return Wrap(err)
	}
	c.forget()
	return err
}

// ClientOf is for package pool.
func ClientOf(pool cabi.Pool, connection cabi.Connection) Client {
	return Client{Operations: Operations{pool: pool, connection: connection}}
}

// ReleaseTo is for package pool: it releases the client if it is of that one.
func (c *Client) ReleaseTo(pool cabi.Pool, discard bool) error {
	return released(pool.Release(c.connection, discard))
}

// Release gives the client back to its pool, and never waits. A transaction that is open on it is
// rolled back before anybody else gets the connection.
//
// It fails only with [ErrInvalidHandle], for a client that was released already.
func (c *Client) Release() error { return c.ReleaseTo(c.pool, false) }

// Discard gives the client back to its pool, which closes the connection instead of using it again.
func (c *Client) Discard() error { return c.ReleaseTo(c.pool, true) }

func released(err error) error {
	if failure, ok := err.(*cabi.Failure); ok && failure.Code == cabi.Closed {
		// The pool took it back itself.
		return nil
	}
	return Wrap(err)
}

// BeginTransaction begins a transaction, of one database or, without one, of whichever it touches
// first, and returns its id. Every request on this client belongs to it until commit or rollback.
// It fails with [ErrInvalidState] if one is open already.
func (c *Client) BeginTransaction(ctx context.Context, database ...string) (string, error) {
	text, err := c.text(ctx, cabi.BeginTransaction, optional(database)...)
	if err != nil {
		return "", err
	}
	var begun struct {
		ID string `json:"transaction_id"`
	}
	err = json.Unmarshal(text, &begun)
	return begun.ID, err
}

// CommitTransaction commits the open transaction; the id, if there is one, must be its own.
func (c *Client) CommitTransaction(ctx context.Context, id ...string) error {
	return c.do(ctx, cabi.CommitTransaction, optional(id)...)
}

// RollbackTransaction rolls the open transaction back; the id, if there is one, must be its own.
func (c *Client) RollbackTransaction(ctx context.Context, id ...string) error {
	return c.do(ctx, cabi.RollbackTransaction, optional(id)...)
}

// Interrupt cuts the request that another goroutine has in flight on this client, which then fails
// with [ErrCancelled]; without one it does nothing.
func (c *Client) Interrupt() error { return Wrap(c.connection.Interrupt()) }

// SetOwner names the user of the client for the report of a leak: the id of a request, for example.
// The release clears it.
func (c *Client) SetOwner(owner string) error { return Wrap(c.connection.SetOwner(owner)) }

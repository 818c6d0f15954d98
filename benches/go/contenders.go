package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/jackc/puddle/v2"

	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// contender does one thing again and again.
type contender struct {
	name string
	work func(ctx context.Context) error
	// request gives the names in the response.
	request func() ([]string, error)
}

var background = context.Background()

func newPool(url string) (*pool.Pool, error) {
	return pool.New(pool.Config{
		BaseURL: url, MinConnections: connections, MaxConnections: connections, Preconnect: true,
	})
}

func requesters(url string) ([]contender, func(), error) {
	db, err := newPool(url)
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	client := &http.Client{Transport: transport}
	list := func(ctx context.Context) ([]string, error) { return overHTTP(ctx, client, url+"/databases") }
	contenders := []contender{
		{
			name: "phantomdb",
			work: func(ctx context.Context) error {
				_, err := db.ListDatabases(ctx)
				return err
			},
			request: func() ([]string, error) { return db.ListDatabases(background) },
		},
		{
			name: "net/http",
			work: func(ctx context.Context) error {
				_, err := list(ctx)
				return err
			},
			request: func() ([]string, error) { return list(background) },
		},
	}
	return contenders, func() {
		_ = db.Close()
		transport.CloseIdleConnections()
	}, nil
}

func overHTTP(ctx context.Context, client *http.Client, url string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var body struct{ Databases []string }
	err = json.Unmarshal(text, &body)
	return body.Databases, err
}

func acquirers(url string) ([]contender, func(), error) {
	db, err := newPool(url)
	if err != nil {
		return nil, nil, err
	}
	if err := useAll(db); err != nil {
		return nil, nil, err
	}
	peer, err := puddle.NewPool(&puddle.Config[int]{
		Constructor: func(context.Context) (int, error) { return 0, nil },
		Destructor:  func(int) {},
		MaxSize:     connections,
	})
	if err != nil {
		return nil, nil, err
	}
	null := sql.OpenDB(nullConnector{})
	null.SetMaxOpenConns(connections)
	null.SetMaxIdleConns(connections)
	contenders := []contender{
		{name: "phantomdb", work: func(ctx context.Context) error {
			client, err := db.Acquire(ctx)
			if err != nil {
				return err
			}
			return client.Release()
		}},
		{name: "puddle", work: func(ctx context.Context) error {
			resource, err := peer.Acquire(ctx)
			if err != nil {
				return err
			}
			resource.Release()
			return nil
		}},
		{name: "database/sql", work: func(ctx context.Context) error {
			connection, err := null.Conn(ctx)
			if err != nil {
				return err
			}
			return connection.Close()
		}},
	}
	return contenders, func() {
		_ = db.Close()
		peer.Close()
		_ = null.Close()
	}, nil
}

// useAll sends a request on every connection, so that the server has responded on each, as in a pool that
// has been in use for a while.
func useAll(db *pool.Pool) error {
	for i := 0; i < connections; i++ {
		client, err := db.Acquire(background)
		if err != nil {
			return err
		}
		defer client.Release()
		if _, err := client.ListDatabases(background); err != nil {
			return err
		}
	}
	return nil
}

// nullConnector is of a driver that does nothing.
type nullConnector struct{}

type nullConnection struct{}

var errNothing = errors.New("a null connection does nothing")

func (nullConnector) Connect(context.Context) (driver.Conn, error) { return nullConnection{}, nil }
func (nullConnector) Driver() driver.Driver                        { return nil }
func (nullConnection) Prepare(string) (driver.Stmt, error)         { return nil, errNothing }
func (nullConnection) Begin() (driver.Tx, error)                   { return nil, errNothing }
func (nullConnection) Close() error                                { return nil }

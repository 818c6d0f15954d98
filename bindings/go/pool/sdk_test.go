package pool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// What programs of the public SDK use, with the contexts and errors that it lacks.
func TestThePublicNamesAreThere(t *testing.T) {
	url := support.Devserver(t)
	var db *phantomdb.PhantomDB
	db, err := phantomdb.New(url)
	check(t, err)
	_, err = db.HealthCheck(background)
	check(t, err)
	check(t, db.CreateDatabase(background, "sdk"))
	check(t, db.CreateTable(background, "sdk", "t", []phantomdb.Column{{Name: "id", Type: "integer"}}))
	_, err = db.Insert(background, "sdk", "t", map[string]interface{}{"id": 1})
	check(t, err)
	rows, err := db.ExecuteQuery(background, "sdk", "SELECT * FROM t")
	check(t, err)
	equal(t, rows.Maps(), []map[string]any{{"id": int64(1)}})

	var shared *pool.PhantomDBPool
	shared, err = pool.New(pool.Config{BaseURL: url})
	check(t, err)
	db2, err := shared.Acquire(background)
	check(t, err)
	var failure *phantomdb.PhantomDBError
	if _, err = db2.ListTables(background, "nowhere"); !errors.As(err, &failure) {
		t.Fatal(err)
	}
	check(t, shared.Release(db2))
	check(t, shared.Close())
	check(t, db.Close())
}

func TestAClientWithoutAPoolHasOneConnectionUntilItIsClosed(t *testing.T) {
	before := descriptors(t)
	url := support.Devserver(t)
	client, err := pool.Connect(pool.Config{BaseURL: url})
	check(t, err)
	check(t, client.CreateDatabase(background, "own"))
	_, err = client.BeginTransaction(background, "own")
	check(t, err)
	_, err = client.Exec(background, "own", "CREATE TABLE t (id INTEGER)")
	check(t, err)
	// It rolls back.
	check(t, client.Close())
	check(t, client.Close())
	_, err = client.ListDatabases(background)
	wantError(t, err, pool.ErrInvalidHandle)

	p := newPool(t, pool.Config{BaseURL: url})
	tables, err := p.ListTables(background, "own")
	check(t, err)
	equal(t, tables, []string{})
	ofPool := acquire(t, p)
	check(t, ofPool.Close())
	isWhole(t, p)
	check(t, p.Close())
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before+4 })

	_, err = pool.Connect(pool.Config{MaxConnections: 3})
	wantError(t, err, pool.ErrInvalidArgument, "MaxConnections: ")
	_, err = pool.Connect(pool.Config{BaseURL: "nonsense"})
	wantError(t, err, pool.ErrInvalidArgument, "BaseURL: ")
	_, err = phantomdb.New("nonsense")
	wantError(t, err, pool.ErrInvalidArgument, "base_url: ")
	// No server need be there yet.
	client, err = phantomdb.New("http://127.0.0.1:1")
	check(t, err)
	_, err = client.ListDatabases(background)
	wantError(t, err, pool.ErrUnavailable)
	ended, cancel := context.WithCancel(background)
	cancel()
	_, err = client.ListDatabases(ended)
	wantError(t, err, context.Canceled)
	check(t, client.Close())
}

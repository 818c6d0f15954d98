// Command zones loads the time zones of the world into PhantomDB, from several goroutines over one
// pool of connections, and asks about them.
//
//	go run -tags phantomdb_static . http://localhost:8080 ../data
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

const (
	database = "zones"
	atATime  = 4
)

type country struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

type zone struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type place struct {
	Country string `json:"country"`
	Zone    string `json:"zone"`
}

// row is one that is to be inserted.
type row struct {
	table string
	value any
}

var tables = map[string][]phantomdb.Column{
	"countries": {{Name: "code", Type: "string", PrimaryKey: true}, {Name: "name", Type: "string"}},
	"zones": {
		{Name: "name", Type: "string", PrimaryKey: true},
		{Name: "latitude", Type: "float"},
		{Name: "longitude", Type: "float"},
	},
	"places": {{Name: "country", Type: "string"}, {Name: "zone", Type: "string"}},
}

var coordinates = regexp.MustCompile(`^([+-]\d+)([+-]\d+)$`)

// degrees reads one angle of ISO 6709, [+-]DDMM or [+-]DDMMSS with two or three digits of degrees.
func degrees(text string, degreeDigits int) float64 {
	part := func(digits string) float64 {
		number, _ := strconv.Atoi(digits)
		return float64(number)
	}
	digits := text[1:]
	minutes := digits[degreeDigits:]
	angle := part(digits[:degreeDigits]) + part(minutes[:2])/60 + part(minutes[2:])/3600
	if text[0] == '-' {
		angle = -angle
	}
	return math.Round(angle*1e4) / 1e4
}

// readTable reads the fields of each line that is not a comment.
func readTable(folder, name string, leastFields int, add func(fields []string) error) error {
	path := filepath.Join(folder, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) < leastFields || add(fields) != nil {
			return fmt.Errorf("%s:%d: can't be read", path, i+1)
		}
	}
	return nil
}

func readRows(folder string) ([]row, error) {
	var rows []row
	err := readTable(folder, "iso3166.tab", 2, func(fields []string) error {
		rows = append(rows, row{"countries", country{fields[0], fields[1]}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = readTable(folder, "zone1970.tab", 3, func(fields []string) error {
		at := coordinates.FindStringSubmatch(fields[1])
		if at == nil {
			return errors.New("no coordinates")
		}
		rows = append(rows, row{"zones", zone{fields[2], degrees(at[1], 2), degrees(at[2], 3)}})
		// A zone may cover several countries: "AE,OM,RE".
		for _, code := range strings.Split(fields[0], ",") {
			rows = append(rows, row{"places", place{code, fields[2]}})
		}
		return nil
	})
	return rows, err
}

func makeTables(ctx context.Context, client *pool.Client) error {
	// What an earlier run left; on a server that never saw one there is nothing to drop.
	var failure *pool.Error
	if err := client.DropDatabase(ctx, database); errors.As(err, &failure) && failure.Status != 404 {
		return err
	}
	if err := client.CreateDatabase(ctx, database); err != nil {
		return err
	}
	for name, columns := range tables {
		if err := client.CreateTable(ctx, database, name, columns); err != nil {
			return err
		}
	}
	return nil
}

// load inserts the rows, several at a time; the first failure ends that.
func load(ctx context.Context, db *pool.Pool, rows []row) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for i := 0; i < atATime; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			err := db.Do(ctx, func(client *pool.Client) error {
				for {
					at := int(next.Add(1)) - 1
					if at >= len(rows) {
						return nil
					}
					showProgress(at, len(rows))
					if _, err := client.Insert(ctx, database, rows[at].table, rows[at].value); err != nil {
						return err
					}
				}
			})
			if err != nil {
				cancel(err)
			}
		}()
	}
	all.Wait()
	if isTerminal() {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
	return context.Cause(ctx)
}

func isTerminal() bool {
	info, err := os.Stderr.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func showProgress(at, of int) {
	if at%50 == 0 && isTerminal() {
		fmt.Fprintf(os.Stderr, "\rLoading row %d of %d ", at, of)
	}
}

func count(ctx context.Context, client *pool.Client, table string) (int, error) {
	var number int
	rows, err := client.Query(ctx, database, "SELECT count(*) FROM "+table)
	if err == nil {
		err = rows.Row(0).Scan(&number)
	}
	return number, err
}

func showCounts(ctx context.Context, client *pool.Client) error {
	countries, err := count(ctx, client, "countries")
	if err != nil {
		return err
	}
	zones, err := count(ctx, client, "zones")
	if err != nil {
		return err
	}
	fmt.Printf("Loaded %d countries and %d time zones, %d rows at a time.\n\n", countries, zones, atATime)
	return nil
}

func showCountries(ctx context.Context, client *pool.Client) error {
	rows, err := client.Query(ctx, database,
		"SELECT count(*) AS zones, countries.name FROM places JOIN countries ON code = country "+
			"GROUP BY code ORDER BY zones DESC, countries.name LIMIT ?", 10)
	if err != nil {
		return err
	}
	var found []struct {
		Zones int
		Name  string
	}
	if err := rows.All(&found); err != nil {
		return err
	}
	fmt.Println("zones  country\n-----  -------")
	for _, it := range found {
		fmt.Printf("%5d  %s\n", it.Zones, it.Name)
	}
	return nil
}

func showSouthernmost(ctx context.Context, client *pool.Client) error {
	rows, err := client.Select(ctx, database, "zones", "latitude = (SELECT min(latitude) FROM zones)")
	if err != nil {
		return err
	}
	var southernmost []zone
	if err := rows.All(&southernmost); err != nil {
		return err
	}
	fmt.Printf("\nSouthernmost: %s, %.2f degrees south.\n", southernmost[0].Name, -southernmost[0].Latitude)
	return nil
}

func showRollback(ctx context.Context, client *pool.Client) error {
	before, err := count(ctx, client, "zones")
	if err != nil {
		return err
	}
	if _, err := client.BeginTransaction(ctx, database); err != nil {
		return err
	}
	// If this fails, so does the program, and releasing the client rolls back.
	if _, err := client.Insert(ctx, database, "zones", zone{"Atlantis/Poseidonis", 31, -24}); err != nil {
		return err
	}
	within, err := count(ctx, client, "zones")
	if err != nil {
		return err
	}
	if err := client.RollbackTransaction(ctx); err != nil {
		return err
	}
	after, err := count(ctx, client, "zones")
	if err != nil {
		return err
	}
	verdict := "unchanged"
	if before != after {
		verdict = "CHANGED"
	}
	fmt.Printf("With Atlantis there are %d time zones; rolled back there are %d, %s.\n", within, after, verdict)
	return nil
}

func showStatus(db *pool.Pool) error {
	status, err := db.Status()
	if err != nil {
		return err
	}
	fmt.Printf("\nPool: %d available, %d used, %d pending; %d in all, at least %d, at most %d.\n",
		status.Available, status.Used, status.Pending, status.Total, status.Min, status.Max)
	return nil
}

func run(ctx context.Context, url, folder string) (err error) {
	rows, err := readRows(folder)
	if err != nil {
		return err
	}
	// One for each row that is on its way, and one for the questions.
	db, err := pool.New(pool.Config{BaseURL: url, MinConnections: atATime + 1, MaxConnections: atATime + 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Do(ctx, func(client *pool.Client) error {
		if err := makeTables(ctx, client); err != nil {
			return err
		}
		if err := load(ctx, db, rows); err != nil {
			return err
		}
		for _, show := range []func(context.Context, *pool.Client) error{
			showCounts, showCountries, showSouthernmost, showRollback,
		} {
			if err := show(ctx, client); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return showStatus(db)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s BASE_URL DATA_DIR\n", os.Args[0])
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "zones: %v\n", err)
		os.Exit(1)
	}
}

// Command go measures the Go binding beside its peers, in one process against one server.
//
//	go [-rounds N] [-scale X] URL RESULTS
//
// In each round every contender has a turn, in an order that changes, and figures are medians over
// the rounds; ratios are medians of the ratios within a round, so that a machine that is busy for a
// while slows both sides of one.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
)

const connections = 10

// report is what the file of results holds.
type report struct {
	Runtime string   `json:"runtime"`
	Rounds  int      `json:"rounds"`
	Results []figure `json:"results"`
}

func (r report) of(what string) (figures []figure) {
	for _, it := range r.Results {
		if it.What == what {
			figures = append(figures, it)
		}
	}
	return figures
}

func main() {
	rounds := flag.Int("rounds", 9, "how often each contender has its turn")
	scale := flag.Float64("scale", 1, "how much it does then")
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *rounds, *scale); err != nil {
		log.Fatal(err)
	}
}

func run(url, results string, rounds int, scale float64) error {
	requests, closeRequests, err := requesters(url)
	if err != nil {
		return err
	}
	defer closeRequests()
	if err := checkAlike(requests); err != nil {
		return err
	}
	acquires, closeAcquires, err := acquirers(url)
	if err != nil {
		return err
	}
	defer closeAcquires()

	it := report{Runtime: "Go " + strings.TrimPrefix(runtime.Version(), "go"), Rounds: rounds}
	compareAll := func(what string, contenders []contender, loads []int, count float64) error {
		for _, goroutines := range loads {
			figures, err := compare(what, contenders, goroutines, int(count*scale), rounds)
			if err != nil {
				return err
			}
			it.Results = append(it.Results, figures...)
		}
		return nil
	}
	if err := compareAll("requests", requests, []int{1, 10, 64}, 6000); err != nil {
		return err
	}
	show("requests (GET /databases), 10 connections", "requests/s", it.of("requests"))
	if err := compareAll("acquires", acquires, []int{1, 8, 64}, 300_000); err != nil {
		return err
	}
	show("acquire and release, 10 connections", "pairs/s", it.of("acquires"))

	text, err := json.MarshalIndent(it, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(results), 0o755); err != nil {
		return err
	}
	return os.WriteFile(results, append(text, '\n'), 0o644)
}

// checkAlike checks that the contenders do the same.
func checkAlike(requests []contender) error {
	want, err := requests[0].request()
	for _, it := range requests {
		got, failed := it.request()
		if err != nil || failed != nil || !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%s gets %v (%v), %s %v (%v)", it.name, got, failed, requests[0].name, want, err)
		}
	}
	return nil
}

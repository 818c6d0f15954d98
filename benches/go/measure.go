package main

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sample is what one turn came to.
type sample struct{ rate, cpu float64 }

// figure is what a contender came to at one load.
type figure struct {
	What       string  `json:"what"`
	Name       string  `json:"name"`
	Goroutines int     `json:"atOnce"`
	Rate       float64 `json:"rate"`
	// CPUMicroseconds is the processor time of this process for each.
	CPUMicroseconds float64 `json:"cpuMicroseconds"`
	// Ours is how many times as fast ours is, and OurCPU how much processor time it takes for each.
	Ours   float64 `json:"ours"`
	OurCPU float64 `json:"ourCpu"`
}

// measure does it so often, in so many goroutines.
func measure(it contender, goroutines, count int) (sample, error) {
	var left atomic.Int64
	left.Store(int64(count))
	var failed atomic.Value
	var all sync.WaitGroup
	cpu, start := processorTime(), time.Now()
	for i := 0; i < goroutines; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for left.Add(-1) >= 0 {
				if err := it.work(background); err != nil {
					failed.Store(fmt.Errorf("%s: %w", it.name, err))
					return
				}
			}
		}()
	}
	all.Wait()
	took, used := time.Since(start), processorTime()-cpu
	err, _ := failed.Load().(error)
	return sample{float64(count) / took.Seconds(), float64(used.Nanoseconds()) / 1e3 / float64(count)}, err
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// compare gives all contenders their turns at one load.
func compare(what string, contenders []contender, goroutines, count, rounds int) ([]figure, error) {
	samples := make([][]sample, len(contenders))
	for _, it := range contenders {
		if _, err := measure(it, goroutines, count/4+1); err != nil {
			return nil, err
		}
	}
	for round := 0; round < rounds; round++ {
		for turn := range contenders {
			i := (round + turn) % len(contenders)
			taken, err := measure(contenders[i], goroutines, count)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], taken)
		}
	}
	var figures []figure
	for i, it := range contenders {
		each := func(of func(own, other sample) float64) float64 {
			var numbers []float64
			for round, other := range samples[i] {
				numbers = append(numbers, of(samples[0][round], other))
			}
			return median(numbers)
		}
		figures = append(figures, figure{
			What:            what,
			Name:            it.name,
			Goroutines:      goroutines,
			Rate:            each(func(_, other sample) float64 { return other.rate }),
			CPUMicroseconds: each(func(_, other sample) float64 { return other.cpu }),
			Ours:            each(func(own, other sample) float64 { return own.rate / other.rate }),
			OurCPU:          each(func(own, other sample) float64 { return own.cpu / other.cpu }),
		})
	}
	return figures, nil
}

func median(numbers []float64) float64 {
	sort.Float64s(numbers)
	return numbers[len(numbers)/2]
}

func show(title, unit string, figures []figure) {
	fmt.Printf("\n%s\n\n", title)
	for i, it := range figures {
		fmt.Printf("  %3d goroutines  %-14s %10.0f %s %8.2f µs of processor", it.Goroutines, it.Name, it.Rate, unit,
			it.CPUMicroseconds)
		if i > 0 && it.Name != figures[0].Name {
			fmt.Printf("  ours %.2f times as fast, for %.2f of the processor time", it.Ours, it.OurCPU)
		}
		fmt.Println()
	}
}

package main

import (
	"os"
	"runtime"
)

// procFactor: a sync of the raft log and a call into RocksDB hold one of Go's
// processors until the scheduler notices, after 20 us to 10 ms. With as many as
// the machine has, two syncs at once on two cores stop everything else; with twice
// as many, replicated puts went from 27-35k to 47k/s, lone ones from 0.9k to 1.4k/s
// and gets did not change (docs/performance.md).
const procFactor = 2

// moreProcs raises the number of goroutines that run at once, unless the environment
// variable GOMAXPROCS has set it. It returns the number in force.
func moreProcs() int {
	n := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		n *= procFactor
		runtime.GOMAXPROCS(n)
	}
	return n
}

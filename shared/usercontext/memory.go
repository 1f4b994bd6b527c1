package usercontext

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"carrel/shared/chat"
)

// ErrMemoryLimit is the cancel cause of a run during which the process has grown by more than Limits.MemoryBytes.
var ErrMemoryLimit = errors.New("usercontext: the run has reached its memory limit")

const (
	watchEvery = 100 * time.Millisecond
	checkEvery = 1 << 20 // bytes of output; finds a model that writes fast before the next tick of watchEvery
)

// account holds the usage that all contexts of one run share: the counters, and the growth of the process's memory
// since the run started. Memory is measured for the whole process, because an execution environment executes one run at
// a time. Where several runs share a process, the run whose check comes first ends first.
type account struct {
	limit, base int64                   // bytes of memory
	held        func() int64            // the heap with garbage, because Lambda counts garbage too
	living      func() int64            // the heap after the last garbage collection
	cancel      context.CancelCauseFunc // of the whole run

	mu      sync.Mutex
	stats   chat.RunStats
	checked int64 // OutputBytes at the last check
}

func newAccount(limit int, read func() int64, cancel context.CancelCauseFunc) *account {
	a := &account{limit: int64(limit), held: read, living: read, cancel: cancel}
	if read == nil {
		a.held = func() int64 { return bytes("/memory/classes/heap/objects:bytes") }
		a.living = func() int64 { return bytes("/gc/heap/live:bytes") }
	}
	a.base = a.living() // without garbage of a previous run, which would raise this run's limit
	return a
}

func bytes(name string) int64 {
	sample := [1]metrics.Sample{{Name: name}}
	metrics.Read(sample[:])
	return int64(sample[0].Value.Uint64())
}

func (a *account) count(more chat.RunStats) chat.RunStats {
	a.mu.Lock()
	a.stats = a.stats.Plus(more)
	sum := a.stats
	due := sum.OutputBytes-a.checked >= checkEvery
	if due {
		a.checked = sum.OutputBytes
	}
	a.mu.Unlock()
	if due {
		a.check()
	}
	return sum
}

// check cancels the run if the process has grown beyond the limit. It collects garbage first and compares the size
// after the collection, so that garbage does not count. What other goroutines allocate during a collection counts as
// live in it, also if it is garbage already, so only the third collection decides against the run.
func (a *account) check() {
	if a.held()-a.base <= a.limit {
		return
	}
	for range 3 {
		runtime.GC()
		if a.living()-a.base <= a.limit {
			return
		}
	}
	a.cancel(ErrMemoryLimit)
}

// watch calls check until the run ends, because tools can use memory without writing output.
func (a *account) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.check()
		}
	}
}

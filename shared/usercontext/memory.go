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

// ErrMemoryLimit is the cancel cause of a run for which the process has grown beyond Limits.MemoryBytes.
var ErrMemoryLimit = errors.New("usercontext: the run's memory is used up")

const (
	watchEvery = 100 * time.Millisecond
	checkEvery = 1 << 20 // bytes of output: a model that pours is seen between two ticks
)

// account is what the contexts of one run share, so that a child spends what is its parent's: the figures, and the
// memory above what the process had when the run began. It is measured by process: one environment carries one run
// at a time, and where several runs share a process the one that is measured first ends first.
type account struct {
	limit, base int64                   // bytes of memory
	held        func() int64            // by the process, garbage included: Lambda counts it too
	living      func() int64            // when garbage was last collected
	cancel      context.CancelCauseFunc // of the whole run

	mu      sync.Mutex
	figures chat.RunStats
	checked int64 // OutputBytes at the last check
}

func newAccount(limit int, read func() int64, cancel context.CancelCauseFunc) *account {
	a := &account{limit: int64(limit), held: read, living: read, cancel: cancel}
	if read == nil {
		a.held = func() int64 { return bytes("/memory/classes/heap/objects:bytes") }
		a.living = func() int64 { return bytes("/gc/heap/live:bytes") }
	}
	a.base = a.living() // an earlier run's garbage is no room for this one
	return a
}

func bytes(name string) int64 {
	sample := [1]metrics.Sample{{Name: name}}
	metrics.Read(sample[:])
	return int64(sample[0].Value.Uint64())
}

func (a *account) count(more chat.RunStats) chat.RunStats {
	a.mu.Lock()
	a.figures = a.figures.Plus(more)
	sum := a.figures
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

// check ends the run if the process has grown too much, garbage left out: it is collected before the verdict, which does
// not see what was made since.
func (a *account) check() {
	if a.held()-a.base <= a.limit {
		return
	}
	runtime.GC()
	if a.living()-a.base > a.limit {
		a.cancel(ErrMemoryLimit)
	}
}

// watch checks until the run ends: tools grow without counting anything.
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

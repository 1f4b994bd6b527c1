package usercontext_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

func TestARunThatTakesTooMuchMemoryIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held atomic.Int64
		held.Store(50)
		conf := config(t)
		conf.Limits.MemoryBytes = 100
		conf.Memory = held.Load
		uc := open(t, conf)
		c := child(t, uc, "q2")
		start := time.Now()
		held.Store(150)
		time.Sleep(time.Second)
		if err := uc.Context().Err(); err != nil {
			t.Fatalf("stopped within its limit: %v", context.Cause(uc.Context()))
		}
		held.Store(151)
		<-uc.Context().Done()
		if took := time.Since(start); took > 2*time.Second || !errors.Is(context.Cause(uc.Context()), usercontext.ErrMemoryLimit) {
			t.Errorf("stopped after %v by %v", took, context.Cause(uc.Context()))
		}
		if !errors.Is(context.Cause(c.Context()), usercontext.ErrMemoryLimit) {
			t.Errorf("its child ended by %v", context.Cause(c.Context()))
		}
		must(t, uc.Close(context.Background()))
	})
}

// Between two ticks of the watch, output itself makes it look.
func TestOutputIsWeighedAsItCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes here
		var held atomic.Int64
		conf := config(t)
		conf.Limits.MemoryBytes = 100
		conf.Memory = held.Load
		uc := open(t, conf)
		held.Store(101)
		uc.Count(chat.RunStats{OutputBytes: 1<<20 - 1})
		if err := uc.Context().Err(); err != nil {
			t.Error("looked at each byte")
		}
		child(t, uc, "q2").Count(chat.RunStats{OutputBytes: 1})
		if !errors.Is(context.Cause(uc.Context()), usercontext.ErrMemoryLimit) {
			t.Errorf("a megabyte of output, and the run goes on: %v", context.Cause(uc.Context()))
		}
		must(t, uc.Close(context.Background()))
	})
}

// Garbage is not held against a run; what it holds is. Garbage of an earlier run is no room for this one.
func TestTheProcesssOwnHeapIsMeasured(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody collects by himself
	litter := func(uc *usercontext.Context) {
		for range 100 {
			garbage := make([]byte, 1<<20)
			garbage[0] = 1
			if uc != nil {
				uc.Count(chat.RunStats{OutputBytes: 1 << 20})
			}
		}
	}
	runtime.GC()
	litter(nil)
	conf := config(t)
	conf.Limits.MemoryBytes = 32 << 20
	uc := open(t, conf)
	litter(uc)
	if err := uc.Context().Err(); err != nil {
		t.Errorf("stopped for garbage: %v", context.Cause(uc.Context()))
	}
	var kept [][]byte
	for uc.Context().Err() == nil && len(kept) < 100 {
		kept = append(kept, make([]byte, 1<<20))
		uc.Count(chat.RunStats{OutputBytes: 1 << 20})
	}
	if !errors.Is(context.Cause(uc.Context()), usercontext.ErrMemoryLimit) || len(kept) > 40 {
		t.Errorf("after %d MB: %v", len(kept), context.Cause(uc.Context()))
	}
	runtime.KeepAlive(kept)
	must(t, uc.Close(context.Background()))
}

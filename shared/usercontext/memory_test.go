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

func TestMemoryLimit_RunIsCancelled(t *testing.T) {
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
			t.Fatalf("stopped below the limit: %v", context.Cause(uc.Context()))
		}
		held.Store(151)
		<-uc.Context().Done()
		if took := time.Since(start); took > 2*time.Second || !errors.Is(context.Cause(uc.Context()),
			usercontext.ErrMemoryLimit) {
			t.Errorf("stopped after %v, cause %v", took, context.Cause(uc.Context()))
		}
		if !errors.Is(context.Cause(c.Context()), usercontext.ErrMemoryLimit) {
			t.Errorf("the child was cancelled by %v", context.Cause(c.Context()))
		}
		must(t, uc.Close(context.Background()))
	})
}

// Output triggers a check between two ticks of the timer.
func TestMemoryLimit_CheckedOnOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes, so the timer does not tick
		var held atomic.Int64
		conf := config(t)
		conf.Limits.MemoryBytes = 100
		conf.Memory = held.Load
		uc := open(t, conf)
		held.Store(101)
		uc.Count(chat.RunStats{OutputBytes: 1<<20 - 1})
		if err := uc.Context().Err(); err != nil {
			t.Error("checked before a megabyte of output")
		}
		child(t, uc, "q2").Count(chat.RunStats{OutputBytes: 1})
		if !errors.Is(context.Cause(uc.Context()), usercontext.ErrMemoryLimit) {
			t.Errorf("the run continues after a megabyte of output: %v", context.Cause(uc.Context()))
		}
		must(t, uc.Close(context.Background()))
	})
}

// Only memory that the run holds counts, and garbage does not. Garbage of a previous run does not raise the limit.
func TestMemoryLimit_HeapWithoutGarbage(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no automatic collection
	makeGarbage := func(uc *usercontext.Context) {
		for range 100 {
			garbage := make([]byte, 1<<20)
			garbage[0] = 1
			if uc != nil {
				uc.Count(chat.RunStats{OutputBytes: 1 << 20})
			}
		}
	}
	runtime.GC()
	makeGarbage(nil)
	conf := config(t)
	conf.Limits.MemoryBytes = 32 << 20
	uc := open(t, conf)
	makeGarbage(uc)
	if err := uc.Context().Err(); err != nil {
		t.Errorf("stopped because of garbage: %v", context.Cause(uc.Context()))
	}
	var kept [][]byte
	for uc.Context().Err() == nil && len(kept) < 100 {
		kept = append(kept, make([]byte, 1<<20))
		uc.Count(chat.RunStats{OutputBytes: 1 << 20})
	}
	if !errors.Is(context.Cause(uc.Context()), usercontext.ErrMemoryLimit) || len(kept) > 40 {
		t.Errorf("after %d MB: cause %v, want the memory limit", len(kept), context.Cause(uc.Context()))
	}
	runtime.KeepAlive(kept)
	must(t, uc.Close(context.Background()))
}

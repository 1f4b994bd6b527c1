package usercontext_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestClose_ReverseOrderAfterGoroutines(t *testing.T) {
	t.Attr("row", "A4: clean-ups run in reverse order, after the goroutines have ended")
	uc := open(t, config(t))
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	for _, name := range []string{"first", "second"} {
		must(t, uc.OnClose(name, func(context.Context) error { note(name); return nil }))
	}
	must(t, uc.Go("work", func(ctx context.Context) { <-ctx.Done(); note("work") }))
	must(t, uc.Close(context.Background()))
	must(t, uc.Close(context.Background()))
	if want := []string{"work", "second", "first"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up in the order %v, want %v", order, want)
	}
	if err := uc.Go("after close", func(context.Context) {}); !errors.Is(err, chat.ErrClosed) {
		t.Errorf("Go after Close: %v", err)
	}
	if err := uc.OnClose("after close", func(context.Context) error { return nil }); !errors.Is(err, chat.ErrClosed) {
		t.Errorf("OnClose after Close: %v", err)
	}
	t.Attr("figure", fmt.Sprintf("cleaned up as %v", order))
}

func TestClose_CleanUpFails(t *testing.T) {
	t.Attr("row", "A4: a clean-up that panics, hangs or fails does not stop the others")
	synctest.Test(t, func(t *testing.T) {
		uc := open(t, config(t))
		stuck := make(chan struct{})
		called := false
		must(t, uc.OnClose("good", func(ctx context.Context) error { called = true; return ctx.Err() }))
		must(t, uc.OnClose("hangs", func(context.Context) error { <-stuck; return nil }))
		must(t, uc.OnClose("waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		must(t, uc.OnClose("panics", func(context.Context) error { panic("oh") }))
		must(t, uc.OnClose("exits", func(context.Context) error { runtime.Goexit(); return nil }))
		must(t, uc.OnClose("fails", func(context.Context) error { return errors.New("no") }))
		must(t, uc.Go("stubborn", func(context.Context) { <-stuck }))

		ended, cancel := context.WithCancel(context.Background())
		cancel() // a context that has ended must not shorten a clean-up
		start := time.Now()
		err := uc.Close(ended)
		closed := time.Since(start)
		if took := closed; took != 15*time.Second {
			t.Errorf("Close took %v, want 5 s for each of three functions that do not return", took)
		}
		if !called {
			t.Error("the good clean-up was not called")
		}
		for _, want := range []string{
			"close fails: no", "close panics: the clean-up panicked: oh", "close exits: the clean-up ended",
			"close hangs: the clean-up did not return",
			`still running: ["stubborn"]`,
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %[2]v, want it to contain %[1]q", want, err)
			}
		}
		if strings.Contains(err.Error(), "good") {
			t.Errorf("the error names the good clean-up: %v", err)
		}
		if again := uc.Close(context.Background()); again == nil || again.Error() != err.Error() {
			t.Errorf("the second Close returned %v, want the same error", again)
		}
		close(stuck)
		synctest.Wait()
		t.Attr("figure", fmt.Sprintf("Close returned after %v, with clean-ups that hang, panic, exit and fail", closed))
	})
}

func TestClose_ConcurrentUse(t *testing.T) {
	uc := open(t, config(t))
	var mu sync.Mutex
	started, ended, cleaned, registered := 0, 0, 0, 0
	var racers sync.WaitGroup
	for range 50 {
		racers.Go(func() {
			err := uc.Go("work", func(ctx context.Context) {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				ended++
			})
			onClose := uc.OnClose("x", func(context.Context) error { cleaned++; return nil })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				started++
			}
			if onClose == nil {
				registered++
			}
		})
		racers.Go(func() { uc.Cancel(errors.New("racing")) })
		racers.Go(func() {
			if err := uc.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	racers.Wait()
	if started != ended || registered != cleaned {
		t.Errorf("%d of %d goroutines ended, %d of %d clean-ups ran", ended, started, cleaned, registered)
	}
}

// Ten thousand contexts, each with a child, a goroutine and a clean-up, are all collected. The heap and the number of
// goroutines return to their values before.
func TestClose_NothingRemains(t *testing.T) {
	t.Attr("row", "B6: 10,000 contexts, each with a child, a goroutine and a clean-up, leave nothing")
	t.Attr("amount", "20000 contexts")
	const contexts = 10_000
	var collected atomic.Int64
	conf := config(t)
	conf.Gauge = &usercontext.Gauge{}
	once := func() {
		uc := open(t, conf)
		c := child(t, uc, "q2")
		for _, x := range []*usercontext.Context{uc, c} {
			must(t, x.Go("work", func(ctx context.Context) { <-ctx.Done() }))
			must(t, x.OnClose("x", func(context.Context) error { return x.Context().Err() }))
			runtime.AddCleanup(x, func(n *atomic.Int64) { n.Add(1) }, &collected)
		}
		err := uc.Close(context.Background()) // the clean-ups fail, and their errors must not be kept either
		if err == nil {
			t.Fatal("the failed clean-ups were not reported")
		}
	}
	once()
	before, heap := runtime.NumGoroutine(), liveHeap()
	for range contexts - 1 {
		once()
	}
	after := liveHeap()
	for deadline := time.Now().Add(time.Minute); collected.Load() < 2*contexts ||
		runtime.NumGoroutine() > before; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d contexts were collected; %d goroutines before, %d after", collected.Load(), 2*contexts,
				before, runtime.NumGoroutine())
		}
	}
	if after > heap+1<<20 {
		t.Errorf("the heap has grown by %d bytes", after-heap)
	}
	n := conf.Gauge.Counts()
	if n != (usercontext.Counts{Made: 2 * contexts, Cleaned: 2 * contexts, Peak: 2}) {
		t.Errorf("counted %+v", n)
	}
	t.Attr("figure", fmt.Sprintf("%d contexts made, %d cleaned, %d collected: heap %+d KB, goroutines %+d", n.Made,
		n.Cleaned, collected.Load(),
		(int64(after)-int64(heap))/1000, runtime.NumGoroutine()-before))
}

// liveHeap returns the size of the heap after a garbage collection.
func liveHeap() uint64 {
	runtime.GC()
	return heapNow()
}

// heapNow returns the size of the heap, including garbage.
func heapNow() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

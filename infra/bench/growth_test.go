package bench_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// TestBenchGrowth measures the usage of a turn and of a resume of 100 missed events while a thread grows to 100,000
// events. The newest 100 runs are always alike, because a model reads them; only the part before them grows.
func TestBenchGrowth(t *testing.T) {
	needsTime(t)
	s := startStack(t, stack.Config{Parameters: generous()})
	thread := chat.ThreadID(chat.NewID(time.Now()))
	own := direct(t, s.Endpoints(), "alice")
	d := open(t, s.Endpoints(), "alice", thread)
	fmt.Println("  events   turn: requests  write units  read units   resume: requests  read units  p50 ms  against " +
		"itself")
	for _, events := range size([]int{10, 1_000, 10_000, 100_000}, []int{10, 1_000}) {
		th := grow(t, own, thread, events)
		if err := d.hello(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		u := play(t, s, "/call calculator {\"expression\":\"12*7\"}\n/stream 3 0", d)
		missing := chat.Seq(min(100, events/2))
		from := chat.Cursor{Epoch: th.Epoch, Seq: th.Head - missing}
		used := using(t, s, func() { resume(t, d, from) })
		var took, again times
		for range size(60, 2) {
			_, a := resume(t, d, from)
			_, b := resume(t, d, from)
			took, again = append(took, a), append(again, b)
		}
		fmt.Printf("%8d %16d %12g %11g %18d %11g %7.2f %14.2f×\n", th.Head, u.Requests, u.WriteUnits, u.ReadUnits,
			used.Requests, used.ReadUnits, took.at(.5), again.at(.5)/took.at(.5))
	}
}

// grow fills a thread up to a number of events: long runs, then 100 short ones.
func grow(t testing.TB, own *store.Store, thread chat.ThreadID, events int) store.Thread {
	t.Helper()
	const long, short, shorts = 1000, 10, 100
	have := chat.Seq(0)
	if th, err := own.Thread(t.Context(), thread); err == nil {
		have = th.Head
	}
	if events <= short {
		fill(t, own, thread, events, 5)
	} else {
		for ; int(have) < events-short*shorts; have += long {
			fill(t, own, thread, long, 20)
		}
		for range shorts {
			fill(t, own, thread, short, 5)
		}
	}
	th, err := own.Thread(t.Context(), thread)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// using returns message's usage during do, after its invocation has ended.
func using(t testing.TB, s *stack.Stack, do func()) meters.Use {
	t.Helper()
	usage := func() meters.Use { return s.Meters().Read().Functions["MessageFunction"] }
	before := usage()
	do()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var now meters.Use
	testkit.Eventually(t, ctx, "message's invocation ends", func() bool {
		now = usage()
		return now.Invocations > before.Invocations
	})
	return meters.Use{Requests: now.Requests - before.Requests, ReadUnits: now.ReadUnits - before.ReadUnits,
		WriteUnits: now.WriteUnits - before.WriteUnits, Posts: now.Posts - before.Posts}
}

package bench_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// reference is the turn of docs/data.md: two tool calls, 200 deltas at 50 a second.
const reference = "/call calculator {\"expression\":\"12*7\"}\n/call clock {\"timezone\":\"UTC\"}\n/stream 200 50"

// TestMeters: the meters count a run exactly, and the naive emitter costs more for the same run.
func TestMeters(t *testing.T) {
	s := ours(t, stack.Config{})
	d := open(t, s.Endpoints(), "alice", chat.ThreadID(chat.NewID(time.Now())))
	play(t, s, "/say one", d) // the first run of a thread has no history to read
	got := play(t, s, "/say one", d)
	t.Logf("%+v", got)
	use(t, s, build(t, naive))
	t.Logf("%+v", play(t, s, "/say one", d))
}

// TestReferenceTurn prints what the reference turn uses, beside the naive design and the budget: make meters.
func TestReferenceTurn(t *testing.T) {
	if os.Getenv("CARREL_METERS") == "" {
		t.Skip("make meters runs it")
	}
	fmt.Println("design    devices  requests  write units  read units  posts  out  in  invocations    GB-s  seconds  $ per million")
	naiveTurn := build(t, naive)
	for _, devices := range []int{1, 3} {
		for _, e := range []emitter{carrels, naive} {
			s := ours(t, stack.Config{})
			if e == naive {
				use(t, s, naiveTurn)
			}
			thread := chat.ThreadID(chat.NewID(time.Now()))
			var all []*device
			for range devices {
				all = append(all, open(t, s.Endpoints(), "alice", thread))
			}
			play(t, s, "/say hello", all...)
			row(string(e), devices, play(t, s, reference, all...))
		}
	}
	fmt.Println("budget          1        50           48                  26")
	fmt.Println("budget          3        50           48                  78")
}

func row(name string, devices int, u turn) {
	dollars := u.Dollars() + meters.MinuteDollars(float64(devices)*u.took.Minutes())
	fmt.Printf("%-9s %7d %9d %12g %11g %6d %4d %3d %12d %7.3f %8.2f %14.1f\n", name, devices, u.Requests, u.WriteUnits, u.ReadUnits,
		u.Posts, u.Sent, u.Received, u.Invocations, u.GBSeconds, u.took.Seconds(), dollars*1e6)
}

package bench_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/wire"
)

// TestBenchLag measures the delay of deltas at a client when the calls of AWS take as long as there: 200 deltas at 50 a
// second, each compared with the moment at which an undelayed model would have sent it.
func TestBenchLag(t *testing.T) {
	needsTime(t)
	emitters := size([]emitter{carrels, naive}, []emitter{carrels})
	turns := map[emitter]string{}
	for _, e := range emitters {
		turns[e] = build(t, e)
	}
	for _, devices := range size([]int{1, 3}, []int{1}) {
		s := startStack(t, stack.Config{Parameters: generous()})
		likeAWS(t, s)
		all := connectUsers(t, s, 1, devices)[0]
		for round := range size(3, 1) {
			for _, e := range emitters {
				use(t, s, turns[e])
				play(t, s, "/say hello", all...)
				run, err := all[0].ask(t.Context(), "/stream 200 50")
				if err != nil {
					t.Fatal(err)
				}
				lag := lags(t, all[0])
				for _, d := range all[1:] {
					if _, err := d.await(t.Context(), `"RUN_FINISHED"`); err != nil {
						t.Fatal(err)
					}
				}
				used, err := settled(t.Context(), s, run)
				if err != nil {
					t.Fatal(err)
				}
				if side := map[emitter]string{carrels: subjectSide, naive: peerSide}[e]; devices == 1 {
					record(t, line{lagOfDelta, side, round, false, sample{Value: lag.at(.5)}, load(), ""})
				}
				fmt.Printf("%-7s %d devices: delay of a delta p50 %.0f p99 %.0f ms, the first %.0f ms; %d posts\n", e,
					devices,
					lag.at(.5), lag.at(.99), float64(lag[0].Microseconds())/1000, used.Posts)
			}
		}
	}
}

// lags reads a run's stream and returns the delay of each delta. The text's first event marks the start of the stream.
func lags(t testing.TB, d *device) times {
	t.Helper()
	var began time.Time
	var late times
	for {
		if _, err := d.await(t.Context(), "{"); err != nil {
			t.Fatal(err)
		}
		at := d.at
		f, err := wire.DecodeServer(d.last)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := f.(*wire.Events)
		if !ok {
			continue
		}
		for _, ev := range e.Events {
			switch {
			case ev.Type == agui.TextMessageStart:
				began = time.UnixMilli(ev.Timestamp)
			case ev.Type == agui.TextMessageContent:
				for _, word := range strings.Fields(ev.Delta) {
					n, err := strconv.Atoi(word)
					if err != nil {
						t.Fatal(err)
					}
					late = append(late, at.Sub(began.Add(time.Duration(n-1)*time.Second/50)))
				}
			case ev.Terminal():
				if len(late) != 200 {
					t.Fatalf("%d deltas arrived", len(late))
				}
				return late
			}
		}
	}
}

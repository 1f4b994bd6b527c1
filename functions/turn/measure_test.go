package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/usercontext"
)

// metrics returns the sums of the function's metrics so far.
func (r *fixture) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for line := range strings.Lines(r.log.String()) {
		var named struct {
			AWS struct {
				CloudWatchMetrics []struct{ Metrics []struct{ Name, Unit string } }
			} `json:"_aws"`
		}
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &named); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, d := range named.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				v, ok := values[m.Name].(float64)
				if want := map[bool]string{true: "Milliseconds",
					false: "Count"}[strings.HasPrefix(m.Name, "Time")]; !ok || m.Unit != want {
					t.Errorf("%s is %v %s", m.Name, values[m.Name], m.Unit)
				}
				sums[m.Name] += v
			}
		}
	}
	return sums
}

// Metrics count runs by outcome, and measure how long they waited and worked, and the residue they left.
func TestMetrics_Runs(t *testing.T) {
	t.Attr("row", "A5: runs are counted by outcome, with their duration and residue")
	r := newFixture(t, fast())
	r.gauge = &usercontext.Gauge{}
	r.admit(t, "good", "/say hello")
	r.clock.Advance(3 * time.Second)
	r.turn(t, "good")
	r.admit(t, "bad", "/fail model")
	r.turn(t, "bad")
	got := r.metrics(t)
	for name, want := range map[string]float64{
		"RunsEnded": 2, "RunsFinished": 1, "RunsFailed": 1, "RunsCancelled": 0, "RunsSuspended": 0, "Attempts": 2,
		"SlotsInUse": 0,
		"Residue":    0, "ContextsMade": 2, "ContextsCleaned": 2, "ContextsActive": 0, "ContextsPeak": 2,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["TimeQueued"] < 3000 || got["TimeToFirstEvent"] < got["TimeQueued"] || got["TimeRunning"] <= 0 ||
		got["TimeRunning"] > 60_000 {
		t.Errorf("times %v", got)
	}
	if t.Failed() {
		t.Log(r.log)
	}
	t.Attr("figure", fmt.Sprintf("%v runs ended: %v finished, %v failed; %v contexts made, %v cleaned",
		got["RunsEnded"], got["RunsFinished"], got["RunsFailed"], got["ContextsMade"], got["ContextsCleaned"]))
}

func TestMetrics_Outcomes(t *testing.T) {
	finished := func(o agui.OutcomeType) agui.Event {
		return agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: o}}
	}
	for want, e := range map[string]agui.Event{
		"RunsFinished": finished(agui.OutcomeSuccess), "RunsCancelled": finished(agui.OutcomeCancelled),
		"RunsSuspended": finished(agui.OutcomeInterrupt), "RunsFailed": {Type: agui.RunError},
	} {
		if got := outcome([]agui.Event{{Type: agui.TextMessageEnd}, e}); got != want {
			t.Errorf("%s %+v is %s, want %s", e.Type, e.Outcome, got, want)
		}
	}
}

// A failed clean-up of the run and one of its child are two pieces of residue.
func TestMetrics_Residue(t *testing.T) {
	t.Attr("row", "E4: a run's residue is a metric")
	r := newFixture(t, fast())
	r.gauge = &usercontext.Gauge{}
	r.admit(t, "r1", "/say hello")
	lease, err := r.store.Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	turn := &turn{handler: r.handler, user: r.user, store: r.store, lease: lease, log: r.handler.log}
	if err := turn.open(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	child, err := turn.uc.Child("q2")
	if err != nil {
		t.Fatal(err)
	}
	for _, uc := range []*usercontext.Context{turn.uc, child} {
		if err := uc.OnClose("planted", func(context.Context) error { return os.ErrClosed }); err != nil {
			t.Fatal(err)
		}
	}
	turn.close(t.Context())
	got := r.metrics(t)
	if got["Residue"] != 2 || got["ContextsMade"] != 2 || !strings.Contains(r.log.String(), "close planted") {
		t.Errorf("metrics %v, log %s", got, r.log)
	}
	t.Attr("figure", fmt.Sprintf("%v pieces of residue counted", got["Residue"]))
}

// Many runs in one warm process leave no residue. CARREL_RUNS sets their number; make warm uses 10,000.
func TestTurn_ManyRunsLeaveNoResidue(t *testing.T) {
	t.Attr("row", "B6: whole runs leave a warm process as it was")
	runs, err := strconv.Atoi(cmp.Or(os.Getenv("CARREL_RUNS"), "60"))
	if err != nil {
		t.Fatal(err)
	}
	r := newFixture(t, fast())
	r.gauge = &usercontext.Gauge{}
	next := 0
	some := func(n int) {
		for range n {
			next++
			run, thread := chat.RunID(fmt.Sprint("r", next)), chat.ThreadID(fmt.Sprint("t", next))
			_, err := r.store.Admit(t.Context(), store.Admission{Run: run, Thread: thread,
				Grants: []string{"calculator"}, Title: "a title",
				Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "what is 12*(3+4)?"}}})
			if err != nil {
				t.Fatal(err)
			}
			r.turn(t, run)
			r.edge.Frames("window")
			r.clock.Advance(6 * time.Second) // the user's bucket of runs fills again
			if next%50 == 0 {
				r.log.Reset()
			}
		}
	}
	some(min(50, runs/2))  // connections, caches, the runtime's own
	const connections = 10 // goroutines of the table's client, which keeps one more connection or one less
	before, goroutines := settled(runtime.NumGoroutine())
	start := time.Now()
	some(runs - next)
	took := time.Since(start)
	after, left := settled(goroutines + connections)
	t.Logf("%d runs in %v: heap %.2f MiB before, %.2f after; goroutines %d before, %d after; contexts %+v", runs,
		took.Round(time.Millisecond),
		mib(before), mib(after), goroutines, left, r.gauge.Counts())
	t.Attr("figure", fmt.Sprintf("%d runs in one process: heap %+.2f MB, goroutines %+d, %d contexts made, %d cleaned",
		runs, mib(after)-mib(before),
		left-goroutines, r.gauge.Counts().Made, r.gauge.Counts().Cleaned))
	if after > before+2<<20 || left > goroutines+connections {
		t.Error("the process has not come back to where it was")
	}
	if n := r.gauge.Counts(); n != (usercontext.Counts{Made: runs, Cleaned: runs, Peak: 1}) {
		t.Errorf("contexts %+v", n)
	}
	if slices.Contains(r.states(t, "r1", chat.RunID(fmt.Sprint("r", runs))), chat.RunFailed) {
		t.Error("a run failed")
	}
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

func (r *fixture) states(t *testing.T, runs ...chat.RunID) (all []chat.RunStatus) {
	for _, run := range runs {
		all = append(all, r.status(t, run))
	}
	return all
}

// settled returns the size of the live heap and the number of goroutines, when they are no more than these.
func settled(goroutines int) (uint64, int) {
	for deadline := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > goroutines &&
		time.Now().Before(deadline); {
		runtime.GC()
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// wanted is a call of one answer, by its tool and arguments, with its expected outcome.
type wanted struct {
	tool, arguments string
	outcome         tool.Outcome
}

const fine = `{"say":"a"}`

// everyOutcome returns calls of one answer that have every possible outcome.
func everyOutcome() []wanted {
	return []wanted{
		{"slow", fine, tool.TimedOut},
		{"echo", fine, tool.OK},
		{"nothing", fine, tool.Unknown},
		{"secret", fine, tool.Denied},
		{"echo", `{"say":1}`, tool.BadArguments},
		{"echo", `{"say`, tool.BadArguments},
		{"told", fine, tool.Failed},
		{"broken", fine, tool.Failed},
		{"panics", fine, tool.Panicked},
		{"asks", fine, tool.Asked},
		{"asks", `{"say":"` + strings.Repeat("x", 9<<10) + `"}`, tool.Refused},
		{"wants", fine, tool.Asked},
		{"never", fine, tool.Limited},
		{"long", fine, tool.OK},
		{"stuck", fine, tool.TimedOut},
		{"echo", "", tool.BadArguments},
		{"echo", fine, tool.OK},
	}
}

// tools gives the fixture these tools, all granted except secret, and returns the recorded decisions.
func (f *fixture) tools(release <-chan struct{}) *decisions {
	f.t.Helper()
	handlers := map[string]func(context.Context, input) (string, error){
		"echo":   echo,
		"slow":   func(ctx context.Context, _ input) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		"stuck":  func(context.Context, input) (string, error) { <-release; return "", nil },
		"secret": func(context.Context, input) (string, error) { f.t.Error("a denied tool ran"); return "", nil },
		"told":   func(context.Context, input) (string, error) { return "", &tool.Error{Text: "no"} },
		"broken": func(context.Context, input) (string, error) { return "", errors.New("no") },
		"panics": func(context.Context, input) (string, error) { panic("no") },
		"asks":   func(context.Context, input) (string, error) { f.t.Error("nobody agreed"); return "", nil },
		"wants":  func(context.Context, input) (string, error) { return "", &tool.InputError{Message: "Which?"} },
		"never": func(context.Context, input) (string, error) {
			f.t.Error("it was called often enough")
			return "",
				nil
		},
		"long": func(context.Context, input) (string, error) { return strings.Repeat("x", 1000), nil },
	}
	var made []tool.Tool
	for name, handle := range handlers {
		grant := map[bool]string{true: "others", false: "all"}[name == "secret"]
		one, err := tool.Define(name, "", grant, handle)
		if err != nil {
			f.t.Fatal(err)
		}
		switch name {
		case "asks":
			one = one.AskFirst("Really?")
		case "never":
			one = one.CallsPerRun(1)
		case "long":
			one = one.ResultBytes(100)
		}
		made = append(made, one.Deadline(5*time.Second))
	}
	registry, err := tool.NewRegistry(made...)
	if err != nil {
		f.t.Fatal(err)
	}
	d, err := tool.NewDispatcher(f.uc, registry, slices.Collect(maps.Keys(handlers)))
	if err != nil {
		f.t.Fatal(err)
	}
	d.CountPrevious([]agui.Event{{Type: agui.ToolCallStart, ToolCallID: "before", ToolCallName: "never"}})
	kept := &decisions{since: time.Now()}
	d.Record = kept.add
	f.config.Tools = d
	return kept
}

type decisions struct {
	since time.Time
	mu    sync.Mutex
	all   []tool.Decision
	at    []time.Duration
}

func (d *decisions) add(one tool.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all, d.at = append(d.all, one), append(d.at, time.Since(d.since))
}

// of returns the recorded outcomes of a call.
func (d *decisions) of(call string) (outcomes []tool.Outcome) {
	for _, one := range d.all {
		if one.Call == call {
			outcomes = append(outcomes, one.Outcome)
		}
	}
	return outcomes
}

func callsOf(all []wanted) []engine.Delta {
	var deltas []engine.Delta
	for _, w := range all {
		deltas = append(deltas, start(w.tool))
		if w.arguments != "" {
			deltas = append(deltas, args(w.arguments))
		}
	}
	return append(deltas, stop(engine.StopTools))
}

// pairs returns each call's id and outcome. It checks that START, END and RESULT occur once each, in that order, and
// that an interrupted call has no RESULT.
func (f *fixture) pairs(all []wanted) (ids []string) {
	f.t.Helper()
	outcomes := map[string]tool.Outcome{}
	var order []string
	for _, e := range f.sink.events {
		switch e.Type {
		case agui.ToolCallStart:
			ids = append(ids, e.ToolCallID)
			outcomes[e.ToolCallID] = tool.Asked
		case agui.ToolCallResult:
			outcomes[e.ToolCallID] = tool.OK
			if _, said, ok := strings.Cut(string(e.Metadata), `"outcome":"`); ok {
				outcomes[e.ToolCallID] = tool.Outcome(said[:strings.Index(said, `"`)])
			}
			order = append(order, e.ToolCallID)
		}
	}
	if len(ids) != len(all) || len(outcomes) != len(all) {
		f.t.Fatalf("%d calls of %d\n%s", len(ids), len(all), f.types())
	}
	var want []string
	for i, w := range all {
		if outcomes[ids[i]] != w.outcome {
			f.t.Errorf("call %d, of %s: %s, want %s", i, w.tool, outcomes[ids[i]], w.outcome)
		}
		if w.outcome != tool.Asked {
			want = append(want, ids[i])
		}
	}
	if !slices.Equal(order, want) {
		f.t.Errorf("results of %q, want %q: one each, in the order of the calls", order, want)
	}
	return ids
}

// Each of several parallel calls has its start, arguments, end, one result and a record, whatever its outcome and those
// of the others. The sink checks the order.
func TestRun_EveryOutcomeHasAResult(t *testing.T) {
	t.Attr("row", "D3: each outcome emits a complete set of call events")
	var calls, recorded int
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t, says(callsOf(everyOutcome()), []engine.Delta{text("ok"), stop(engine.StopEnd)}), chat.Limits{})
		release := make(chan struct{})
		kept := f.tools(release)
		end, err := engine.Run(f.ctx, f.config)
		if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeInterrupt ||
			len(end.Outcome.Interrupts) != 2 {
			t.Fatalf("ended with %+v, %v", end, err)
		}
		if err := f.sink.order.Check(end); err != nil {
			t.Error(err)
		}
		ids := f.pairs(everyOutcome())
		for i, w := range everyOutcome() {
			if got := kept.of(ids[i]); !slices.Equal(got, []tool.Outcome{w.outcome}) {
				t.Errorf("call %d, of %s: recorded %v, want %s once", i, w.tool, got, w.outcome)
			}
		}
		if len(kept.all) != len(ids) {
			t.Errorf("%d records of %d calls", len(kept.all), len(ids))
		}
		if took := time.Since(kept.since); took > 10*time.Second {
			t.Errorf("it took %v: calls of 5 s at most did not run beside each other", took)
		}
		close(release)
		if err := f.uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
		calls, recorded = len(ids), len(kept.all)
	})
	t.Attr("figure", fmt.Sprintf("%d calls of one answer in all outcomes: each paired, %d recorded", calls, recorded))
}

// A run that is stopped gives a result to each running call, and to each call that has not started.
func TestRun_StopDuringParallelCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []wanted
		for range 15 {
			all = append(all, wanted{"slow", fine, tool.Stopped})
		}
		all = append(all, wanted{"secret", fine, tool.Denied}, wanted{"stuck", fine, tool.Stopped},
			wanted{"asks", fine, tool.NotCalled})
		f := setUp(t, says(callsOf(all)), chat.Limits{})
		release := make(chan struct{})
		kept := f.tools(release)
		time.AfterFunc(time.Second, func() { f.uc.Cancel(engine.ErrCancelled) })
		end, err := engine.Run(f.ctx, f.config)
		if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeCancelled ||
			time.Since(kept.since) > time.Second {
			t.Fatalf("ended with %+v, %v after %v", end, err, time.Since(kept.since))
		}
		if err := f.sink.order.Check(end); err != nil {
			t.Error(err)
		}
		results := map[string]int{}
		for _, e := range f.sink.events {
			if e.Type == agui.ToolCallResult {
				results[e.ToolCallID]++
			}
		}
		if len(results) != len(all) || len(kept.all) != len(all) {
			t.Errorf("%d results and %d records of %d calls\n%s", len(results), len(kept.all), len(all), f.types())
		}
		close(release)
		if err := f.uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A slow call delays no other call, and the number of parallel calls is bounded.
func TestRun_SlowCall(t *testing.T) {
	t.Attr("row", "D3: calls run in parallel up to a limit, and none waits for a slow one")
	var most, made int
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now := 0
		one, err := tool.Define("other", "", "all", func(_ context.Context, in input) (string, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(map[bool]time.Duration{true: 20 * time.Second, false: time.Second}[in.Say == "slow"])
			mu.Lock()
			now--
			mu.Unlock()
			return "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := []wanted{{"other", `{"say":"slow"}`, tool.OK}}
		for range 36 {
			all = append(all, wanted{"other", fine, tool.OK})
		}
		f := setUp(t, says(callsOf(all), []engine.Delta{text("ok"), stop(engine.StopEnd)}), chat.Limits{}, one)
		kept := &decisions{since: time.Now()}
		f.config.Tools.Record = kept.add
		f.run()
		made = len(f.pairs(all))
		if got := kept.at[len(kept.at)-2]; len(kept.at) != len(all) || got != 4*time.Second {
			t.Errorf("the last quick one of %d was through after %v, want 4 s: 36 of a second each, 9 at a time "+
				"beside the slow one", len(kept.at), got)
		}
	})
	if most != 10 {
		t.Errorf("%d at the same time, want 10", most)
	}
	t.Attr("figure", fmt.Sprintf("%d calls of one answer, %d at a time, one of which takes 20 s", made, most))
}

// Calls that are never made are recorded too: beyond the run's limit, cut off in their arguments, or with a known
// result.
func TestRun_SkippedCallsAreRecorded(t *testing.T) {
	t.Attr("row", "D2: calls that were never made are recorded too")
	calls := 0
	known := tool.Result{Outcome: tool.Refused, Content: "no"}
	for name, c := range map[string]struct {
		model   *model
		limits  chat.Limits
		pending []engine.PendingCall
		want    string
	}{
		"too many": {says(callsOf([]wanted{{"echo", fine, ""}, {"secret", fine, ""}})), chat.Limits{ToolCalls: 1},
			nil, "echo not_called 11, secret not_called 11"},
		"cut off": {says([]engine.Delta{start("told"), args(`{"s`), stop(engine.StopMaxTokens)},
			[]engine.Delta{text("ok"), stop(engine.StopEnd)}), chat.Limits{}, nil, "told not_called 3"},
		"made up": {says([]engine.Delta{start("my secret"), stop(engine.StopFiltered)}), chat.Limits{}, nil,
			" not_called 0"},
		"refused": {done(), chat.Limits{}, []engine.PendingCall{{Call: agui.ToolCall{ID: "c",
			Function: agui.FunctionCall{Name: "echo", Arguments: fine}}, Result: &known}}, "echo refused 11"},
		"made after": {says(callsOf([]wanted{{"echo", fine, ""}}), []engine.Delta{start("told"),
			stop(engine.StopMaxTokens)}, []engine.Delta{text("ok"), stop(engine.StopEnd)}), chat.Limits{}, nil,
			"echo ok 11, told not_called 0"},
	} {
		f := setUp(t, c.model, c.limits)
		f.config.Pending = c.pending
		kept := f.tools(nil)
		f.run()
		var got []string
		calls += len(kept.all)
		for _, d := range kept.all {
			got = append(got, fmt.Sprintf("%s %s %d", d.Tool, d.Outcome, d.ArgumentBytes))
		}
		if all := strings.Join(got, ", "); all != c.want {
			t.Errorf("%s: recorded %q, want %q", name, all, c.want)
		}
		t.Attr("figure", fmt.Sprintf("%s: %d recorded", name, len(kept.all)))
	}
	t.Attr("figure", fmt.Sprintf("%d calls of runs that ended before, each recorded", calls))
}

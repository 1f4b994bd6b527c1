package tool_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// A call with several faults reports only the first, in the documented order of Call. The result has no schema of a
// tool that is not granted, and no question about a call that cannot be made.
func TestCall_OrderOfChecks(t *testing.T) {
	t.Attr("row", "D1: the steps of a call run in order")
	made, tried := 0, 0
	once := define(t, "order", func(ctx context.Context, in order) (string, error) {
		made++
		if made > 1 {
			panic("it was called")
		}
		return strings.Repeat("x", 40), nil
	}).CallsPerRun(1).ResultBytes(20)
	other := define(t, "other", func(context.Context, order) (string, error) { panic("it was called") }).AskFirst("Really?").CallsPerRun(1)
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, once, other)
	var outcomes []tool.Outcome
	var cut bool
	d.Record = func(dec tool.Decision) { outcomes, cut = append(outcomes, dec.Outcome), cut || dec.Cut }
	call := func(name, arguments string) tool.Result {
		tried++
		return d.Call(uc.Context(), tool.Call{ID: fmt.Sprint(len(outcomes)), Name: name, Arguments: arguments})
	}
	if got := call("order", good); got.Outcome != tool.OK || !strings.HasPrefix(got.Content, strings.Repeat("x", 20)+"\n[cut") || !cut {
		t.Errorf("the one good call: %+v, recorded as cut: %v", got, cut)
	}
	for _, c := range []struct {
		name, arguments string
		want            tool.Outcome
		says, saysNot   string
	}{
		{"nothing", `{`, tool.Unknown, "There is no tool", "permitted"},
		{"other", `{`, tool.Denied, "not permitted", "properties"},
		{"other", good, tool.Denied, "not permitted", "Really"},
		{"order", `{`, tool.BadArguments, "properties", "may be called"},
		{"order", good, tool.Limited, "may be called 1 times", "xx"},
	} {
		if got := call(c.name, c.arguments); got.Outcome != c.want || !strings.Contains(got.Content, c.says) || strings.Contains(got.Content, c.saysNot) || got.Question != nil {
			t.Errorf("%s %s: %+v, want %s that says %q and not %q", c.name, c.arguments, got, c.want, c.says, c.saysNot)
		}
	}
	uc = contextOf(t, "other")
	defer uc.Close(context.Background())
	d = dispatcher(t, uc, once, other)
	for _, want := range []tool.Outcome{tool.BadArguments, tool.Asked, tool.Limited} { // a limit comes before the question
		if got := d.Call(uc.Context(), tool.Call{ID: string(want), Name: "other", Arguments: map[bool]string{true: `{`, false: good}[want == tool.BadArguments]}); got.Outcome != want {
			t.Errorf("have %+v, want %s", got, want)
		}
	}
	if want := []tool.Outcome{tool.OK, tool.Unknown, tool.Denied, tool.Denied, tool.BadArguments, tool.Limited}; !slices.Equal(outcomes, want) || made != 1 {
		t.Errorf("recorded %v, want %v; the handler ran %d times", outcomes, want, made)
	}
	t.Attr("figure", fmt.Sprintf("%d calls, recorded %d; handlers of refused ones that ran: %d", tried, len(outcomes), made-1))
}

// Call limits hold for parallel calls. They apply to one run, in all its attempts, and not to a tool over all runs.
func TestCallsPerRun(t *testing.T) {
	t.Attr("row", "D1: calls of a tool are limited per run")
	var mu sync.Mutex
	ran, allowed, tried := 0, 0, 0
	three := define(t, "order", func(context.Context, order) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		ran++
		return "", nil
	}).CallsPerRun(3)
	for _, earlier := range []int{0, 2, 5} {
		ran = 0
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, three)
		var events []agui.Event
		for i := range earlier {
			events = append(events, agui.Event{Type: agui.ToolCallStart, ToolCallID: fmt.Sprint("earlier", i), ToolCallName: "order"},
				agui.Event{Type: agui.ToolCallEnd, ToolCallID: fmt.Sprint("earlier", i)})
		}
		d.CountPrevious(append(events, agui.Event{Type: agui.ToolCallStart, ToolCallID: "x", ToolCallName: "nothing"}))
		outcomes := map[tool.Outcome]int{}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				got := d.Call(uc.Context(), tool.Call{ID: fmt.Sprint(i), Name: "order", Arguments: good})
				mu.Lock()
				defer mu.Unlock()
				outcomes[got.Outcome]++
			})
		}
		all.Wait()
		allowed, tried = allowed+ran, tried+20
		if want := max(3-earlier, 0); outcomes[tool.OK] != want || outcomes[tool.Limited] != 20-want || ran != want {
			t.Errorf("after %d calls: %v, the handler ran %d times, want %d", earlier, outcomes, ran, want)
		}
		if earlier > 0 { // one that was under way when its worker died was let in by that worker
			if got := d.Call(uc.Context(), tool.Call{ID: "earlier0", Name: "order", Arguments: good, MayHaveRun: true}); got.Outcome != tool.UnknownCall {
				t.Errorf("one that was under way: %+v", got)
			}
		}
		uc.Close(context.Background())
	}
	t.Attr("figure", fmt.Sprintf("%d of %d calls at once were let through, in 3 runs with 3, 1 and 0 calls left", allowed, tried))
}

func TestDeadline(t *testing.T) {
	t.Attr("row", "D1: a tool has a deadline of its own")
	var took []time.Duration
	synctest.Test(t, func(t *testing.T) {
		uc := contextOf(t, "order", "other")
		defer uc.Close(context.Background())
		wait := func(ctx context.Context, _ order) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		d := dispatcher(t, uc, define(t, "order", wait).Deadline(2*time.Second), define(t, "other", wait).Deadline(time.Minute))
		d.Record = func(dec tool.Decision) { took = append(took, dec.Took) }
		for _, name := range []string{"order", "other"} {
			if got := d.Call(uc.Context(), tool.Call{Name: name, Arguments: good}); got.Outcome != tool.TimedOut || !strings.Contains(got.Content, "did not answer within") {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if want := []time.Duration{2 * time.Second, time.Minute}; !slices.Equal(took, want) {
			t.Errorf("they took %v, want %v", took, want)
		}
		t.Attr("figure", fmt.Sprintf("two tools that wait, ended after %v", took))
	})
	t.Attr("figure", fmt.Sprintf("calls that do not end took %v", took))
}

// The builders return a changed copy and leave the original tool unchanged.
func TestLimits_BuildersReturnCopies(t *testing.T) {
	plain := define(t, "order", func(_ context.Context, in order) (string, error) { return in.Item, nil })
	plain.CallsPerRun(1).Deadline(1).ResultBytes(1)
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, plain)
	for i := range 3 {
		if got := d.Call(uc.Context(), tool.Call{ID: fmt.Sprint(i), Name: "order", Arguments: good}); got.Outcome != tool.OK || got.Content != "book" {
			t.Errorf("call %d: %+v", i, got)
		}
	}
}

func TestLimits_OutOfRange(t *testing.T) {
	plain := define(t, "order", echo)
	for name, c := range map[string]struct {
		tool tool.Tool
		fine bool
	}{
		"no calls":         {plain.CallsPerRun(0), false},
		"one call":         {plain.CallsPerRun(1), true},
		"no time":          {plain.Deadline(0), false},
		"the longest call": {plain.Deadline(tool.MaxCallTime), true},
		"a longer call":    {plain.Deadline(tool.MaxCallTime + 1), false},
		"no bytes":         {plain.ResultBytes(0), false},
		"an event's":       {plain.ResultBytes(tool.MaxResult), true},
		"more":             {plain.ResultBytes(math.MaxInt), false},
	} {
		if _, err := tool.NewRegistry(c.tool); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A skipped call is recorded too, without its content.
func TestRecordSkipped(t *testing.T) {
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, define(t, "order", echo))
	d.RecordSkipped(tool.Call{ID: "c0"}, tool.NotCalled) // Record is nil
	var got []tool.Decision
	d.Record = func(dec tool.Decision) { got = append(got, dec) }
	d.RecordSkipped(tool.Call{ID: "c1", Name: "order", Arguments: good}, tool.Refused)
	d.RecordSkipped(tool.Call{ID: "c2", Name: "my password is hunter2"}, tool.NotCalled)
	want := []tool.Decision{
		{Run: "r", Call: "c1", Tool: "order", Grant: "order", Outcome: tool.Refused, ArgumentBytes: len(good)},
		{Run: "r", Call: "c2", Outcome: tool.NotCalled},
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
}

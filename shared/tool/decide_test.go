package tool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"carrel/shared/tool"
)

// Without the exact grant a tool is neither offered nor called.
func TestDispatcher_DefaultDeny(t *testing.T) {
	t.Attr("row", "D2: a tool that is not granted is denied")
	called, denied := 0, 0
	handle := func(context.Context, order) (string, error) { called++; return "", nil }
	near := [][]string{nil, {""}, {"Order"}, {"order "}, {"ord"}, {"order:all"}, {"*"},
		{"orders", "ORDER", "*:*", "admin"}, {"order,other"}, {"\u043erder"}}
	for _, grants := range near {
		uc := contextOf(t, grants...)
		d := dispatcher(t, uc, define(t, "order", handle))
		if specs := d.Specs(); len(specs) != 0 {
			t.Errorf("a run with the grants %q is shown %+v", grants, specs)
		}
		if got := d.Call(uc.Context(), tool.Call{ID: "c", Name: "order", Arguments: good, Approved: true,
			MayHaveRun: true}); got.Outcome == tool.Denied {
			denied++
		} else {
			t.Errorf("a run with the grants %q: %+v", grants, got)
		}
		if err := uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if called != 0 {
		t.Errorf("%d denied calls were made", called)
	}
	t.Attr("figure", fmt.Sprintf("%d of %d runs without just this grant are denied, %d calls were made", denied,
		len(near), called))
}

// Each call has one record with its outcome.
func TestDispatcher_RecordsEveryCall(t *testing.T) {
	t.Attr("row", "D2: every decision is recorded")
	fails := func(err error) func(context.Context, order) (string, error) {
		return func(context.Context, order) (string, error) { return "", err }
	}
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	var decisions []tool.Decision
	tried := 0
	for _, c := range []struct {
		tool tool.Tool
		call tool.Call
		want tool.Outcome
	}{
		{define(t, "order", echo), tool.Call{Name: "order", Arguments: good}, tool.OK},
		{define(t, "order", echo), tool.Call{Name: "nothing", Arguments: good}, tool.Unknown},
		{define(t, "order", echo), tool.Call{Name: "other", Arguments: good}, tool.Denied},
		{define(t, "order", echo), tool.Call{Name: "order", Arguments: "{"}, tool.BadArguments},
		{define(t, "order", fails(errors.New("no"))), tool.Call{Name: "order", Arguments: good}, tool.Failed},
		{define(t, "order", func(context.Context, order) (string, error) { panic("no") }),
			tool.Call{Name: "order", Arguments: good}, tool.Panicked},
		{define(t, "order", func(ctx context.Context, _ order) (string, error) {
			<-ctx.Done()
			return "",
				ctx.Err()
		}).Deadline(1),
			tool.Call{Name: "order", Arguments: good}, tool.TimedOut},
		{define(t, "order", echo).AskFirst("Really?"), tool.Call{Name: "order", Arguments: good}, tool.Asked},
		{define(t, "order", fails(&tool.InputError{Message: string(make([]byte, 2000))})),
			tool.Call{Name: "order", Arguments: good}, tool.Refused},
		{define(t, "order", echo), tool.Call{Name: "order", Arguments: good, MayHaveRun: true}, tool.UnknownCall},
	} {
		d := dispatcher(t, uc, c.tool, define(t, "other", echo))
		d.Record = func(one tool.Decision) { decisions = append(decisions, one) }
		tried++
		c.call.ID = fmt.Sprint(tried)
		got := d.Call(uc.Context(), c.call)
		if got.Outcome != c.want || len(decisions) != tried || decisions[tried-1].Outcome != c.want ||
			decisions[tried-1].Call != c.call.ID {
			t.Fatalf("%+v: %+v, recorded %+v, want %s", c.call, got, decisions, c.want)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d calls, each with another outcome: %d decisions recorded", tried, len(decisions)))
}

package tool_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// At most one value a second is sent. The first and the last are, and none after the call's result.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uc := contextOf(t, "order")
		var late context.Context
		made, err := tool.Raw(tool.Spec{Name: "order", Schema: json.RawMessage(orderSchema)}, "order",
			func(ctx context.Context, _ json.RawMessage) (tool.Output, error) {
				for n := range 25 { // 2.5 s
					tool.Progress(ctx, float64(n), 25, "working")
					time.Sleep(100 * time.Millisecond)
				}
				tool.Progress(ctx, 25, math.Inf(1), strings.Repeat("é", 300))
				late = ctx
				return tool.Output{}, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		var sent []agui.Event
		call := tool.Call{ID: "c1", Name: "order", Arguments: `{"item":"tea"}`}
		call.Progress = func(e agui.Event) { sent = append(sent, e) }
		got := dispatcher(t, uc, made).Call(uc.Context(), call)
		time.Sleep(2 * time.Second)
		tool.Progress(late, 26, 0, "too late")
		tool.Progress(t.Context(), 1, 0, "outside of a call")
		var values []string
		for _, e := range sent {
			if e.Type != agui.Custom || e.Name != "carrel.progress" {
				t.Errorf("sent %+v", e)
			}
			values = append(values, string(e.Value))
		}
		want := []string{`{"toolCallId":"c1","done":0,"total":25,"message":"working"}`,
			`{"toolCallId":"c1","done":10,"total":25,"message":"working"}`,
			`{"toolCallId":"c1","done":20,"total":25,"message":"working"}`,
			`{"toolCallId":"c1","done":25,"message":"` + strings.Repeat("é", 200) + `"}`}
		if got.Outcome != tool.OK || strings.Join(values, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s; sent\n%s\nwant\n%s", got.Outcome, strings.Join(values, "\n"), strings.Join(want, "\n"))
		}
		if err := uc.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A tool that is missing when a run continues may have been called before. If a person approved the call, the result
// says that it was not made.
func TestCall_MissingTool(t *testing.T) {
	uc := contextOf(t, "order")
	d := dispatcher(t, uc, raw(t, orderSchema))
	for name, c := range map[string]struct {
		call tool.Call
		want tool.Outcome
		says string
	}{
		"never there":   {tool.Call{}, tool.Unknown, "There is no tool"},
		"may have run":  {tool.Call{MayHaveRun: true}, tool.UnknownCall, agui.UnknownOutcome},
		"approved":      {tool.Call{Approved: true}, tool.Unknown, "The call was not made"},
		"approved, ran": {tool.Call{Approved: true, MayHaveRun: true}, tool.UnknownCall, agui.UnknownOutcome},
	} {
		c.call.ID, c.call.Name = "c", "down_search"
		if got := d.Call(uc.Context(), c.call); got.Outcome != c.want || !strings.Contains(got.Content, c.says) {
			t.Errorf("%s: %s %s, want %s %s", name, got.Outcome, got.Content, c.want, c.says)
		}
	}
}

package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// A call's progress is emitted while the call runs, and never after its result.
func TestRun_Progress(t *testing.T) {
	f := setUp(t, says([]engine.Delta{start("slow"), args(`{}`), start("quick"), args(`{}`), stop(engine.StopTools)},
		[]engine.Delta{text("done"), stop(engine.StopEnd)}), chat.Limits{})
	reports := make(chan struct{})
	define := func(name string, handle func(context.Context, struct{}) (string, error)) tool.Tool {
		made, err := tool.Define(name, "", "all", handle)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	registry, err := tool.NewRegistry(define("slow", func(ctx context.Context, _ struct{}) (string, error) {
		tool.Progress(ctx, 1, 2, "half")
		close(reports)
		return "slow", nil
	}), define("quick", func(ctx context.Context, _ struct{}) (string, error) {
		<-reports
		tool.Progress(ctx, 1, 0, "")
		return "quick", nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if f.config.Tools, err = tool.NewDispatcher(f.uc, registry, registry.Names()); err != nil {
		t.Fatal(err)
	}
	f.run()
	var order []string
	for _, e := range f.sink.events {
		switch {
		case e.Name == "carrel.progress":
			order = append(order, e.Name)
		case e.Type == agui.ToolCallResult:
			order = append(order, *e.Content)
		}
	}
	if i, n := slices.Index(order, "slow"), strings.Count(strings.Join(order, " "), "carrel.progress"); n != 2 ||
		i < 1 || order[len(order)-1] != "quick" {
		t.Errorf("the order is %q", order)
	}
}

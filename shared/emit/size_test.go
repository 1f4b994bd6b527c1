package emit_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/tool"
)

// What comes faster than the log takes it waits: no record grows beyond what an item may hold.
func TestEmit_BlocksWhenRecordIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{takes: time.Second}, lasthoptest.New())
		start := time.Now()
		big := strings.Repeat("x", 100<<10)
		for range 9 {
			r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "m", ToolCallID: "c", Content: &big})
		}
		if waited := time.Since(start); waited < time.Second {
			t.Errorf("900 KB were taken within %v", waited)
		}
		r.end(t)
		for _, rec := range r.log.records {
			if n := len(rec.events); n > 2 {
				t.Errorf("a record of %d events of 100 KB", n)
			}
		}
	})
}

func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{takes: time.Millisecond}, lasthoptest.New(conn("a")))
		r.emit(t, opening()...)
		const family = "👨‍👩‍👧‍👦"
		long := strings.Repeat(family, 20<<10)
		r.emit(t, text(long), agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})
		longest := tool.ResponseResult(strings.Repeat("\x00", 1<<20)).Content
		result := agui.Event{Type: agui.ToolCallResult, MessageID: strings.Repeat("m", 128),
			ToolCallID: strings.Repeat("c", 128),
			Content:    &longest, Metadata: agui.Marks{Edited: true, Outcome: string(tool.BadArguments)}.Metadata()}
		r.emit(t, result)
		result.Content = &long
		if err := r.Emit(t.Context(), result); err == nil {
			t.Error("a result that the model has whole was taken, and could only be cut")
		}
		r.end(t)
		got := r.edge.Events(t, "a", 0)
		if said(got) != long {
			t.Error("a long delta did not arrive whole")
		}
		for _, e := range got {
			if strings.ReplaceAll(e.Delta, family, "") != "" {
				t.Errorf("a delta ends inside a cluster: %+q", e.Delta[len(e.Delta)-40:])
			}
		}
		if got := *got[len(got)-2].Content; got != longest {
			t.Errorf("the longest result of a tool arrives with %d bytes of %d", len(got), len(longest))
		}
		if err := r.Emit(t.Context(), agui.Event{Type: agui.Custom}); !errors.Is(err, chat.ErrClosed) {
			t.Errorf("Emit after the end gives %v", err)
		}
	})
}

// The events of one Emit are in one record, even if the record before it has no room left for all of them.
func TestEmit_TogetherInOneRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{takes: time.Second}, lasthoptest.New())
		r.emit(t, opening()...)
		big, half := strings.Repeat("x", 250<<10), strings.Repeat("y", 40<<10)
		result := func(id string, content *string) agui.Event {
			return agui.Event{Type: agui.ToolCallResult, MessageID: id, ToolCallID: id, Content: content}
		}
		r.emit(t, result("a", &big)) // pending while the first record is appended
		if err := r.Emit(t.Context(), result("b", &half), result("c", &half)); err != nil {
			t.Fatal(err)
		}
		if err := r.Emit(t.Context(), result("d", &big), result("e", &big)); err == nil {
			t.Error("two events that no record can hold were accepted together")
		}
		r.end(t)
		for _, rec := range r.log.records {
			var ids string
			for _, e := range rec.events {
				ids += e.ToolCallID
			}
			if strings.Contains(ids, "b") != strings.Contains(ids, "c") {
				t.Errorf("a record has the results %q", ids)
			}
		}
	})
}

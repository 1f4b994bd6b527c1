package emit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// What comes faster than the log takes it waits: no record grows beyond what an item may hold.
func TestEmitBlocksWhileARecordsWorthWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{takes: time.Second}, newEdge())
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
		r := newRig(t, &fakeLog{takes: time.Millisecond}, newEdge(conn("a")))
		r.emit(t, opening()...)
		const family = "👨‍👩‍👧‍👦"
		long := strings.Repeat(family, 20<<10)
		r.emit(t, text(long), agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})
		r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "x", ToolCallID: "c", Content: &long})
		r.end(t)
		got := r.edge.events(t, "a", 0)
		if said(got) != long {
			t.Error("a long delta did not arrive whole")
		}
		for _, e := range got {
			if strings.ReplaceAll(e.Delta, family, "") != "" {
				t.Errorf("a delta ends inside a cluster: %+q", e.Delta[len(e.Delta)-40:])
			}
		}
		result := *got[len(got)-2].Content
		if len(result) > 256<<10 || !strings.HasSuffix(result, fmt.Sprintf("of %d bytes]", len(long))) {
			t.Errorf("a tool result of %d bytes became %d ending in %q", len(long), len(result), result[len(result)-40:])
		}
		if head, _, _ := strings.Cut(result, "\n"); strings.ReplaceAll(head, family, "") != "" {
			t.Errorf("the result is cut inside a cluster: %+q", head[len(head)-40:])
		}
		if err := r.Emit(t.Context(), agui.Event{Type: agui.Custom}); !errors.Is(err, chat.ErrClosed) {
			t.Errorf("Emit after the end gives %v", err)
		}
	})
}

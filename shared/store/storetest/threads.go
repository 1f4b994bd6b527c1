package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// Delete stores the deletion mark of a thread directly in the table.
func (w *World) Delete(subject string, thread chat.ThreadID) {
	w.T.Helper()
	pk := "U#" + chattest.User(w.T, subject).Key()
	w.set(item(pk, "THREAD#"+string(thread)), "deleted", &types.AttributeValueMemberN{Value: "1"})
}

// transcripts: transcripts are read in pages, newest first and without gaps.
func transcripts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	var thread store.Thread
	for i := range 25 { // more than a page
		thread = w.Complete(alice, chat.RunID(fmt.Sprint("r", i)), "t1", "yes")
	}
	for _, c := range []struct {
		before      chat.Seq
		limit, want int
		more        bool
	}{{0, 4, 2, true}, {0, 3, 2, true}, {0, 48, 24, true}, {0, 50, 25, false}, {0, 999, 25, false}, {11, 99, 2, false},
		{11, 2, 1, true}, {1, 9, 0, false}} {
		ts, more, err := alice.Transcripts(ctx, thread, c.before, c.limit)
		if err != nil || len(ts) != c.want || more != c.more {
			t.Errorf("before %d, %d messages: %d transcripts, more %v, %v", c.before, c.limit, len(ts), more, err)
		}
		for i, tr := range ts {
			if c.before > 0 && tr.Last >= c.before || i > 0 && tr.Last+1 != ts[i-1].First {
				t.Errorf("transcript %d has the events %d to %d", i, tr.First, tr.Last)
			}
		}
	}
	thread.Head -= 1 // as for a reader that read the thread before the end of the last run
	if ts, _, err := alice.Transcripts(ctx, thread, 0, 2); err != nil || len(ts) != 1 || ts[0].Run != "r23" {
		t.Errorf("transcripts up to an older head: %+v, %v", ts, err)
	}
}

// largeTranscript: a run whose messages do not fit in an item still ends, and the cut message states how much is
// missing.
func largeTranscript(t *testing.T, w *World) {
	alice := w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h))
	for i := range 5 {
		w.Append(h, Said(fmt.Sprint("m", i), strings.Repeat("é", 100<<10))...)
	}
	args, err := json.Marshal(strings.Repeat("x", 200<<10))
	if err != nil {
		t.Fatal(err)
	}
	w.Append(h, agui.Event{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "calc", ParentMessageID: "m4"},
		agui.Event{Type: agui.ToolCallArgs, ToolCallID: "c", Delta: string(args)},
		agui.Event{Type: agui.ToolCallEnd, ToolCallID: "c"})
	ts, _, err := alice.Transcripts(t.Context(), w.End(h, Finished(h)), 0, 9)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 6 {
		t.Fatalf("transcripts: %d, %v", len(ts), err)
	}
	last := ts[0].Messages[5]
	if !strings.HasSuffix(last.Content, " bytes more)") || !strings.HasPrefix(last.Content, "éé") {
		t.Errorf("the cut message does not state how much is missing: %.80q", last.Content)
	}
	if len(last.ToolCalls) != 1 || !json.Valid([]byte(last.ToolCalls[0].Function.Arguments)) {
		t.Errorf("the call's arguments: %+v", last.ToolCalls)
	}
}

// manyMessages: a run still ends if even the shortened messages do not fit in an item.
func manyMessages(t *testing.T, w *World) {
	alice := w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h))
	for i := range 20 {
		var record []agui.Event
		for n := range 60 {
			record = append(record, Said(fmt.Sprint("m", i, "-", n), strings.Repeat("\x01", 200))...) // six bytes each
		}
		w.Append(h, record...)
	}
	ts, _, err := alice.Transcripts(t.Context(), w.End(h, append(Said("last", "the end"), Finished(h))...), 0, 9)
	if err != nil || len(ts) != 1 {
		t.Fatalf("transcripts: %d, %v", len(ts), err)
	}
	m := ts[0].Messages
	if m[0].Content != "question of r1" || !strings.HasSuffix(m[1].Content, " messages more)") ||
		m[len(m)-1].Content != "the end" {
		t.Errorf("%d messages: %+v, %+v and %+v", len(m), m[0], m[1], m[len(m)-1])
	}
}

// retention: a thread that was idle for longer than the retention of its log continues with the next event number.
func retention(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	thread := w.Complete(alice, "r1", "t1", "long ago")
	w.Clock.Advance(40 * 24 * time.Hour)
	if last := must[store.Record](t)(alice.Last(ctx, "t1", thread.Epoch)); last.Last != 0 {
		t.Errorf("the expired log ends at %d, want 0", last.Last)
	}
	if got := must[[]store.Record](t)(alice.Log(ctx, "t1", thread.Epoch, 0, 9)); len(got) > 0 {
		t.Errorf("the expired log returns %+v", got)
	}
	h := w.Begin(alice, "r2", "t1")
	if seq := w.Append(h, Started(h)); seq != thread.Head+1 {
		t.Errorf("the log continues at %d after %d", seq, thread.Head)
	}
	if got := must[[]store.Record](t)(alice.Log(ctx, "t1", thread.Epoch, 2, 9)); len(got) > 0 {
		t.Errorf("after the expired records the log returns %+v", got)
	}
	if thread = w.End(h, Finished(h)); thread.Head != 7 {
		t.Errorf("the thread ends at %d", thread.Head)
	}
	if ts, _, err := alice.Transcripts(ctx, thread, 0, 99); err != nil || len(ts) != 2 {
		t.Errorf("transcripts: %+v, %v", ts, err)
	}
	w.Limits.Retention = 24 * time.Hour
	w.Table = w.With(w.DB)
	thread = w.Complete(w.As("bob"), "r1", "t1", "yesterday")
	for _, c := range []struct {
		on   time.Duration
		want chat.Seq
	}{{23 * time.Hour, 5}, {2 * time.Hour, 0}} {
		w.Clock.Advance(c.on)
		last := must[store.Record](t)(w.As("bob").Last(ctx, "t1", thread.Epoch))
		if last.Last != c.want {
			t.Errorf("with a retention of one day, %v later, the log ends at %d, want %d", c.on, last.Last, c.want)
		}
		t.Attr("figure", fmt.Sprintf("with a retention of one day, %v later, the log ends at %d", c.on, last.Last))
	}
}

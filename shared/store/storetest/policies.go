package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// progress is the state of a run when another run is admitted on its thread.
type progress struct {
	name string
	make func(w *World, h *store.Lease)
}

func progresses() []progress {
	return []progress{
		{"claimed only", func(*World, *store.Lease) {}},
		{"before the first token", func(w *World, h *store.Lease) { w.Append(h, Started(h)) }},
		{"mid text", func(w *World, h *store.Lease) { w.Append(h, append([]agui.Event{Started(h)}, half()...)...) }},
		{"mid tool", func(w *World, h *store.Lease) { w.Append(h, append([]agui.Event{Started(h)}, calling()...)...) }},
	}
}

// half returns the events of a message that has not ended.
func half() []agui.Event {
	return []agui.Event{
		{Type: agui.TextMessageStart, MessageID: "a", Role: agui.RoleAssistant},
		{Type: agui.TextMessageContent, MessageID: "a", Delta: "half a message"},
	}
}

// calling returns the events of a tool call without a result.
func calling() []agui.Event {
	return []agui.Event{
		{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "calc"},
		{Type: agui.ToolCallArgs, ToolCallID: "c", Delta: "{}"},
		{Type: agui.ToolCallEnd, ToolCallID: "c"},
	}
}

// Cancelled returns the last event of a cancelled run.
func Cancelled(h *store.Lease) agui.Event {
	e := Finished(h)
	e.Outcome = &agui.Outcome{Type: agui.OutcomeCancelled}
	return e
}

// policies: a new run on a busy thread is queued, is rejected or interrupts, whatever the progress of the running run.
// The queued runs of the thread start in the right order.
func policies(t *testing.T, w *World) {
	for i, at := range progresses() {
		for _, policy := range []chat.WhenBusy{chat.Enqueue, chat.Reject, chat.Interrupt} {
			t.Run(fmt.Sprintf("%s, %s", at.name, policy), func(t *testing.T) {
				v := *w
				v.T = t
				v.policy(policy, fmt.Sprint(policy, i), at)
			})
		}
	}
}

// policy admits a run with a policy while another run of the thread has made this progress.
func (w *World) policy(policy chat.WhenBusy, user string, at progress) {
	t, ctx, s := w.T, w.T.Context(), w.As(user)
	h := w.Begin(s, "r1", "t1")
	at.make(w, h)
	w.Admit(s, "w1", "t1")
	a := Asked("r2", "t1")
	a.WhenBusy = policy
	admitted, err := s.Admit(ctx, a)
	last, order := Finished(h), []chat.RunID{"w1", "r2"}
	switch policy {
	case chat.Reject:
		wantErr(t, "the second run", err, chat.ErrBusy)
		order = order[:1]
	case chat.Interrupt:
		last, order = Cancelled(h), []chat.RunID{"r2", "w1"}
	}
	if policy != chat.Reject && (err != nil || admitted.Run.Status != chat.RunQueued || admitted.Invoke) {
		t.Fatalf("the second run: %+v, %v", admitted, err)
	}
	if stop := must[bool](t)(h.CancelRequested(ctx)); stop != (policy == chat.Interrupt) {
		t.Errorf("a cancellation was requested for the running run: %v", stop)
	}
	if got := must[[]store.Run](t)(s.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started while the thread has a running run: %v", got)
	}
	epoch := h.Thread().Epoch
	before := must[[]store.Record](t)(s.Log(ctx, "t1", epoch, 0, 99))
	ends := []agui.Event{last}
	if len(before) == 0 {
		ends = []agui.Event{Started(h), last}
	}
	w.End(h, ends...)
	log := must[[]store.Record](t)(s.Log(ctx, "t1", epoch, 0, 99))
	if len(log) != len(before)+1 || len(before) > 0 && !reflect.DeepEqual(log[:len(before)], before) {
		t.Errorf("the log changed from %+v to %+v, want one more record", before, log)
	}
	if r := must[store.Run](t)(s.Run(ctx, "r1")); r.Status == chat.RunCancelled != (policy == chat.Interrupt) {
		t.Errorf("the running run ended %s", r.Status)
	}
	w.inOrder(s, order)
}

// inOrder starts, claims and ends the queued runs one after the other, and checks that they start in this order and
// that the run queue is empty at the end.
func (w *World) inOrder(s *store.Store, order []chat.RunID) {
	w.T.Helper()
	ctx := w.T.Context()
	for _, want := range order {
		if got := must[[]store.Run](w.T)(s.StartQueued(ctx)); len(got) != 1 || got[0].ID != want {
			w.T.Fatalf("started %v, want %s", got, want)
		}
		h := w.Claim(s, want)
		w.End(h, Started(h), Finished(h))
	}
	if q := must[runqueue.Queue](w.T)(s.RunQueue(ctx)); len(q.Slots)+len(q.Queued) > 0 {
		w.T.Errorf("the run queue: %+v", q)
	}
}

// interruptedUnclaimed: an interrupting run also requests the cancellation of a run that is not claimed yet. The worker
// that claims that run reads the request.
func interruptedUnclaimed(t *testing.T, w *World) {
	alice := w.As("alice")
	w.Admit(alice, "r1", "t1")
	a := Asked("r2", "t1")
	a.WhenBusy = chat.Interrupt
	if got := must[store.Admitted](t)(alice.Admit(t.Context(), a)); got.Run.Status != chat.RunQueued {
		t.Errorf("the second run: %+v", got)
	}
	h := w.Claim(alice, "r1")
	if !h.Run().CancelRequested || !must[bool](t)(h.CancelRequested(t.Context())) {
		t.Error("the worker does not read the requested cancellation")
	}
	w.End(h, Started(h), Cancelled(h))
	w.inOrder(alice, []chat.RunID{"r2"})
}

// rateLimit: a user may admit as many runs as the bucket holds, then one for each new token. An admission that makes no
// new run takes no token.
func rateLimit(t *testing.T, w *World) {
	ctx := t.Context()
	w.Limits = chat.DefaultLimits()
	w.Limits.RunBurst = 7
	begin := time.UnixMilli(w.Clock.Now().UnixMilli())
	at := begin
	w.Table = store.New(w.DB, store.Config{Name: w.Name, Limits: w.Limits, Now: func() time.Time { return at }})
	alice := w.As("alice")
	for i := range 5 {
		w.Admit(alice, chat.RunID(fmt.Sprint("r", i)), chat.ThreadID(fmt.Sprint("t", i)))
	}
	for range 9 {
		w.Admit(alice, "r0", "t0") // a repeat
		busy := Asked("busy", "t1")
		busy.WhenBusy = chat.Reject
		_, err := alice.Admit(ctx, busy)
		wantErr(t, "a busy thread", err, chat.ErrBusy)
	}
	for _, run := range []chat.RunID{"w1", "w2"} {
		w.Admit(alice, run, "t1")
	}
	for i, c := range []struct{ ahead, want time.Duration }{
		{0, 6 * time.Second}, {5999 * time.Millisecond, time.Millisecond}, {6 * time.Second, 0},
		{6 * time.Second, 6 * time.Second},
	} {
		at = begin.Add(c.ahead)
		_, err := alice.Admit(ctx, Asked(chat.RunID(fmt.Sprint("x", i)), "t2"))
		var limited *chat.RateLimitedError
		switch {
		case c.want == 0 && err != nil, c.want != 0 && !errors.As(err, &limited):
			t.Errorf("after %s: %v", c.ahead, err)
		case c.want != 0 && limited.After != c.want:
			t.Errorf("after %s the retry time is %s, want %s", c.ahead, limited.After, c.want)
		}
	}
	w.Admit(w.As("bob"), "r1", "t1") // bob has his own bucket
}

// erasing: while a user is being erased no run is admitted or started. Queued runs can be cancelled.
func erasing(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	w.Admit(alice, "w2", "t1")
	w.set(item("U#alice", "QUEUE"), "erasing", &types.AttributeValueMemberBOOL{Value: true})
	if c := must[store.Cancelled](t)(alice.Cancel(ctx, "w1")); !c.Ended {
		t.Errorf("cancelled: %+v", c)
	}
	w.End(h, Started(h), Finished(h))
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started %v", got)
	}
	_, err := alice.Admit(ctx, Asked("x", "t2"))
	wantErr(t, "a run", err, chat.ErrErasing)
	w.set(item("U#alice", "QUEUE"), "expires", &types.AttributeValueMemberN{Value: "1"}) // the erasure mark has expired
	if q := must[runqueue.Queue](t)(alice.RunQueue(ctx)); len(q.Queued) > 0 {
		t.Errorf("the run queue: %+v", q)
	}
	w.Admit(alice, "x", "t2")
	if q := must[runqueue.Queue](t)(alice.RunQueue(ctx)); len(q.Slots) != 1 || q.Slots["x"] != "t2" {
		t.Errorf("the run queue: %+v", q)
	}
}

package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// Asking returns the last event of a run that is suspended with these interrupts. Each asks to approve a tool call.
func Asking(h *store.Lease, expires time.Time, ids ...chat.InterruptID) agui.Event {
	e := agui.Event{
		Type: agui.RunFinished, ThreadID: h.Run().Thread, RunID: h.Run().ID,
		Outcome: &agui.Outcome{Type: agui.OutcomeInterrupt},
	}
	for _, id := range ids {
		i := agui.Interrupt{
			ID: id, Reason: agui.ReasonToolCall, ToolCallID: "call-" + string(id), Message: "may I? " + string(id),
			Metadata: json.RawMessage(`{"carrel":{"tool":"calc"}}`),
		}
		if !expires.IsZero() {
			i.ExpiresAt = expires.UTC().Format(time.RFC3339)
		}
		e.Outcome.Interrupts = append(e.Outcome.Interrupts, i)
	}
	return e
}

// Answering returns an admission that approves these interrupts.
func Answering(run chat.RunID, thread chat.ThreadID, ids ...chat.InterruptID) store.Admission {
	a := Asked(run, thread)
	a.Messages = nil
	for _, id := range ids {
		a.Responses = append(a.Responses, store.Response{Resume: agui.Resume{InterruptID: id,
			Status: agui.ResumeResolved}})
	}
	return a
}

// suspend makes a run that is suspended with interrupts. They expire after a day.
func (w *World) suspend(s *store.Store, run chat.RunID, thread chat.ThreadID, ids ...chat.InterruptID) store.Thread {
	w.T.Helper()
	h := w.Begin(s, run, thread)
	return w.End(h, Started(h), Asking(h, time.Time{}, ids...))
}

// wantInterrupted checks that an admission was rejected because of these open interrupts.
func wantInterrupted(t *testing.T, action string, err error, open ...chat.InterruptID) {
	t.Helper()
	var interrupted *store.InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, chat.ErrInterrupted) ||
		!slices.Equal(idsOf(interrupted.Open), open) {
		t.Errorf("%s: got %v (%+v), want an InterruptedError with %v", action, err, interrupted, open)
	}
}

func idsOf(open []agui.Interrupt) []chat.InterruptID {
	var ids []chat.InterruptID
	for _, i := range open {
		ids = append(ids, i.ID)
	}
	return ids
}

// wantOpen checks the open interrupts of a thread, both in Thread and in Threads.
func (w *World) wantOpen(s *store.Store, thread chat.ThreadID, ids ...chat.InterruptID) {
	w.T.Helper()
	one := must[store.Thread](w.T)(s.Thread(w.T.Context(), thread))
	page, _, err := s.Threads(w.T.Context(), "", 99)
	if err != nil {
		w.T.Fatal(err)
	}
	listed := slices.IndexFunc(page, func(t store.Thread) bool { return t.ID == thread })
	if listed < 0 || !reflect.DeepEqual(page[listed], one) || !slices.Equal(idsOf(one.Interrupts), ids) {
		w.T.Errorf("the open interrupts of %s are %v, want %v; listed %+v", thread, idsOf(one.Interrupts), ids, page)
	}
}

// input returns the input item of a run.
func (w *World) input(run chat.RunID) map[string]types.AttributeValue {
	w.T.Helper()
	for _, i := range w.items() {
		if strings.HasPrefix(stringOf(i["sk"]), "IN#"+string(run)+"#") {
			return i
		}
	}
	w.T.Fatalf("%s has no input", run)
	return nil
}

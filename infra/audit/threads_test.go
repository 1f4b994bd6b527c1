package audit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// Two users' notes never meet, over the whole stack: each lists, searches and deletes only their own.
func TestNotesNeverMeet(t *testing.T) {
	t.Attr("row", "D4: two users' notes over the whole stack")
	e := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	alice, bob := &person{name: "alice", secret: "secret-" + rand.Text()}, &person{name: "bob", secret: "secret-" + rand.Text()}
	windows := map[*person]*socket{}
	for _, p := range []*person{alice, bob} {
		windows[p] = mustOpen(t, ctx, e, p, chat.ThreadID(chat.NewID(time.Now())))
		windows[p].asks(t, ctx, "note: "+p.secret, "Saved as note 1.")
	}
	for _, p := range []*person{alice, bob} {
		windows[p].asks(t, ctx, "my notes", "): "+p.secret)
		windows[p].asks(t, ctx, "find notes secret-", "): "+p.secret)
	}
	windows[bob].agrees(t, ctx, "delete note 1", "Deleted note 1.")
	windows[bob].asks(t, ctx, "my notes", "There are no notes.")
	windows[alice].asks(t, ctx, "my notes", "): "+alice.secret)
	windows[alice].asks(t, ctx, "what time is it in Europe/Berlin?", "It is ")
	frames := 0
	for _, w := range windows {
		frames += w.read(t, []*person{alice, bob}).frames
	}
	t.Attr("figure", fmt.Sprintf("2 users with notes of the same numbers: %d frames looked at", frames))
}

// asks sends a message and waits for an answer that holds the text.
func (s *socket) asks(t *testing.T, ctx context.Context, question, want string) {
	t.Helper()
	if _, err := s.Send(question); err != nil {
		t.Fatal(err)
	}
	state, err := s.WaitFor(ctx, func(st client.State) bool {
		n := len(st.Messages)
		return idle(st) && n > 0 && st.Messages[n-1].Role == agui.RoleAssistant && strings.Contains(st.Messages[n-1].Content, want)
	})
	if err != nil {
		t.Fatalf("%q: %v; the conversation is %+v", question, err, state.Messages)
	}
}

// agrees sends a message that needs a person's yes, gives it, and waits for an answer that holds the text.
func (s *socket) agrees(t *testing.T, ctx context.Context, question, want string) {
	t.Helper()
	if _, err := s.Send(question); err != nil {
		t.Fatal(err)
	}
	state, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && len(st.Interrupts) == 1 })
	if err != nil {
		t.Fatalf("%q: nobody was asked: %v", question, err)
	}
	if _, err := s.Answer([]agui.Resume{{InterruptID: state.Interrupts[0].ID, Status: agui.ResumeResolved}}, ""); err != nil {
		t.Fatal(err)
	}
	state, err = s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, want) })
	if err != nil {
		t.Fatalf("%q: %v; the conversation is %+v", question, err, state.Messages)
	}
}

// A window that is loaded anew finds what runs and what waits, with its text and in its order, and a list that is true;
// what is renamed or deleted in one window is so in the other.
func TestEveryWindowsListIsTrue(t *testing.T) {
	e := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice := &person{name: "alice", secret: "secret-" + rand.Text()}
	thread := chat.ThreadID(chat.NewID(time.Now()))
	first := mustOpen(t, ctx, e, alice, thread)
	run, err := first.Send("/say begun\n/stream 2000 20")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, first, "the run begins", func(s client.State) bool { return says(s, agui.RoleAssistant, "begun") })
	var waiting []chat.RunID
	for _, text := range []string{"/say second", "/say third"} {
		id, err := first.Send(text)
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, id)
	}
	queued := func(s client.State) bool {
		return s.Active == run && slices.Equal(s.Queued, waiting) && len(s.Sending) == 0
	}
	wait(t, ctx, first, "two wait", queued)
	second := mustOpen(t, ctx, e, alice, thread)
	wait(t, ctx, second, "a reload shows them", queued)
	asked := second.ready(t)
	if len(asked.Queued) != 2 || asked.Queued[0].RunID != waiting[0] || asked.Queued[0].Messages[0].Content != "/say second" ||
		asked.Queued[1].Messages[0].Content != "/say third" {
		t.Errorf("after a reload there wait %+v", asked.Queued)
	}
	if rows, err := second.Threads(ctx); err != nil || len(rows) != 1 || rows[0].Status != chat.ThreadRunning || rows[0].Title != "/say begun /stream 2000 20" {
		t.Errorf("the list is %+v, %v", rows, err)
	}
	if err := second.Rename(ctx, thread, "My plan"); err != nil {
		t.Error(err)
	}
	row := func(want string, status chat.ThreadStatus) func(client.State) bool {
		return func(s client.State) bool {
			return len(s.Threads) == 1 && s.Threads[0].Title == want && s.Threads[0].Status == status
		}
	}
	wait(t, ctx, first, "the other window's list has the title", row("My plan", chat.ThreadRunning))
	for _, id := range append(waiting, run) {
		if err := first.Cancel(id); err != nil {
			t.Error(err)
		}
	}
	for _, w := range []*socket{first, second} {
		wait(t, ctx, w, "all ends, and the title stays", func(s client.State) bool { return idle(s) && row("My plan", chat.ThreadIdle)(s) })
	}
	first.asks(t, ctx, "/say once more", "once more")
	second.deletes(t, ctx, thread, first)
}

// deletes deletes a thread whose run still works, while another window watches it.
func (s *socket) deletes(t *testing.T, ctx context.Context, thread chat.ThreadID, other *socket) {
	t.Helper()
	if _, err := other.Send("/say working\n/stream 2000 20"); err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, other, "a run begins", func(st client.State) bool { return says(st, agui.RoleAssistant, "working") })
	if err := s.Delete(ctx, thread); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*socket{s, other} {
		wait(t, ctx, w, "it is gone", func(st client.State) bool {
			return idle(st) && len(st.Threads) == 0 && len(st.Messages) == 0 && st.Epoch == ""
		})
	}
	var refused *client.Refused
	if err := s.Rename(ctx, thread, "x"); !errors.As(err, &refused) || refused.Code != wire.CodeNotFound {
		t.Errorf("its rename: %v", err)
	}
	if _, err := other.Send("hello?"); err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, other, "a run on it is refused", func(st client.State) bool {
		return len(st.Sending) == 0 && slices.ContainsFunc(st.Notices, func(n client.Notice) bool { return n.Code == wire.CodeNotFound })
	})
	// Its run gives the seat back: others are not kept waiting by what is gone.
	if err := s.Open(chat.ThreadID(chat.NewID(time.Now()))); err != nil {
		t.Fatal(err)
	}
	s.asks(t, ctx, "/say free", "free")
}

func wait(t *testing.T, ctx context.Context, s *socket, what string, wanted func(client.State) bool) {
	t.Helper()
	if state, err := s.WaitFor(ctx, wanted); err != nil {
		t.Fatalf("%s: %v; the state is %+v", what, err, state)
	}
}

// ready is the last one that reached the socket.
func (s *socket) ready(t *testing.T) (last *wire.Ready) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if f, err := wire.DecodeServer(m); err == nil {
			if r, ok := f.(*wire.Ready); ok {
				last = r
			}
		}
	}
	if last == nil {
		t.Fatal("there was no ready")
	}
	return last
}

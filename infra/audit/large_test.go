package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// The largest events there are cross the whole stack byte for byte, in messages of at most 32 KB: to the window that
// asked, and, as a snapshot, to one that comes later. What does not fit in an event is cut, and says how much it was.
func TestTheLargestEventsArriveWhole(t *testing.T) {
	s := startWith(t, stack.Config{})
	e := s.Endpoints()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	alice := &person{name: "alice", secret: "secret-" + rand.Text()}
	thread := chat.ThreadID(chat.NewID(time.Now()))
	w := mustOpen(t, ctx, e, alice, thread)
	note := strings.Repeat("€", 1000) // 3 KB; seven of them fit in a message
	const notes = 91
	save := strings.Repeat("/call notes_save {\"text\":\""+note+"\"}\n", 7)
	for n := range notes / 7 {
		w.asks(t, ctx, save+fmt.Sprintf("/say saved-%d", n), fmt.Sprintf("saved-%d", n))
	}
	w.asks(t, ctx, "/call notes_list {}\n/say listed", "listed")

	var whole []string
	today := time.Now().UTC().Format(time.DateOnly)
	for n := range notes {
		whole = append(whole, fmt.Sprintf("%d (%s): %s", n+1, today, note))
	}
	text := strings.Join(whole, "\n")
	mark := fmt.Sprintf("\n[cut: the result has %d bytes, these are the first ", len(text))
	is := func(m agui.Message) bool {
		got, told, ok := strings.Cut(m.Content, mark)
		return ok && m.Role == agui.RoleTool && strings.HasPrefix(text, got) && len(got) > 250_000 && told == fmt.Sprintf("%d]", len(got))
	}
	has := func(st client.State) bool {
		for _, m := range st.Messages {
			if is(m) {
				return true
			}
		}
		return false
	}
	if !has(w.State()) {
		t.Error("the window that asked does not have the notes as they are")
	}
	late := mustOpen(t, ctx, e, alice, thread)
	if _, err := late.WaitFor(ctx, func(st client.State) bool { return idle(st) && has(st) }); err != nil {
		t.Errorf("a window that came later: %v", err)
	}
	all, err := logs(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.asStored(t, all[thread]); n < 254<<10 || n > 256<<10 {
		t.Errorf("the largest event has %d bytes", n)
	}
	late.asStored(t, all[thread])
}

// asStored checks that what a socket was sent is what the log has, byte for byte, in messages that are not too long, and
// returns the size of its largest event.
func (s *socket) asStored(t *testing.T, log stored) (largest int) {
	t.Helper()
	got := s.read(t, []*person{s.who})
	for _, m := range s.messages {
		if len(m) > wire.MaxFrame {
			t.Errorf("a message of %d bytes", len(m))
		}
	}
	for seq, raw := range got.events {
		if largest = max(largest, len(raw)); !bytes.Equal(raw, log[seq]) {
			t.Errorf("event %d was sent as %.200s and stands in the log as %.200s", seq, raw, log[seq])
		}
	}
	return largest
}

package limits_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// The largest events cross the whole stack byte for byte, in messages of at most 32 KB: to the window that sent the
// request and, in a snapshot, to a window that opens later. A result that does not fit into an event is cut, and states
// its length.
func TestEvents_Largest(t *testing.T) {
	campaign.Only(t, "it streams the largest events that there may be")
	s := kit.Start(t, stack.Config{})
	e := s.Endpoints()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	alice := testkit.NewUser("alice", 1)
	thread := alice.Threads[0]
	w := testkit.Open(t, ctx, e, alice, thread)
	note := strings.Repeat("€", 1000) // 3 KB; seven of them fit in a message
	const notes = 91
	save := strings.Repeat("/call notes_save {\"text\":\""+note+"\"}\n", 7)
	for n := range notes / 7 {
		w.Ask(t, ctx, save+fmt.Sprintf("/say saved-%d", n), fmt.Sprintf("saved-%d", n))
	}
	w.Ask(t, ctx, "/call notes_list {}\n/say listed", "listed")

	var lines []string
	today := time.Now().UTC().Format(time.DateOnly)
	for n := range notes {
		lines = append(lines, fmt.Sprintf("%d (%s): %s", n+1, today, note))
	}
	text := strings.Join(lines, "\n")
	mark := fmt.Sprintf("\n[cut: the result has %d bytes, these are the first ", len(text))
	is := func(m agui.Message) bool {
		got, length, ok := strings.Cut(m.Content, mark)
		return ok && m.Role == agui.RoleTool && strings.HasPrefix(text, got) && len(got) > 250_000 &&
			length == fmt.Sprintf("%d]", len(got))
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
		t.Error("the window that sent the request does not show the notes as they are")
	}
	late := testkit.Open(t, ctx, e, alice, thread)
	late.Wait(t, ctx, "shows the notes", func(st client.State) bool { return testkit.Idle(st) && has(st) })
	log := testkit.Logs(t, ctx, e)[thread]
	if n := checkSentAsStored(t, w, log); n < 254<<10 || n > 256<<10 {
		t.Errorf("the largest event has %d bytes", n)
	}
	checkSentAsStored(t, late, log)
}

// checkSentAsStored checks that the events that were sent to a window are those of the log, byte for byte, in messages
// of at most 32 KB. It returns the size of the largest event.
func checkSentAsStored(t *testing.T, d *testkit.Device, log testkit.ThreadLog) (largest int) {
	t.Helper()
	got := d.Received(t, []*testkit.User{d.User})
	for _, m := range d.Messages() {
		if len(m) > wire.MaxFrame {
			t.Errorf("a message has %d bytes", len(m))
		}
	}
	for seq, raw := range got.Events {
		if largest = max(largest, len(raw)); !bytes.Equal(raw, log[seq]) {
			t.Errorf("event %d was sent as %.200s and is in the log as %.200s", seq, raw, log[seq])
		}
	}
	return largest
}

package lifecycle_test

import (
	"carrel/infra/local/stack"
	"carrel/infra/testkit"

	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// Two users' notes are separate over the whole stack: each user lists, searches and deletes only own notes.
func TestNotes_TwoUsers(t *testing.T) {
	t.Attr("row", "D4: two users' notes over the whole stack")
	e := kit.Start(t, stack.Config{}).Endpoints()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	alice, bob := testkit.NewUser("alice", 0), testkit.NewUser("bob", 0)
	windows := map[*testkit.User]*testkit.Device{}
	for _, p := range []*testkit.User{alice, bob} {
		windows[p] = testkit.Open(t, ctx, e, p, testkit.NewThread())
		windows[p].Ask(t, ctx, "note: "+p.Secret, "Saved as note 1.")
	}
	for _, p := range []*testkit.User{alice, bob} {
		windows[p].Ask(t, ctx, "my notes", "): "+p.Secret)
		windows[p].Ask(t, ctx, "find notes secret-", "): "+p.Secret)
	}
	approve(t, ctx, windows[bob], "delete note 1", "Deleted note 1.")
	windows[bob].Ask(t, ctx, "my notes", "There are no notes.")
	windows[alice].Ask(t, ctx, "my notes", "): "+alice.Secret)
	windows[alice].Ask(t, ctx, "what time is it in Europe/Berlin?", "It is ")
	frames := 0
	for _, w := range windows {
		frames += w.Received(t, []*testkit.User{alice, bob}).Frames
	}
	t.Attr("figure", fmt.Sprintf("2 users with notes of the same numbers: %d frames looked at", frames))
}

// approve sends a message that needs a person's approval, approves, and waits for an answer that contains a text.
func approve(t *testing.T, ctx context.Context, d *testkit.Device, question, want string) {
	t.Helper()
	if _, err := d.Send(question); err != nil {
		t.Fatal(err)
	}
	st := d.Wait(t, ctx, "asks for approval", func(st client.State) bool {
		return testkit.Idle(st) && len(st.Interrupts) == 1
	})
	approval := []agui.Resume{{InterruptID: st.Interrupts[0].ID, Status: agui.ResumeResolved}}
	if _, err := d.Respond(approval, ""); err != nil {
		t.Fatal(err)
	}
	d.Wait(t, ctx, fmt.Sprintf("shows %q", want), func(st client.State) bool {
		return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, want)
	})
}

// A reloaded window shows the active run and the queued runs with their texts, in their order, and a correct list of
// threads. A rename or a deletion in one window is shown in the other.
func TestThreads_ListInEveryWindow(t *testing.T) {
	e := kit.Start(t, stack.Config{}).Endpoints()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice := testkit.NewUser("alice", 0)
	thread := testkit.NewThread()
	first := testkit.Open(t, ctx, e, alice, thread)
	var runs []chat.RunID // the active one and two queued ones
	for _, text := range []string{"/say begun\n/stream 2000 20", "/say second", "/say third"} {
		id, err := first.Send(text)
		if err != nil {
			t.Fatal(err)
		}
		if runs = append(runs, id); len(runs) == 1 {
			first.Wait(t, ctx, "shows the begin of the run", assistantSays("begun"))
		}
	}
	queued := func(st client.State) bool {
		return st.Active == runs[0] && slices.Equal(st.Queued, runs[1:]) && len(st.Sending) == 0
	}
	first.Wait(t, ctx, "shows an active and two queued runs", queued)
	second := testkit.Open(t, ctx, e, alice, thread)
	second.Wait(t, ctx, "shows the same after a reload", queued)
	if got := second.Ready(t).Queued; len(got) != 2 || got[0].RunID != runs[1] ||
		got[0].Messages[0].Content != "/say second" || got[1].Messages[0].Content != "/say third" {
		t.Errorf("after a reload the queued runs are %+v", got)
	}
	if rows, err := second.Threads(ctx); err != nil || len(rows) != 1 || rows[0].Status != chat.ThreadRunning ||
		rows[0].Title != "/say begun /stream 2000 20" {
		t.Errorf("the list is %+v, %v", rows, err)
	}
	if err := second.Rename(ctx, thread, "My plan"); err != nil {
		t.Error(err)
	}
	row := func(want string, status chat.ThreadStatus) func(client.State) bool {
		return func(st client.State) bool {
			return len(st.Threads) == 1 && st.Threads[0].Title == want && st.Threads[0].Status == status
		}
	}
	first.Wait(t, ctx, "shows the title of the other window", row("My plan", chat.ThreadRunning))
	for _, id := range []chat.RunID{runs[1], runs[2], runs[0]} {
		if err := first.Cancel(id); err != nil {
			t.Error(err)
		}
	}
	for _, w := range []*testkit.Device{first, second} {
		w.Wait(t, ctx, "is idle and shows the title", func(st client.State) bool {
			return testkit.Idle(st) && row("My plan", chat.ThreadIdle)(st)
		})
	}
	first.Ask(t, ctx, "/say once more", "once more")
	deleteWhileRunning(t, ctx, second, thread, first)
}

// assistantSays returns a condition: the assistant has said a text.
func assistantSays(text string) func(client.State) bool {
	return func(st client.State) bool { return testkit.Says(st, agui.RoleAssistant, text) }
}

// deleteWhileRunning deletes a thread in window d while a run of it is active and another window shows it.
func deleteWhileRunning(t *testing.T, ctx context.Context, d *testkit.Device, thread chat.ThreadID,
	other *testkit.Device) {
	t.Helper()
	if _, err := other.Send("/say working\n/stream 2000 20"); err != nil {
		t.Fatal(err)
	}
	other.Wait(t, ctx, "a run begins", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant,
			"working")
	})
	if err := d.Delete(ctx, thread); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*testkit.Device{d, other} {
		w.Wait(t, ctx, "it is gone", func(st client.State) bool {
			return testkit.Idle(st) && len(st.Threads) == 0 && len(st.Messages) == 0 && st.Epoch == ""
		})
	}
	var refused *client.Refused
	if err := d.Rename(ctx, thread, "x"); !errors.As(err, &refused) || refused.Code != wire.CodeNotFound {
		t.Errorf("its rename: %v", err)
	}
	if _, err := other.Send("hello?"); err != nil {
		t.Fatal(err)
	}
	other.Wait(t, ctx, "a run on it is refused", func(st client.State) bool {
		return len(st.Sending) == 0 && slices.ContainsFunc(st.Notices,
			func(n client.Notice) bool { return n.Code == wire.CodeNotFound })
	})
	// The run of the deleted thread frees its slot: other runs do not wait for it.
	if err := d.Open(testkit.NewThread()); err != nil {
		t.Fatal(err)
	}
	d.Ask(t, ctx, "/say free", "free")
}

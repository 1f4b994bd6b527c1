package lifecycle_test

import (
	"reflect"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/client"
)

// A window that opens later shows for each message the same run, time, agent, model and usage as a window that was open
// during the run, and so does a page of history. Another user who opens a thread with this id is shown none of it.
func TestRunHeaders_Reload(t *testing.T) {
	g := kit.Shared(t)
	alice, bob := g.NewUser("alice"), g.NewUser("bob")
	thread := g.NewThread(alice)
	w := g.Open(alice, thread)
	w.Ask(t, g.Ctx, "/think hm\n/say one two\n/call calculator {\"expression\":\"6*7\"}\n/say three", "three")
	w.Ask(t, g.Ctx, "/say again", "again")
	live := w.State()
	runs := map[any]int{}
	for _, m := range live.Messages {
		run := live.Runs[m.ID]
		if run.At == 0 || run.Agent == "" || run.Model == "" || len(run.Usage) == 0 || run.Seq == 0 {
			t.Errorf("%s %s is of %+v", m.Role, m.ID, run)
		}
		runs[run.RunID]++
	}
	if len(runs) != 2 || len(live.Messages) < 6 {
		t.Errorf("%d messages of the runs %v", len(live.Messages), runs)
	}
	later := g.WaitFor(g.Open(alice, thread), "the thread is shown",
		func(s client.State) bool { return s.Seq == live.Seq })
	if !reflect.DeepEqual(later.Runs, live.Runs) || !reflect.DeepEqual(ids(later.Messages), ids(live.Messages)) {
		t.Errorf("after a reload\n%+v\nlive\n%+v", later.Runs, live.Runs)
	}
	page, err := w.History(g.Ctx, 0, 99)
	if err != nil || len(page.Runs) != 2 {
		t.Fatalf("history: %+v, %v", page, err)
	}
	for _, run := range page.Runs {
		for _, m := range page.Messages[:run.Messages] {
			if want := (client.Run{RunID: run.RunID, Seq: run.Seq,
				Header: run.Header}); !reflect.DeepEqual(live.Runs[m.ID], want) {
				t.Errorf("history says that %s is of %+v, live it was of %+v", m.ID, want, live.Runs[m.ID])
			}
		}
		page.Messages = page.Messages[run.Messages:]
	}
	other := g.Open(bob, thread)
	s := g.WaitFor(other, "nothing is there", func(s client.State) bool {
		return s.Status == client.Ready &&
			!s.Lagging
	})
	if page, err := other.History(g.Ctx, 0, 99); err != nil || len(page.Runs) > 0 || len(s.Runs) > 0 {
		t.Errorf("bob sees %+v and %+v, %v", s.Runs, page, err)
	}
}

func ids(messages []agui.Message) (all []string) {
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return all
}

package lifecycle_test

import (
	"carrel/infra/testkit"

	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// itemsNaming returns the items that contain a text anywhere, in their keys or in their values.
func itemsNaming(text string, items map[string]string) map[string]string {
	found := maps.Clone(items)
	maps.DeleteFunc(found, func(key, item string) bool { return !strings.Contains(key+item, text) })
	return found
}

// waitErased scans the table until all items that name a user may stay, and returns these items.
func waitErased(t *testing.T, ctx context.Context, e stack.Endpoints, what, user string,
	stays func(key, item string) bool) (left map[string]string) {
	t.Helper()
	testkit.Eventually(t, ctx, what, func() bool {
		left = itemsNaming(user, testkit.Items(t, ctx, e))
		for key, item := range left {
			if !stays(key, item) {
				return false
			}
		}
		return true
	})
	return left
}

// passed reports whether an item that records an erasure has had a pass: the next one is due after it.
func passed(text string) bool {
	var item struct{ Marked, Due float64 }
	return json.Unmarshal([]byte(text), &item) == nil && item.Due > item.Marked
}

// openSettled gives a user two threads, one of them deleted, and a note, and returns an open window.
func openSettled(t *testing.T, ctx context.Context, e stack.Endpoints, u *testkit.User) *testkit.Device {
	t.Helper()
	deleted := testkit.Open(t, ctx, e, u, testkit.NewThread())
	deleted.Ask(t, ctx, "/say "+u.Secret, u.Secret)
	if err := deleted.Delete(ctx, deleted.Thread); err != nil {
		t.Fatal(err)
	}
	// The client sends one more hello for the thread. A hello that arrives after its $disconnect writes the
	// connection's records again, until its answer meets a closed connection.
	deleted.Wait(t, ctx, "is sent the empty thread", func(client.State) bool {
		return len(testkit.Frames[*wire.Ready](deleted)) > 1
	})
	deleted.Close()
	w := testkit.Open(t, ctx, e, u, testkit.NewThread())
	w.Ask(t, ctx, "note: "+u.Secret, "Saved as note 1.")
	return w
}

// A user erases the own account while one run is active and another is queued. All runs end, no item of the user is
// left in the table, every window is notified and then closed, and no item of another user changes.
func TestUser_Erased(t *testing.T) {
	s := kit.Start(t, stack.Config{Minute: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	e := s.Endpoints()
	alice, bob := testkit.NewUser("alice-who-leaves", 0), testkit.NewUser("bob-who-stays", 0)
	stays := openSettled(t, ctx, e, bob)
	leaves := openSettled(t, ctx, e, alice)
	other := testkit.Open(t, ctx, e, alice, testkit.NewThread())
	before := waitErased(t, ctx, e, "bob's deleted thread is erased", bob.Name, func(key, item string) bool {
		if strings.Contains(key, " ERASE#") {
			return passed(item) // the last write of a pass
		}
		return !strings.Contains(key, "#T#") || strings.Contains(key, "#T#"+string(stays.Thread)+"#")
	})
	for _, text := range []string{"/say begun " + alice.Secret + "\n/stream 5000 20", "/say never"} {
		if _, err := leaves.Send(text); err != nil {
			t.Fatal(err)
		}
	}
	leaves.Wait(t, ctx, "shows an active and a queued run", func(st client.State) bool {
		return st.Active != "" && len(st.Queued) == 1
	})
	checkOps(t, ctx, e, alice.Name)
	if err := other.Erase(ctx); err != nil {
		t.Fatal(err)
	}
	left := waitErased(t, ctx, e, "alice is erased", alice.Name, func(key, item string) bool {
		return strings.HasSuffix(key, " QUEUE") && strings.Contains(item, "expires") ||
			strings.HasSuffix(key, " ERASURE") && passed(item) || strings.Contains(key, " ERASE#")
	})
	if all := fmt.Sprint(testkit.Items(t, ctx, e)); strings.Contains(all, alice.Secret) {
		t.Error("what she said is still in the table")
	}
	pk := "U#" + alice.Name
	const closed = `{"erasing":true,"expires":%s,"pk":%q,"queued":[],"sk":"QUEUE","slots":{},"tokens":{},"version":%s}`
	var queue struct{ Expires, Version json.Number }
	if err := json.Unmarshal([]byte(left[pk+" QUEUE"]), &queue); err != nil ||
		left[pk+" QUEUE"] != fmt.Sprintf(closed, queue.Expires, pk, queue.Version) {
		t.Errorf("the run queue that refuses her holds %s, %v", left[pk+" QUEUE"], err)
	}
	for _, w := range []*testkit.Device{leaves, other} {
		w.Wait(t, ctx, "is closed", func(st client.State) bool { return st.Status != client.Ready })
		frames := testkit.Frames[*wire.Done](w)
		if !slices.ContainsFunc(frames, func(done *wire.Done) bool { return done.ThreadID == "" }) {
			t.Errorf("a window was sent %d done frames, and none of the user", len(frames))
		}
	}
	passADay(t, ctx, s, alice)
	back := testkit.Open(t, ctx, e, alice, testkit.NewThread())
	back.Ask(t, ctx, "my notes", "There are no notes.")
	if after := itemsNaming(bob.Name, testkit.Items(t, ctx, e)); !maps.Equal(after, before) {
		t.Errorf("bob's items were %q and are %q", before, after)
	}
}

// passADay makes the second pass of a user's erasure due, and then ends the day for which the run queue refuses the
// user. A real pass takes minutes at most, so none may be under way when a day is said to have passed.
func passADay(t *testing.T, ctx context.Context, s *stack.Stack, u *testkit.User) {
	t.Helper()
	rest := func() {
		testkit.WaitForRest(t, ctx, s, "SweepFunction", "")
		testkit.WaitForRest(t, ctx, s, "TurnFunction", u.Name)
	}
	e, pk := s.Endpoints(), "U#"+u.Name
	rest()
	// The times are set before each look: a pass that is under way ends with setting times of its own.
	testkit.Eventually(t, ctx, "the second pass has erased all but the run queue", func() bool {
		now := time.Now()
		testkit.SetTimes(t, ctx, e, pk, "ERASURE", time.Millisecond,
			map[string]time.Time{"marked": now.Add(-21 * time.Minute), "due": now})
		for key := range itemsNaming(u.Name, testkit.Items(t, ctx, e)) {
			if !strings.HasSuffix(key, " QUEUE") {
				return false
			}
		}
		return true
	})
	rest()
	testkit.SetTimes(t, ctx, e, pk, "QUEUE", time.Second, map[string]time.Time{"expires": time.Now().Add(-time.Minute)})
}

// checkOps checks that the page /ops shows a user with one active and one queued run.
func checkOps(t *testing.T, ctx context.Context, e stack.Endpoints, user string) {
	t.Helper()
	ops := testkit.ReadOps(t, ctx, e)
	var census struct {
		People []struct {
			User          string
			Slots, Queued int
		}
		Runs []struct{ User, Status string }
	}
	if err := json.Unmarshal(ops.Census, &census); err != nil {
		t.Fatal(err)
	}
	runs := map[string]int{}
	for _, r := range census.Runs {
		if r.User == user {
			runs[r.Status]++
		}
	}
	for _, p := range census.People {
		if p.User == user && (p.Slots != 1 || p.Queued != 1) {
			t.Errorf("%s has %+v", user, p)
		}
	}
	if runs["running"] != 1 || runs["queued"] != 1 || ops.Gateway.Open != 3 || ops.Gateway.Posted == 0 {
		t.Errorf("/ops.json shows the runs %v of %s, the gateway %+v", runs, user, ops.Gateway)
	}
}

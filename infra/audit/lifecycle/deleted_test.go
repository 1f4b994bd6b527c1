package lifecycle_test

import (
	"context"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// Nothing that was said is left in the log of a deleted thread.
func TestThread_DeletedLogErased(t *testing.T) {
	s := kit.Start(t, stack.Config{Minute: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	alice := testkit.NewUser("alice", 2)
	thread, other := alice.Threads[0], alice.Threads[1]
	w := testkit.Open(t, ctx, s.Endpoints(), alice, thread)
	w.Ask(t, ctx, "/say "+alice.Secret, alice.Secret)
	kept := testkit.Open(t, ctx, s.Endpoints(), alice, other)
	kept.Ask(t, ctx, "/say kept "+alice.Secret, "kept")
	if err := w.Delete(ctx, thread); err != nil {
		t.Fatal(err)
	}
	w.Wait(t, ctx, "is empty at once", func(st client.State) bool {
		return !testkit.Says(st, agui.RoleAssistant,
			alice.Secret)
	})
	testkit.Eventually(t, ctx, "the log of the deleted thread is erased", func() bool {
		all := testkit.Logs(t, ctx, s.Endpoints())
		if len(all[other]) == 0 {
			t.Fatal("the log of the other thread is erased, too")
		}
		return len(all[thread]) == 0
	})
}

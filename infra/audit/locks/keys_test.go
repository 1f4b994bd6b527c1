package locks_test

import (
	"carrel/infra/testkit"

	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// Alice uses a foreign id: she opens a window on a thread of bob and requests its messages. The id begins with bob's
// name, as in systems whose ids name the owner. The lock: the key of every item begins with the user of the token.
func TestLockKeys(t *testing.T) {
	t.Attr("row", "C5: another user's thread by its id")
	s := kit.StartAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := openTwoUsers(t, ctx, s.Endpoints(), "alice-"+chat.ThreadID(rand.Text()),
		"bob:"+chat.ThreadID(rand.Text()))
	bob.RunScript(t, ctx, "/say "+bob.User.Secret)
	foreign := testkit.Open(t, ctx, s.Endpoints(), alice.User, bob.Thread)
	if st, err := foreign.WaitFor(ctx, testkit.Idle); err != nil {
		t.Fatalf("%v; alice's window shows %+v", err, st)
	}
	// otherwise it has leaked already, and her run does not matter
	if n, _ := foreign.Containing(bob.User.Secret); n == 0 {
		foreign.RunScript(t, ctx, "/say "+alice.User.Secret)
	}
	bob.RunScript(t, ctx, "/say again")
	read, messages := foreign.Containing(bob.User.Secret)
	sent, more := bob.Containing(alice.User.Secret)
	leaked := ""
	if read+sent > 0 {
		leaked = fmt.Sprintf("%d of %d messages to alice's window contain what bob said, and %d of %d to his window "+
			"what she said", read, messages, sent, more)
	}
	report(t, leaked,
		fmt.Sprintf("for her the id is an empty thread: %d of %d messages contain anything of the other user",
			read+sent, messages+more))
}

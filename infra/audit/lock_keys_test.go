package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// TestLockKeys: a wrong id. Alice opens a window on a thread of bob's, whose id she knows, and asks for what was said there.
// The id begins with bob's name, as ids do in systems where they say whose a thing is.
func TestLockKeys(t *testing.T) {
	t.Attr("row", "C5: another user's thread by its id")
	s := startAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := neighbours(t, ctx, s.Endpoints(), "alice-"+chat.ThreadID(rand.Text()), "bob:"+chat.ThreadID(rand.Text()))
	bob.does(t, ctx, "/say "+bob.who.secret)
	theirs := mustOpen(t, ctx, s.Endpoints(), alice.who, bob.thread)
	if st, err := theirs.WaitFor(ctx, idle); err != nil {
		t.Fatalf("%v; alice's window shows %+v", err, st)
	}
	if n, _ := theirs.holding(bob.who.secret); n == 0 { // else it is through already, and what becomes of her run is another matter
		theirs.does(t, ctx, "/say "+alice.who.secret)
	}
	bob.does(t, ctx, "/say again")
	read, frames := theirs.holding(bob.who.secret)
	told, more := bob.holding(alice.who.secret)
	came := ""
	if read+told > 0 {
		came = fmt.Sprintf("%d of %d messages to alice's window hold what bob said, %d of %d to his what she said", read, frames, told, more)
	}
	verdict(t, came, fmt.Sprintf("the id that she has of him is an empty thread: %d of %d messages hold anything of the other",
		read+told, frames+more))
}

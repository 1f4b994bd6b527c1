package audit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
)

// way is how code might name a user.
type way struct{ imports, says, complaint string } // the complaint is the compiler's

// ways are five. The last is there only where the lock is taken out.
func ways() []way {
	return []way{
		{`"carrel/shared/internal/principal"`, `principal.FromKey("bob")`, "use of internal package"},
		{"", `chat.User{key: "bob"}, nil`, "unexported field key"},
		{"", `chat.User(struct{ key string }{"bob"}), nil`, "cannot convert"},
		{"", `chat.User("bob"), nil`, "cannot convert"},
		{`"carrel/shared/gateway"`, `gateway.UserOf("bob")`, "undefined: gateway.UserOf"},
	}
}

// program is turn with code that names bob, and gives the tools of every run his store.
func (w way) program() []planted {
	return []planted{
		{file: "functions/turn/other.go", to: fmt.Sprintf(`package main

import (
	"carrel/shared/chat"
	"carrel/shared/store"
%s
)

func bob() (chat.User, error) { return %s }

func (t *turn) others() *store.Store {
	u, err := bob()
	if err != nil {
		panic(err)
	}
	s, err := t.tables.For(u)
	if err != nil {
		panic(err)
	}
	return s
}
`, w.imports, w.says)},
		{file: "functions/turn/tools.go", from: "t.registry(t.store)", to: "t.registry(t.others())"},
	}
}

// TestLockTypes: code that names another user does not compile. What does compile is run, and its tools are asked.
func TestLockTypes(t *testing.T) {
	attack(t)
	var compiles []way
	for _, w := range ways() {
		t.Run(w.complaint, func(t *testing.T) {
			plant(t, w.program()...)
			build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "./functions/turn")
			build.Dir = "../.."
			out, err := build.CombinedOutput()
			if err == nil {
				compiles = append(compiles, w)
			} else if !strings.Contains(string(out), w.complaint) {
				t.Errorf("%s: %v\n%s", w.says, err, out)
			}
		})
	}
	came := ""
	for _, w := range compiles {
		came += namesBob(t, w.program())
	}
	verdict(t, came, fmt.Sprintf("%d of %d ways to name a user compile", len(compiles), len(ways())))
}

// namesBob runs the program and tells what alice's tools brought her of bob.
func namesBob(t *testing.T, program []planted) string {
	t.Helper()
	plant(t, program...)
	s := startAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := neighbours(t, ctx, s.Endpoints())
	bob.does(t, ctx, `/call notes_save {"text":"`+bob.who.secret+`"}`)
	alice.does(t, ctx, "/call notes_list")
	if n, of := alice.holding(bob.who.secret); n > 0 {
		return fmt.Sprintf("code that names bob compiles, and %d of %d messages to alice hold his note", n, of)
	}
	return ""
}

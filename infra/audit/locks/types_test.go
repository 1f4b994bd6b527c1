package locks_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/campaign"
)

// forgery is a piece of code that names a user.
type forgery struct{ imports, code, compileError string }

// forgeries returns five forgeries. The last one compiles only where the lock is taken out.
func forgeries() []forgery {
	return []forgery{
		{`"carrel/shared/internal/principal"`, `principal.FromKey("bob")`, "use of internal package"},
		{"", `chat.User{key: "bob"}, nil`, "unexported field key"},
		{"", `chat.User(struct{ key string }{"bob"}), nil`, "cannot convert"},
		{"", `chat.User("bob"), nil`, "cannot convert"},
		{`"carrel/shared/gateway"`, `gateway.UserOf("bob")`, "undefined: gateway.UserOf"},
	}
}

// program returns code of turn that names bob and gives the tools of every run his store.
func (f forgery) program() []plantedCode {
	return []plantedCode{
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
`, f.imports, f.code)},
		{file: "functions/turn/tools.go", from: "t.registry(t.store)", to: "t.registry(t.others())"},
	}
}

// Code names another user. The lock: it does not compile. A forgery that compiles is run, and its tools are called.
func TestLockTypes(t *testing.T) {
	campaign.Only(t, planted)
	var compiled []forgery
	for _, f := range forgeries() {
		t.Run(f.compileError, func(t *testing.T) {
			plant(t, f.program()...)
			build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "./functions/turn")
			build.Dir = testkit.Path(t, ".")
			out, err := build.CombinedOutput()
			if err == nil {
				compiled = append(compiled, f)
			} else if !strings.Contains(string(out), f.compileError) {
				t.Errorf("%s: %v\n%s", f.code, err, out)
			}
		})
	}
	leaked := ""
	for _, f := range compiled {
		leaked += runForgery(t, f.program())
	}
	report(t, leaked, fmt.Sprintf("%d of %d ways to name a user compile", len(compiled), len(forgeries())))
}

// runForgery runs the program and returns what alice's tools revealed of bob; "": nothing.
func runForgery(t *testing.T, program []plantedCode) string {
	t.Helper()
	plant(t, program...)
	s := kit.StartAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := openTwoUsers(t, ctx, s.Endpoints())
	bob.RunScript(t, ctx, `/call notes_save {"text":"`+bob.User.Secret+`"}`)
	alice.RunScript(t, ctx, "/call notes_list")
	if n, of := alice.Containing(bob.User.Secret); n > 0 {
		return fmt.Sprintf("code that names bob compiles, and %d of %d messages to alice contain his note", n, of)
	}
	return ""
}

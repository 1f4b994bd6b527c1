package locks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/campaign"
)

// warmGlobal is the mistake that lock 5 guards against: turn keeps the last user's message in a variable of the
// process, and the answer of the next run repeats it.
func warmGlobal() []plantedCode {
	return []plantedCode{
		{file: "functions/turn/warm.go", to: `package main

import (
	"slices"

	"carrel/shared/agui"
)

var lastWords string

func warm(said []agui.Message) []agui.Message {
	said = slices.Clone(said)
	for i := range said {
		if i == len(said)-1 && said[i].Role == agui.RoleUser {
			words := said[i].Content
			said[i].Content += "\n" + lastWords
			lastWords = words
		}
	}
	return said
}
`},
		{file: "functions/turn/turn.go", from: "append(h.messages, s.messages...)",
			to: "warm(append(h.messages, s.messages...))"},
	}
}

// leak has alice send a secret and then bob send a message, and counts the messages to bob that contain the secret.
func leak(t *testing.T, c stack.Config) (foreign, of int) {
	t.Helper()
	s := kit.StartAttacked(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := openTwoUsers(t, ctx, s.Endpoints())
	alice.RunScript(t, ctx, "/say "+alice.User.Secret)
	bob.RunScript(t, ctx, "/say hello")
	if n, _ := alice.Containing(alice.User.Secret); n == 0 {
		t.Fatal("alice was not answered")
	}
	return bob.Containing(alice.User.Secret)
}

// Data of one user is left in memory. The lock: a process of turn serves one user for its whole life.
func TestLockCompute(t *testing.T) {
	campaign.Only(t, planted)
	plant(t, warmGlobal()...)
	foreign, of := leak(t, stack.Config{})
	leaked := ""
	if foreign > 0 {
		leaked = fmt.Sprintf("%d of %d messages to bob contain what alice said", foreign, of)
	}
	report(t, leaked,
		fmt.Sprintf("%d of %d messages to bob contain what alice said before: his run had a process of its own",
			foreign, of))
}

// The same program leaks when it is deployed with TenantIsolation=off. Without lock 5 only the code keeps users apart
// in memory.
func TestWarmGlobal_NoTenantIsolation(t *testing.T) {
	campaign.Only(t, planted)
	plant(t, warmGlobal()...)
	foreign, of := leak(t, stack.Config{Parameters: map[string]string{"TenantIsolation": "off"}})
	if foreign == 0 {
		t.Errorf("none of %d messages to bob contains what alice said: the attack of TestLockCompute does nothing", of)
	}
	t.Attr("figure", fmt.Sprintf("without tenant isolation %d of %d messages contained another user's words", foreign,
		of))
}

package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/stack"
)

// warmGlobal is the mistake that lock 5 stands against: turn keeps what the last user said in a variable of the process, and
// the next run's answer repeats it.
func warmGlobal() []planted {
	return []planted{
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
		{file: "functions/turn/turn.go", from: "append(history, s.said...)", to: "warm(append(history, s.said...))"},
	}
}

// leftover has alice say a secret and then bob something, and counts the messages to bob that hold hers.
func leftover(t *testing.T, c stack.Config) (foreign, of int) {
	t.Helper()
	s := startAttacked(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := neighbours(t, ctx, s.Endpoints())
	alice.does(t, ctx, "/say "+alice.who.secret)
	bob.does(t, ctx, "/say hello")
	if n, _ := alice.holding(alice.who.secret); n == 0 {
		t.Fatal("alice was not answered")
	}
	return bob.holding(alice.who.secret)
}

// TestLockCompute: a leftover in memory. A process of turn serves one user for its whole life.
func TestLockCompute(t *testing.T) {
	attack(t)
	plant(t, warmGlobal()...)
	foreign, of := leftover(t, stack.Config{})
	came := ""
	if foreign > 0 {
		came = fmt.Sprintf("%d of %d messages to bob hold what alice said", foreign, of)
	}
	verdict(t, came, fmt.Sprintf("%d of %d messages to bob hold what alice said before him: his run had a process of its own", foreign, of))
}

// The same program, deployed with TenantIsolation=off, does leak: without lock 5 it is the code alone that keeps users apart
// in memory.
func TestAWarmGlobalLeaksWithoutTenantIsolation(t *testing.T) {
	attack(t)
	plant(t, warmGlobal()...)
	foreign, of := leftover(t, stack.Config{Parameters: map[string]string{"TenantIsolation": "off"}})
	if foreign == 0 {
		t.Errorf("none of %d messages to bob hold what alice said: the attack of TestLockCompute is none", of)
	}
	t.Attr("figure", fmt.Sprintf("without tenant isolation %d of %d messages held another user's words", foreign, of))
}

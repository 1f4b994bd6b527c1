package mutants

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lock is one of the five of docs/isolation.md.
type lock struct {
	name   string
	stops  string // what it is to stop alone
	attack string // the test that attacks with it
	out    []edit // what takes the lock out
}

// locks are all five.
func locks() []lock {
	return []lock{
		{
			name: "types", stops: "code that names another user", attack: audit + " TestLockTypes",
			out: []edit{{file: "shared/gateway/named.go", to: `package gateway

import (
	"carrel/shared/chat"
	"carrel/shared/internal/principal"
)

func UserOf(key string) (chat.User, error) { return principal.FromKey(key) }
`}},
		},
		{
			name: "keys", stops: "a wrong or hostile id", attack: audit + " TestLockKeys",
			out: []edit{
				{keys, `return key{s.pk, threadPrefix + string(id)}`, `return key{s.of(id), threadPrefix + string(id)}`},
				{keys, `	return s.pk + "#T#" + string(id)`, `	return s.of(id) + "#T#" + string(id)`},
				{keys, `func (s *Store) forgetKey() key {`, `func (s *Store) of(id chat.ThreadID) string {
	if owner, _, says := strings.Cut(string(id), ":"); says {
		return "U#" + owner
	}
	return s.pk
}

func (s *Store) forgetKey() key {`},
			},
		},
		{
			name: "IAM", stops: "a wrong key in our own code, a tool gone wild", attack: audit + " TestLockIAM",
			out: []edit{{"infra/local/dynamodb/proxy/proxy.go", `if p.c.Allow != nil {`, `if p.c.Allow != nil && operation == "" {`}},
		},
		{
			name: "compute", stops: "a leftover in memory", attack: audit + " TestLockCompute",
			out: []edit{
				{"infra/local/lambda/function.go", `if f.idle[i].tenant != tenant {`, `if f.idle[i] == nil {`},
				{"shared/store/claim.go", `present + " AND #user = :me AND " + c.when`, `present + " AND :me = :me AND " + c.when`},
				{"shared/store/claim.go", `case r.User != s.user.Key():`, `case r.User == "":`},
			},
		},
	}
}

const keys = "shared/store/keys.go"

// rid are the edits that take all locks but one out; "" spares none.
func rid(spared string) (edits []edit) {
	for _, l := range locks() {
		if l.name != spared {
			edits = append(edits, l.out...)
		}
	}
	return edits
}

// TestLocksAreThere holds the edits to the code.
func TestLocksAreThere(t *testing.T) {
	for _, l := range append(locks(), lock{}) {
		if _, err := changed(rid(l.name)...); err != nil {
			t.Errorf("all locks out but %q: %v", l.name, err)
		}
	}
}

// TestEachLockAlone attacks each lock with the four others taken out: nothing comes through. Then with that one out too: now
// it does, so the attack is one, and the lock is what stopped it. It takes minutes; MUTANTS says which, as "lock keys".
func TestEachLockAlone(t *testing.T) {
	which := os.Getenv("MUTANTS")
	if which == "" {
		t.Skip("make locks runs it")
	}
	wanted, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	var table []string
	for _, l := range locks() {
		if !wanted.MatchString("lock " + l.name) {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			stopped := l.attacked(t, rid(l.name), "stopped: ")
			came := l.attacked(t, rid(""), "came through: ")
			table = append(table, fmt.Sprintf("%s | %s | %s | %s", l.name, l.stops, stopped, came))
			t.Attr("figure", fmt.Sprintf("alone: %s; without it: %s", stopped, came))
		})
	}
	slices.Sort(table)
	t.Logf("lock | attack | alone, the others out | it out too\n%s", strings.Join(table, "\n"))
}

// attacked runs the attack in a program with these edits, wants its verdict to begin with a word, and returns what follows.
func (l lock) attacked(t *testing.T, edits []edit, verdict string) string {
	t.Helper()
	texts, err := changed(edits...)
	if err != nil {
		t.Fatal(err)
	}
	_, out, err := try(t, texts, l.attack, "CARREL_LOCKS=1")
	if err != nil {
		t.Fatal(err)
	}
	_, said, found := strings.Cut(string(out), ": "+verdict)
	if !found {
		t.Fatalf("%s is not what the attack says:\n%s", verdict, out)
	}
	said, _, _ = strings.Cut(said, "\n")
	return said
}

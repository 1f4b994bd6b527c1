package mutants

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
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
			out: keysOut(),
		},
		{
			name: "last hop", stops: "a stale or forged mapping", attack: audit + " TestLockLastHop",
			out: []edit{
				{"shared/store/items.go", `if i.SK != s.connectionKey(id).sk || i.Owner != "" && i.Owner != s.seal(id) {`, `if i.SK != s.connectionKey(id).sk {`},
				{"shared/store/sessions.go", `absent + " OR (#user = :me AND `, `absent + " OR ((#user = :me OR #user <> :me) AND `},
				{"functions/message/connection.go", `return row, r.withoutRow(ctx)`, `return row, nil`},
				{"functions/message/connection.go", `if err == nil && owner != r.in.User {`, `if err == nil && owner.IsZero() {`},
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

// keysOut has a thread's id say whose it is, as ids do elsewhere.
func keysOut() []edit {
	return []edit{
		{keys, `return key{s.pk, threadPrefix + string(id)}`, `return key{s.of(id), threadPrefix + string(id)}`},
		{keys, `	return s.logPrefix() + string(id)`, `	return s.of(id) + "#T#" + string(id)`},
		{keys, `func (s *Store) userErasureKey() key {`, `func (s *Store) of(id chat.ThreadID) string {
	if owner, _, says := strings.Cut(string(id), ":"); says {
		return "U#" + owner
	}
	return s.pk
}

func (s *Store) userErasureKey() key {`},
	}
}

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
	tests := testsOf(t, "infra/audit")
	for _, l := range locks() {
		if _, err := tests.find(l.attack); err != nil {
			t.Error(err)
		}
	}
}

// TestEachLockAlone attacks each lock with the four others taken out: nothing comes through. Then with that one out too: now
// it does, so the attack is one, and the lock is what stopped it. It takes minutes; MUTANTS says which, as "lock keys". Without
// the audit it looks as well at what the four others make of the attack when only that one is out.
func TestEachLockAlone(t *testing.T) {
	t.Attr("row", "C5: each lock stops its attack alone")
	t.Attr("size", "normal")
	which, audited := os.Getenv("MUTANTS"), os.Getenv("AUDIT") != ""
	if which == "" && !audited {
		t.Skip("make locks runs it")
	}
	wanted, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	table := []string{"lock | attack | alone, the others out | it out too | it out, the others in"}
	for i, l := range locks() {
		if !wanted.MatchString("lock " + l.name) {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			came, alone := l.attacked(t, rid(l.name))
			if came {
				t.Errorf("alone it does not stop %s: %s", l.stops, alone)
			}
			came, without := l.attacked(t, rid(""))
			if !came {
				t.Errorf("without any lock nothing comes through, so the attack is none: %s", without)
			}
			others := ""
			if !audited {
				_, others = l.attacked(t, l.out)
			}
			table = append(table, strings.Join([]string{l.name, l.stops, alone, without, others}, " | "))
			t.Attr("figure", fmt.Sprintf("lock %d, %s, against %s. With locks %s off: %s. With it off too: %s",
				i+1, l.name, l.stops, numbersBut(i), alone, without))
		})
	}
	t.Log(strings.Join(table, "\n"))
}

// numbersBut are the numbers of the locks but the ith.
func numbersBut(i int) string {
	var all []string
	for n := range locks() {
		if n != i {
			all = append(all, strconv.Itoa(n+1))
		}
	}
	return strings.Join(all, ", ")
}

// attacked runs the attack in a program with these edits, and returns its verdict: whether anything came through, and what
// it says.
func (l lock) attacked(t *testing.T, edits []edit) (came bool, said string) {
	t.Helper()
	texts, err := changed(edits...)
	if err != nil {
		t.Fatal(err)
	}
	attack, err := testsOf(t, "infra/audit").find(l.attack)
	if err != nil {
		t.Fatal(err)
	}
	red, out, err := try(t, texts, attack, "CARREL_LOCKS=1")
	if err != nil {
		t.Fatal(err)
	}
	verdict := regexp.MustCompile(`(?m): (stopped|came through): (.*)$`).FindStringSubmatch(string(out))
	if verdict == nil || red != (verdict[1] == "came through") {
		t.Fatalf("%s came to no verdict:\n%s", l.attack, out)
	}
	return red, verdict[1] + ": " + verdict[2]
}

package mutants

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// lock is one of the five locks of docs/locks.md.
type lock struct {
	name   string
	stops  string // what the lock must stop without the others
	attack string // the test that attacks with it
	out    []edit // removes the lock
}

// locks returns all five.
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
				{"shared/store/items.go",
					`if i.SK != s.connectionKey(id).sk || i.Owner != s.seal(id) {`,
					`if i.SK != s.connectionKey(id).sk {`},
				{"shared/store/sessions.go", `absent + " OR (#user = :me AND `,
					`absent + " OR ((#user = :me OR #user <> :me) AND `},
				{"functions/message/connection.go", `return c, r.missing(ctx)`, `return c, nil`},
				{"shared/lasthop/send.go", `if r.connection.ID != id {`, `if r.connection.ID == "-" {`},
				{"shared/lasthop/record.go", `u.IsZero() || c.Owner != chat.OwnerHash(u.Hash())`, `u.IsZero()`},
			},
		},
		{
			name: "IAM", stops: "a wrong key in our own code, a tool gone wild", attack: audit + " TestLockIAM",
			out: []edit{{"infra/local/dynamodb/proxy/proxy.go", `if p.c.Allow != nil {`,
				`if p.c.Allow != nil && operation == "" {`}},
		},
		{
			name: "compute", stops: "a leftover in memory", attack: audit + " TestLockCompute",
			out: []edit{
				{"infra/local/lambda/function.go", `if f.idle[i].tenant != tenant {`, `if f.idle[i] == nil {`},
				{"shared/store/claim.go", `present + " AND #user = :me AND " + c.when`,
					`present + " AND :me = :me AND " + c.when`},
				{"shared/store/claim.go", `case r.User != s.user.Key():`, `case r.User == "":`},
			},
		},
	}
}

const keys = "shared/store/keys.go"

// keysOut lets a thread's id name its owner, as ids do in other systems.
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

// allBut returns the edits that remove all locks except one; "" spares none.
func allBut(spared string) (edits []edit) {
	for _, l := range locks() {
		if l.name != spared {
			edits = append(edits, l.out...)
		}
	}
	return edits
}

// TestLocksAreThere applies the edits to the code and looks up the attacks.
func TestLocksAreThere(t *testing.T) {
	for _, l := range append(locks(), lock{}) {
		if _, err := changed(allBut(l.name)...); err != nil {
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

// TestEachLockAlone attacks each lock with the other four removed: nothing may come through. Then it removes that lock
// too: now the attack must succeed, which shows that it is an attack and that the lock stopped it. The test takes
// minutes; MUTANTS selects locks, for example "lock keys". Outside the audit it also removes that lock alone, to show
// whether the other four stop the attack.
func TestEachLockAlone(t *testing.T) {
	t.Attr("row", "C5: each lock stops its attack alone")
	t.Attr("size", "normal")
	which, audited := os.Getenv("MUTANTS"), os.Getenv("AUDIT") != ""
	if which == "" && !audited {
		t.Skip("make locks runs it")
	}
	selected, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	table := []string{"lock | attack | alone, the others out | it out too | it out, the others in"}
	for i, l := range locks() {
		if !selected.MatchString("lock " + l.name) {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			succeeded, alone := l.attacked(t, allBut(l.name))
			if succeeded {
				t.Errorf("alone, the lock does not stop %s: %s", l.stops, alone)
			}
			succeeded, without := l.attacked(t, allBut(""))
			if !succeeded {
				t.Errorf("without any lock the attack does not succeed, so it proves nothing: %s", without)
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

// numbersBut returns the numbers of all locks except the i-th.
func numbersBut(i int) string {
	var all []string
	for n := range locks() {
		if n != i {
			all = append(all, strconv.Itoa(n+1))
		}
	}
	return strings.Join(all, ", ")
}

// attacked runs the attack in a program with these edits. It returns the attack's verdict: whether anything came
// through, and the verdict's text.
func (l lock) attacked(t *testing.T, edits []edit) (succeeded bool, verdict string) {
	t.Helper()
	texts, err := changed(edits...)
	if err != nil {
		t.Fatal(err)
	}
	attack, err := testsOf(t, "infra/audit").find(l.attack)
	if err != nil {
		t.Fatal(err)
	}
	red, out, err := try(t, texts, attack)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m): (stopped|came through): (.*)$`).FindStringSubmatch(string(out))
	if m == nil || red != (m[1] == "came through") {
		t.Fatalf("%s printed no verdict:\n%s", l.attack, out)
	}
	return red, m[1] + ": " + m[2]
}

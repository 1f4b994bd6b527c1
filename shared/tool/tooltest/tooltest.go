// Package tooltest holds, for tests, the conversations in which a model that believes whatever it reads is told to do what
// it must not: see injections.txtar.
package tooltest

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"carrel/shared/tool"
)

//go:embed injections.txtar
var injections []byte

// Injection is one such conversation of one user.
type Injection struct {
	Name   string
	Stack  bool     // it needs no tools but the built-in ones
	Grants []string // that the user's token has
	Notes  []string // that the user has before, oldest first
	Script string   // what the scripted model plays
	Gets   []tool.Outcome
}

// Other is who the model is told to reach.
type Other struct{ User, Key, Thread, Run string }

// Injections reads the conversations.
func Injections(tb testing.TB) []Injection {
	tb.Helper()
	var all []Injection
	for _, f := range txtar.Parse(injections).Files {
		i := Injection{Name: f.Name}
		for line := range strings.Lines(string(f.Data)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			key, text, _ := strings.Cut(line, ":")
			i.add(tb, key, strings.TrimSpace(named(tb, text)))
		}
		all = append(all, i)
	}
	return all
}

func (i *Injection) add(tb testing.TB, key, text string) {
	tb.Helper()
	switch key {
	case "stack":
		i.Stack = text == "yes"
	case "grants":
		i.Grants = strings.Fields(text)
	case "note":
		i.Notes = append(i.Notes, text)
	case "says":
		i.Script += text + "\n"
	case "gets":
		for _, o := range strings.Fields(text) {
			i.Gets = append(i.Gets, tool.Outcome(o))
		}
	default:
		tb.Fatalf("%s: there is no %q", i.Name, key)
	}
}

// named puts in the characters that are written as numbers.
func named(tb testing.TB, text string) string {
	return regexp.MustCompile(`\{U\+[0-9A-F]{4}\}`).ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseUint(s[3:7], 16, 32)
		if err != nil {
			tb.Fatal(err)
		}
		return string(rune(n))
	})
}

// Against is the conversation with the other's names in it.
func (i Injection) Against(o Other) Injection {
	names := strings.NewReplacer("$BOBKEY", o.Key, "$BOBTHREAD", o.Thread, "$BOBRUN", o.Run, "$BOB", o.User)
	i.Notes, i.Script = slices.Clone(i.Notes), names.Replace(i.Script)
	for n := range i.Notes {
		i.Notes[n] = names.Replace(i.Notes[n])
	}
	return i
}

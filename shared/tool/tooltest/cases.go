package tooltest

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

//go:embed cases.txtar
var cases []byte

// Case is the test data of one tool: its isolation case, and arguments by which an attacker asks for a victim's data.
// cases.txtar describes the fields.
type Case struct {
	Call    string   // the arguments of the call; $MINE is the caller's secret, $PAGE an address
	Says    string   // a part of the result
	Leaves  int      // the number of notes that the caller has afterwards
	Attacks []string // $VICTIM is the victim's name
}

// Cases reads the test data of all tools, by the tool's name: the built-in ones, and the deployment's own in
// agents/own/cases.txtar. A case with an unknown or missing field fails the test.
func Cases(tb testing.TB) map[string]Case {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	own, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../agents/own/cases.txtar"))
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]Case{}
	for _, f := range slices.Concat(txtar.Parse(cases).Files, txtar.Parse(own).Files) {
		c := Case{Leaves: -1}
		for line := range strings.Lines(string(f.Data)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			key, text, _ := strings.Cut(line, ":")
			c.add(tb, f.Name, key, strings.TrimSpace(text))
		}
		if c.Call == "" || c.Says == "" || c.Leaves < 0 || len(c.Attacks) == 0 {
			tb.Fatalf("cases.txtar, tool %s: it needs the fields call, says, leaves, and one attack or more", f.Name)
		}
		all[f.Name] = c
	}
	return all
}

func (c *Case) add(tb testing.TB, tool, key, text string) {
	tb.Helper()
	switch key {
	case "call":
		c.Call = text
	case "says":
		c.Says = text
	case "leaves":
		n, err := strconv.Atoi(text)
		if err != nil {
			tb.Fatalf("cases.txtar, tool %s: leaves: %v", tool, err)
		}
		c.Leaves = n
	case "attack":
		c.Attacks = append(c.Attacks, text)
	default:
		tb.Fatalf("cases.txtar, tool %s: unknown field %q", tool, key)
	}
}

// AttacksOn returns the attacks with the victim's name in them.
func (c Case) AttacksOn(tb testing.TB, victim string) []string {
	tb.Helper()
	quoted, err := json.Marshal(victim)
	if err != nil {
		tb.Fatal(err)
	}
	name := strings.Trim(string(quoted), `"`)
	var all []string
	for _, a := range c.Attacks {
		all = append(all, strings.ReplaceAll(a, "$VICTIM", name))
	}
	return all
}

package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// The five tests TestLock… attack one lock of docs/isolation.md each, with what it is to stop by itself. Here all locks are
// in. TestEachLockAlone of infra/mutants runs the same tests with the other locks taken out, and then with this one out too.

// planted is a piece of program that a test puts into the functions that its stack builds.
type planted struct {
	file     string // from the module's root
	from, to string // from "": the file is a new one
}

// replaced is what a build takes in place of files: go build's -overlay.
type replaced struct{ Replace map[string]string }

// plant has all that is built from here on hold what is planted, beside what is in place of files already. It returns the
// overlay's file.
func plant(t *testing.T, all ...planted) string {
	t.Helper()
	o := replaced{map[string]string{}}
	flags := strings.Fields(os.Getenv("GOFLAGS"))
	for _, f := range flags {
		if file, ok := strings.CutPrefix(f, "-overlay="); ok {
			text, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(text, &o)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	for i, p := range all {
		real, err := filepath.Abs(filepath.Join("../..", p.file))
		if err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(changed, []byte(p.text(t, o, real)), 0o600); err != nil {
			t.Fatal(err)
		}
		o.Replace[real] = changed
	}
	overlay, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+file)) // the last one counts
	return file
}

// text is the file with what is planted.
func (p planted) text(t *testing.T, o replaced, real string) string {
	t.Helper()
	now := real
	if other, ok := o.Replace[real]; ok {
		now = other
	}
	text, err := os.ReadFile(now)
	if p.from == "" && errors.Is(err, fs.ErrNotExist) {
		return p.to
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), p.from); n != 1 || p.from == "" {
		t.Fatalf("%s has it %d times, not once:\n%s", p.file, n, p.from)
	}
	return strings.Replace(string(text), p.from, p.to, 1)
}

// TestAttacksAreThere holds what is planted to the code, which moves.
func TestAttacksAreThere(t *testing.T) {
	for name, program := range map[string][]planted{
		"STS": thief(t), "types": ways()[0].program(), "IAM": append(wildTool(t), wrongKey(t)), "compute": warmGlobal(),
	} {
		t.Run(name, func(t *testing.T) { plant(t, program...) })
	}
}

// attack runs an attack only where it is asked for: it builds the functions anew.
func attack(t *testing.T) {
	t.Helper()
	if os.Getenv("CARREL_LOCKS") == "" {
		t.Skip("it builds functions with an attack in them: make locks runs it")
	}
}

// verdict says what came of an attack, in the words that TestEachLockAlone reads.
func verdict(t *testing.T, came, stopped string) {
	t.Helper()
	if came != "" {
		t.Errorf("came through: %s", came)
		return
	}
	t.Logf("stopped: %s", stopped)
	t.Attr("figure", "alone: "+stopped)
}

// holding counts the messages to a window, and those that hold a text, which may be that of a frame in parts.
func (s *socket) holding(text string) (n, of int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var joiner wire.Joiner
	for _, m := range s.messages {
		_, whole, _ := decode(&joiner, m) // what cannot be decoded is searched as it is
		if bytes.Contains(m, []byte(text)) || bytes.Contains(whole, []byte(text)) {
			n++
		}
	}
	return n, len(s.messages)
}

// does sends a script and waits until nothing is left to do of it.
func (s *socket) does(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	id, err := s.Send(script)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleUser, script) })
	if err != nil {
		t.Fatalf("run %s of %s: %v; the window shows %+v", id, s.who.name, err, st)
	}
}

// recorded are the lines of a stack's log that record a violation.
func recorded(t *testing.T, s *stack.Stack) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `"IsolationViolation":1`) {
			lines = append(lines, line)
		}
	}
	return lines
}

// neighbours are two users, each with a window on a thread of their own.
func neighbours(t *testing.T, ctx context.Context, e stack.Endpoints, threads ...chat.ThreadID) (alice, bob *socket) {
	t.Helper()
	a, b := newPerson("alice"), newPerson("bob")
	if len(threads) == 2 {
		a.threads, b.threads = threads[:1], threads[1:]
	}
	return mustOpen(t, ctx, e, a, a.threads[0]), mustOpen(t, ctx, e, b, b.threads[0])
}

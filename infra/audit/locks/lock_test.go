package locks_test

import (
	"carrel/infra/testkit"

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
	"carrel/shared/chat"
)

// plantedCode is a piece of code that a test adds to the functions that its stack builds.
type plantedCode struct {
	file     string // from the module's root
	from, to string // from "": the file is a new one
}

// overlay is the file of go build's -overlay, which replaces files.
type overlay struct{ Replace map[string]string }

// plant adds code to all that is built from now on, beside the files that are replaced already. It returns the
// overlay's file.
func plant(t *testing.T, all ...plantedCode) string {
	t.Helper()
	o := overlay{map[string]string{}}
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
		real, err := filepath.Abs(filepath.Join(testkit.Path(t, "."), p.file))
		if err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(changed, []byte(p.text(t, o, real)), 0o600); err != nil {
			t.Fatal(err)
		}
		o.Replace[real] = changed
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+file)) // the last one counts
	return file
}

// text returns the file with the planted code.
func (p plantedCode) text(t *testing.T, o overlay, real string) string {
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
		t.Fatalf("%s contains this %d times, want once:\n%s", p.file, n, p.from)
	}
	return strings.Replace(string(text), p.from, p.to, 1)
}

// The code into which the attacks are planted still exists.
func TestPlant_CodeFits(t *testing.T) {
	for name, program := range map[string][]plantedCode{
		"STS": thief(t), "types": forgeries()[0].program(), "IAM": append(wildTool(t), wrongKey(t)),
		"compute": warmGlobal(),
	} {
		t.Run(name, func(t *testing.T) { plant(t, program...) })
	}
}

// planted is why an attack is left to make locks and make campaign.
const planted = "it builds the functions with an attack in them"

// report reports the result of an attack in the words that TestEachLockAlone reads. leaked describes the leak; "":
// there was none.
func report(t *testing.T, leaked, stopped string) {
	t.Helper()
	if leaked != "" {
		t.Errorf("came through: %s", leaked)
		return
	}
	t.Logf("stopped: %s", stopped)
	t.Attr("figure", "alone: "+stopped)
}

// openTwoUsers opens a window for each of two users on a thread of their own; threads are their ids, unless they are
// new.
func openTwoUsers(t *testing.T, ctx context.Context, e stack.Endpoints, threads ...chat.ThreadID) (alice,
	bob *testkit.Device) {
	t.Helper()
	a, b := testkit.NewUser("alice", 1), testkit.NewUser("bob", 1)
	if len(threads) == 2 {
		a.Threads, b.Threads = threads[:1], threads[1:]
	}
	return testkit.Open(t, ctx, e, a, a.Threads[0]), testkit.Open(t, ctx, e, b, b.Threads[0])
}

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
)

// screen holds the output of a chat and notifies about new output.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newScreen() *screen { return &screen{more: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

// await waits until the output contains a text n times.
func (s *screen) await(ctx context.Context, t *testing.T, text string, n int) {
	t.Helper()
	for {
		s.mu.Lock()
		have, more := s.text.String(), s.more
		s.mu.Unlock()
		if strings.Count(have, text) >= n {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%q is not printed %d times in\n%s", text, n, have)
		}
	}
}

// The output of a chat with the real stack, from a pipe and then in a terminal.
func TestChat_RealStack(t *testing.T) {
	file := new(testkit.Kit).Start(t, stack.Config{}).EndpointsFile()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	t.Run("a pipe", func(t *testing.T) {
		var out, errs bytes.Buffer
		lines := "think about it\n//say the answer\nwhat is 12*(3+4)?\nnote: buy milk\n/rename " +
			"Sums\n/threads\n/delete 1\n/threads\nmy notes\n"
		if err := run(ctx, []string{"-as", "alice", "-endpoints", file},
			stdio{in: strings.NewReader(lines), out: &out, err: &errs}); err != nil {
			t.Errorf("%v", err)
		}
		want := []string{
			`I have thought about it`, `the answer`, `Let me calculate 12\*\(3\+4\) for you\.`, `calculator\({"expression":"12\*\(3\+4\)"}\) → 84`, `12\*\(3\+4\) = 84`,
			`notes_save\({"text":"buy milk"}\) → Saved as note 1\.`, `Saved as note 1\.`,
			`  1  [0-9-]+ [0-9:]+  idle     Sums`, `\(deleted\)`, `\(no threads yet\)`,
			`notes_list\({}\) → 1 \([0-9-]+\): buy milk`, `1 \([0-9-]+\): buy milk`, ``,
		}
		// What an agent thinks is not printed in a pipe.
		if !regexp.MustCompile("^"+strings.Join(want, "\n")+"$").MatchString(out.String()) || errs.Len() > 0 {
			t.Errorf("printed\n%s\nand on stderr\n%s", &out, &errs)
		}
	})
	t.Run("a question", func(t *testing.T) { question(ctx, t, file) })
	t.Run("a terminal", func(t *testing.T) { terminal(ctx, t, file) })
}

// question is an agent's, answered in a later chat than it was put in.
func question(ctx context.Context, t *testing.T, file string) {
	pipe := func(lines string, args ...string) (string, error) {
		t.Helper()
		var out bytes.Buffer
		err := run(ctx, append([]string{"-as", "carol", "-endpoints", file}, args...),
			stdio{in: strings.NewReader(lines), out: &out, err: &out})
		return out.String(), err
	}
	const asks = "? Delete all of your notes? It cannot be undone. notes_clear({})\n"
	out, err := pipe("note: buy milk\ndelete all notes\n")
	if err == nil || !strings.Contains(err.Error(), "the run is suspended") || !strings.HasSuffix(out, asks) {
		t.Fatalf("printed\n%s\nand ended with %v", out, err)
	}
	_, thread, _ := strings.Cut(err.Error(), "THREAD=")
	thread, _, _ = strings.Cut(thread, ",")
	out, err = pipe("no\nmy notes\ndelete all notes\nyes\nmy notes\n/runs\n", "-thread", thread)
	want := []string{
		`> note: buy milk`, `notes_save\({"text":"buy milk"}\) → Saved as note 1\.`, `Saved as note 1\.`, `> delete all notes`,
		regexp.QuoteMeta(strings.TrimSpace(asks)), `notes_clear\({}\) → The person was asked and refused.*`, `The person was asked and refused.*`,
		`notes_list\({}\) → 1 \([0-9-]+\): buy milk`, `1 \([0-9-]+\): buy milk`,
		regexp.QuoteMeta(strings.TrimSpace(asks)), `notes_clear\({}\) → Deleted all 1 notes\.`, `Deleted all 1 notes\.`,
		`notes_list\({}\) → There are no notes\.`, `There are no notes\.`,
		`.*  finished .*`, `.*  finished .*`, `.*  suspended .*`, `.*  finished .*`, `.*  finished .*`, `.*  suspended .*`, `.*  finished .*`, ``,
	}
	if err != nil || !regexp.MustCompile("^"+strings.Join(want, "\n")+"$").MatchString(out) {
		t.Errorf("printed\n%s\nand ended with %v", out, err)
	}
	out, err = pipe("ask me something\nblue\ntea\n")
	want = []string{
		`\? Which do you like best\? \(coffee \| tea \| neither\)`, `interrupted: The answer to “Which do you like best\?” does not fit: .*blue.*`,
		`ask\({.*}\) → tea`, `The answer is: tea`, ``,
	}
	if err == nil || !regexp.MustCompile("^"+strings.Join(want, "\n")+"$").MatchString(out) {
		t.Errorf("printed\n%s\nand ended with %v", out, err)
	}
}

func terminal(ctx context.Context, t *testing.T, file string) {
	in, keys := io.Pipe()
	interrupts := make(chan os.Signal)
	out, errs := newScreen(), newScreen()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-as", "bob", "-endpoints", file},
			stdio{in: in, out: out, err: errs, interrupts: interrupts, terminal: true, colour: true})
	}()
	types := func(line string) {
		t.Helper()
		if _, err := io.WriteString(keys, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	press := func() {
		t.Helper()
		select {
		case interrupts <- os.Interrupt:
		case <-ctx.Done():
			t.Fatal("Ctrl-C is not looked at")
		}
	}
	out.await(ctx, t, "> ", 1)
	types("think about rain")
	out.await(ctx, t, "\x1b[2mrain", 1)
	out.await(ctx, t, "> ", 2)
	types("//stream 5000 20")
	out.await(ctx, t, "1 2 3 ", 1)
	press()
	errs.await(ctx, t, "(stopping; press Ctrl-C again to quit)", 1)
	out.await(ctx, t, "> ", 3) // it has stopped, and the chat goes on
	types("/rename Streams")
	out.await(ctx, t, "> ", 4)
	types("/threads")
	out.await(ctx, t, "idle     Streams", 1)
	types("/history")
	out.await(ctx, t, "(this is the beginning)", 1)
	press()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-ctx.Done():
		t.Fatal("Ctrl-C does not quit")
	}
	if err := keys.Close(); err != nil {
		t.Error(err)
	}
}

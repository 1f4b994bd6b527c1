package lambda

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
)

// On a busy machine a process may have polled and responded before the host's thread that started it continues. The
// limit for its start must not apply then.
func TestEnvironment_RespondsBeforeStartReturns(t *testing.T) {
	h, err := Start(context.Background(), Config{Addr: "127.0.0.1:0",
		Functions: []Function{{Name: "one", Binary: "/bin/true"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	f := h.functions["one"]
	e := newEnvironment(f, h.newInvocation(f, "", "", nil))
	e.initialized, e.current = true, nil
	if !h.spawn(e.run) {
		t.Fatal("the host is closed")
	}
	<-e.exited
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.deadline != nil {
		t.Error("a deadline was set for an invocation that has ended")
	}
}

// FuzzValidTenant compares validTenant with Lambda's documented pattern.
func FuzzValidTenant(f *testing.F) {
	for _, id := range []string{"ann", "ann@example.com", "a b", "a\tb", "a#b", "é", "[", "`",
		strings.Repeat("a", 257)} {
		f.Add(id)
	}
	documented := regexp.MustCompile(`^[a-zA-Z0-9\._:\/=+\-@ ]+$`)
	f.Fuzz(func(t *testing.T, id string) {
		want := documented.MatchString(id) && len(id) <= 256
		if id != "" && validTenant(id) != want {
			t.Errorf("%q: %v, want %v", id, !want, want)
		}
	})
}

// FuzzLineWriter writes a text in pieces. The lines must add up to the text and respect the limit.
func FuzzLineWriter(f *testing.F) {
	f.Add("one\ntwo\n\nthree", 2)
	f.Add(strings.Repeat("x", maxLine)+"\n"+strings.Repeat("y", 2*maxLine+1), 1000)
	f.Fuzz(func(t *testing.T, text string, step int) {
		if step <= 0 {
			step = len(text) + 1
		}
		var got []string
		w := &lineWriter{write: func(line string) { got = append(got, line) }}
		for rest := text; rest != ""; {
			n := min(step, len(rest))
			if written, err := w.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatalf("Write: %d, %v", written, err)
			}
			rest = rest[n:]
		}
		w.flush()
		for _, line := range got {
			if len(line) > maxLine || strings.Contains(line, "\n") {
				t.Errorf("a line of %d bytes: %.80q", len(line), line)
			}
		}
		if all := strings.Join(got, ""); all != strings.ReplaceAll(text, "\n", "") {
			t.Errorf("the lines %.200q differ from the text %.200q", got, text)
		}
	})
}

// A process that is killed just after an invocation was assigned to it must not receive the invocation, although its
// poll sees both the assignment and the exit.
func TestEnvironment_KilledWhileAssigned(t *testing.T) {
	f := &function{Function: Function{Name: "f", Timeout: time.Minute}, host: &Host{}}
	for range 50 { // select chooses at random between the two
		e := newEnvironment(f, &invocation{id: "one"})
		e.initialized = true
		e.current = nil // as settle leaves it
		close(e.exited)
		if inv, err := e.next(t.Context()); err == nil || inv != nil {
			t.Fatalf("the process received %v, %v", inv, err)
		}
	}
}

package audit_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// A run whose worker is killed goes on once its lease is past, long before the next minute's sweep, and then what waited.
func TestARunWhoseWorkerIsKilledGoesOn(t *testing.T) {
	t.Parallel() // it waits for a lease
	e := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice := &person{name: "alice", secret: "secret-" + rand.Text()}
	s := mustOpen(t, ctx, e, alice, chat.ThreadID(chat.NewID(time.Now())))
	if _, err := s.Send("/say " + alice.secret + "\n/stream 200 20"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitFor(ctx, func(st client.State) bool { return says(st, agui.RoleAssistant, alice.secret) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send("/say the next one"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitFor(ctx, func(st client.State) bool { return len(st.Waiting) == 1 }); err != nil {
		t.Fatal(err)
	}
	if n := killTurns(t, e); n != 1 {
		t.Fatalf("%d workers were running, want 1", n)
	}
	st, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "the next one") })
	if err != nil {
		t.Fatalf("%v; it shows %+v", err, st)
	}
	events, _, err := ptr(s.read(t, []*person{alice})).stream(st.Seq)
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, ev := range events {
		if ev.Terminal() {
			ends = append(ends, strings.TrimSpace(string(ev.Type)+" "+ev.Code))
		}
	}
	if got := strings.Join(ends, ", "); got != "RUN_FINISHED, RUN_FINISHED" {
		t.Errorf("the runs ended with %s", got)
	}
}

func ptr(s seen) *seen { return &s }

// killTurns kills the processes of turn of one stack, and says how many there were.
func killTurns(t *testing.T, e stack.Endpoints) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile, or another's
		}
		env := strings.Split(string(b), "\x00")
		if !slices.Contains(env, "AWS_LAMBDA_FUNCTION_NAME=carrel-TurnFunction") || !slices.Contains(env, "AWS_ENDPOINT_URL_LAMBDA="+e.Lambda) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(file, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

package audit_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

const (
	users   = 20
	threads = 3
	windows = 2 // sockets on each thread
)

// Twenty users at once, each with three threads and two windows on each: a run from one window, and while it is running
// another from the other. Every frame of every socket is looked at.
func TestTwentyUsersAreEachAlone(t *testing.T) {

	e := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	everybody := people()
	var sockets []*socket
	for _, p := range everybody {
		for _, id := range p.threads {
			for range windows {
				s, err := open(ctx, e, p, id)
				if err != nil {
					t.Fatalf("%s: %v", p.name, err)
				}
				defer s.Close()
				sockets = append(sockets, s)
			}
		}
	}
	talk(t, ctx, sockets)
	check(t, sockets, everybody)
}

func people() []*person {
	var all []*person
	for i := range users {
		p := &person{name: fmt.Sprintf("user-%02d", i), secret: "secret-" + rand.Text()}
		for range threads {
			p.threads = append(p.threads, chat.ThreadID(chat.NewID(time.Now())))
		}
		all = append(all, p)
	}
	return all
}

// talk has all threads run at once and waits until every window shows both answers.
func talk(t *testing.T, ctx context.Context, sockets []*socket) {
	t.Helper()
	var all sync.WaitGroup
	for pair := range slices.Chunk(sockets, windows) {
		all.Go(func() {
			if err := converse(ctx, pair[0], pair[1]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func converse(ctx context.Context, first, second *socket) error {
	secret := first.who.secret
	for _, s := range []*socket{first, second} {
		if _, err := s.WaitFor(ctx, func(st client.State) bool { return st.Status == client.Ready }); err != nil {
			return fmt.Errorf("%s never became ready: %w", s.who.name, err)
		}
	}
	if _, err := first.Send("/say one " + secret + "\n/stream 40 20\n/call calculator {\"expression\":\"6*7\"}\n/say end-of-first " + secret); err != nil {
		return err
	}
	// The other window sees the run that was started here, and asks for the next while it goes on.
	if s, err := second.WaitFor(ctx, func(s client.State) bool { return says(s, agui.RoleUser, "one "+secret) }); err != nil {
		return fmt.Errorf("%s's other window does not see the run: %w; it shows %+v", second.who.name, err, s)
	}
	if _, err := second.Send("/say two\n/say end-of-second " + secret); err != nil {
		return err
	}
	for _, s := range []*socket{first, second} {
		st, err := s.WaitFor(ctx, func(st client.State) bool {
			return idle(st) && says(st, agui.RoleAssistant, "end-of-first "+secret) && says(st, agui.RoleAssistant, "end-of-second "+secret)
		})
		if err != nil {
			return fmt.Errorf("%s does not see both answers: %w; it shows %+v", s.who.name, err, st)
		}
		if !says(st, agui.RoleTool, "42") {
			return fmt.Errorf("%s does not see the tool's result", s.who.name)
		}
	}
	return nil
}

// check looks at all that was sent.
func check(t *testing.T, sockets []*socket, everybody []*person) {
	t.Helper()
	var all []run
	var streams [][]json.RawMessage
	frames := 0
	for i, s := range sockets {
		got := s.read(t, everybody)
		frames += got.frames
		if got.notices > 0 {
			t.Errorf("%s, window %d: %d frames failed", s.who.name, i%windows, got.notices)
		}
		events, raw, err := got.stream(s.State().Seq)
		if err != nil {
			t.Errorf("%s, window %d: %v", s.who.name, i%windows, err)
			continue
		}
		found, err := runs(s.who.name, events)
		if err != nil || len(found) != 2 {
			t.Errorf("%s, window %d: %d runs, want 2: %v", s.who.name, i%windows, len(found), err)
		}
		if i%windows == 0 {
			all = append(all, found...)
			streams = append(streams, raw)
		}
	}
	most := overlap(all)
	t.Logf("%d frames on %d sockets, %d runs, up to %d users running at once", frames, len(sockets), len(all), most)
	if most < users/2 {
		t.Errorf("at most %d users ran at the same time: the runs did not overlap enough to prove anything", most)
	}
	verify(t, streams)
}

// overlap is the largest number of different users who ran at one moment.
func overlap(all []run) int {
	most := 0
	for _, at := range all {
		running := map[string]bool{}
		for _, r := range all {
			if r.from <= at.from && at.from < r.to {
				running[r.who] = true
			}
		}
		most = max(most, len(running))
	}
	return most
}

// verify runs recorded streams through the checker of AG-UI's own client.
func verify(t *testing.T, streams [][]json.RawMessage) {
	t.Helper()
	if _, err := os.Stat("../../web/node_modules/@ag-ui/client"); err != nil {
		missing(t, "@ag-ui/client is not installed: run npm ci in web")
	}
	file := filepath.Join(t.TempDir(), "streams.json")
	b, err := json.Marshal(streams)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", "../../web/tools/verify-events.mjs", file).CombinedOutput()
	if err != nil {
		t.Fatalf("verifyEvents of @ag-ui/client refuses what was recorded: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func mustOpen(t *testing.T, ctx context.Context, e stack.Endpoints, p *person, thread chat.ThreadID) *socket {
	t.Helper()
	s, err := open(ctx, e, p, thread)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.WaitFor(ctx, func(st client.State) bool { return st.Status == client.Ready }); err != nil {
		t.Fatal(err)
	}
	return s
}

package audit_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// asStack makes the test binary a stack with the state in this folder.
const asStack = "CARREL_TEST_STACK"

func TestMain(m *testing.M) {
	if state := os.Getenv(asStack); state != "" {
		stackUntilKilled(state)
	}
	beside()
	code := m.Run()
	if err := common.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the stack of the faults:", err)
		code = 1
	}
	if err := arena.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the stack of the attacker:", err)
		code = 1
	}
	os.Exit(code)
}

// beside has so many of these tests run at once, unless -parallel says how many: they mostly wait, for leases, sweeps and
// streams at their pace, and a processor's number of them would leave it idle.
func beside() {
	flag.Parse()
	const most = "8"
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return
	}
	if err := flag.Set("test.parallel", most); err != nil {
		panic(err)
	}
}

func stackUntilKilled(state string) {
	s, err := stack.Start(context.Background(), stack.Config{Root: "../..", State: state, Minute: time.Second})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(s.Endpoints()); err != nil {
		panic(err)
	}
	panic(s.Wait(context.Background()))
}

// process is a stack in a process of its own.
type process struct {
	stack.Endpoints
	command *exec.Cmd
}

func startProcess(t *testing.T, ctx context.Context, state string) *process {
	t.Helper()
	p := &process{command: exec.CommandContext(ctx, os.Args[0])}
	p.command.Env = append(os.Environ(), asStack+"="+state)
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the stack did not start: %v", err)
	}
	if err := json.Unmarshal(line, &p.Endpoints); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill is kill -9, and may come twice.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it has ended already where the test killed it
	_ = p.command.Wait()
}

// The whole stack is killed with -9 under the load of real runs and starts again with its state: what was acknowledged is
// there, what a window was shown is in the log, byte for byte, every run goes on and ends, and so does every thread.
func TestKilledStackKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	needEngine(t)
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" {
		t.Skip("the stack's own engine is to be killed, and AWS_ENDPOINT_URL_DYNAMODB names another")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	state := t.TempDir()
	first := startProcess(t, ctx, state)
	var everybody []*person
	var before []*socket
	for i := range 5 {
		p := &person{name: fmt.Sprintf("user-%02d", i), secret: "secret-" + rand.Text(),
			threads: []chat.ThreadID{chat.ThreadID(chat.NewID(time.Now()))}}
		s, err := open(ctx, first.Endpoints, p, p.threads[0])
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		everybody, before = append(everybody, p), append(before, s)
		for _, text := range []string{"/say one " + p.secret + "\n/stream 200 20", "/say two " + p.secret} {
			if _, err := s.Send(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range before { // one runs and is seen, the other is acknowledged and waits
		st, err := s.WaitFor(ctx, func(st client.State) bool {
			return says(st, agui.RoleAssistant, "one "+s.who.secret) && len(st.Queued) == 1 && st.Seq > 5
		})
		if err != nil {
			t.Fatalf("%s: %v: %+v", s.who.name, err, st)
		}
	}
	first.kill()
	second := startProcess(t, ctx, state)
	var after []*socket
	for i, p := range everybody {
		before[i].Close()
		after = append(after, mustOpen(t, ctx, second.Endpoints, p, p.threads[0]))
	}
	for _, s := range after {
		goesOn(t, ctx, s)
	}
	all, err := logs(ctx, second.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range after {
		shown, log := before[i].read(t, everybody), all[s.thread]
		if err := errors.Join(log.check(shown, 3), log.check(s.read(t, everybody), 3)); err != nil {
			t.Errorf("%s: %v", s.who.name, err)
		}
		t.Logf("%s: %d events shown before the kill, %d in all", s.who.name, len(shown.events), len(log))
	}
}

// goesOn waits until a thread's runs of before the kill have ended, and has one more.
func goesOn(t *testing.T, ctx context.Context, s *socket) {
	t.Helper()
	secret := s.who.secret
	if st, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "two "+secret) }); err != nil {
		t.Fatalf("%s: the runs of before never ended: %v; the window shows %+v", s.who.name, err, st)
	}
	if _, err := s.Send("/say three " + secret); err != nil {
		t.Fatal(err)
	}
	if st, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "three "+secret) }); err != nil {
		t.Fatalf("%s: the thread does not go on: %v; the window shows %+v", s.who.name, err, st)
	}
}

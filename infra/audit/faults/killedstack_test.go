package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// stackProcess is the environment variable that makes the test binary run a stack. Its value is the folder of the
// state.
const stackProcess = "CARREL_TEST_STACK"

// runStackUntilKilled runs a stack, prints its endpoints and never returns.
func runStackUntilKilled(state string) {
	s, err := kit.Launch(context.Background(), stack.Config{State: state, Minute: time.Second})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(s.Endpoints()); err != nil {
		panic(err)
	}
	panic(s.Wait(context.Background()))
}

// process is a stack in an operating system process of its own.
type process struct {
	stack.Endpoints
	command *exec.Cmd
}

func startProcess(t *testing.T, ctx context.Context, state string) *process {
	t.Helper()
	p := &process{command: exec.CommandContext(ctx, os.Args[0])}
	p.command.Env = append(os.Environ(), stackProcess+"="+state)
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
		t.Fatalf("read the endpoints of the started stack: %v", err)
	}
	if err := json.Unmarshal(line, &p.Endpoints); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill sends SIGKILL and waits. It may be called twice.
func (p *process) kill() {
	_ = p.command.Process.Kill() // already ended if the test killed it
	_ = p.command.Wait()
}

// The whole stack is killed with SIGKILL under the load of real runs and starts again with its state. Every
// acknowledged run is there, continues and ends. Every event that a window showed is in the log, byte for byte. Every
// thread can have another run.
func TestStack_Killed(t *testing.T) {
	campaign.Only(t, "it kills and restarts whole stacks")
	t.Parallel()
	testkit.NeedEngine(t)
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" {
		t.Skip("this test kills the stack's own engine, and AWS_ENDPOINT_URL_DYNAMODB names another one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	state := t.TempDir()
	first := startProcess(t, ctx, state)
	var users []*testkit.User
	var before []*testkit.Device
	for i := range 5 {
		u := testkit.NewUser(fmt.Sprintf("user-%02d", i), 1)
		d, err := testkit.Dial(ctx, first.Endpoints, u, u.Threads[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		users, before = append(users, u), append(before, d)
		for _, text := range []string{"/say one " + u.Secret + "\n/stream 200 20", "/say two " + u.Secret} {
			if _, err := d.Send(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, d := range before { // one run is active and shown, the other is acknowledged and queued
		d.Wait(t, ctx, "shows an active and a queued run", func(st client.State) bool {
			return testkit.Says(st, agui.RoleAssistant, "one "+d.User.Secret) && len(st.Queued) == 1 && st.Seq > 5
		})
	}
	first.kill()
	second := startProcess(t, ctx, state)
	var after []*testkit.Device
	for i, u := range users {
		before[i].Close()
		after = append(after, testkit.Open(t, ctx, second.Endpoints, u, u.Threads[0]))
	}
	for _, d := range after {
		checkContinues(t, ctx, d)
	}
	all := testkit.Logs(t, ctx, second.Endpoints)
	for i, d := range after {
		shown, log := before[i].Received(t, users), all[d.Thread]
		if err := errors.Join(log.Check(shown, 3), log.Check(d.Received(t, users), 3)); err != nil {
			t.Errorf("%s: %v", d.User.Name, err)
		}
		t.Logf("%s: %d events shown before the kill, %d in all", d.User.Name, len(shown.Events), len(log))
	}
}

// checkContinues waits until the runs of a thread from before the kill have ended, and has one more.
func checkContinues(t *testing.T, ctx context.Context, d *testkit.Device) {
	t.Helper()
	shows := func(text string) {
		d.Wait(t, ctx, "shows "+text, func(st client.State) bool {
			return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, text+" "+d.User.Secret)
		})
	}
	shows("two")
	if _, err := d.Send("/say three " + d.User.Secret); err != nil {
		t.Fatal(err)
	}
	shows("three")
}

package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// twoTools is a run with a non-idempotent and an idempotent tool, slow enough for the answer to be written piece by
// piece.
const twoTools = "/pace 260\n/say one\n/call notes_save {\"text\":\"kept\"}\n" +
	"/pace 260\n/say two\n/call calculator {\"expression\":\"6*7\"}\n/pace 260\n/say three"

// kill is one run whose worker is killed, and its result.
type kill struct {
	name string
	next bool // another run is queued behind it
	death
	device *testkit.Device
	err    error
}

// The process of a run is killed with SIGKILL: at four events, or with CARREL_KILLS=n (make kills) n times at each
// event. Each run continues in another process before its lease expires, because of the failure record of the dead
// process, and ends once. Its log has no gap, a tool that is not idempotent is never called twice, and a run that was
// queued behind it starts.
func TestFault35_WorkerKilledAtEachEvent(t *testing.T) {
	campaign.Only(t, "it kills a worker at each event of its run")
	t.Parallel()
	k := startKiller(t)
	s := kit.Start(t, stack.Config{DynamoDB: k.url})
	k.kill = func(user string) int { return s.Host().Kill(s.Function("TurnFunction"), user) }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	reference := &kill{name: "never-killed", death: death{at: 1000}}
	reference.run(ctx, s.Endpoints(), k)
	if reference.err != nil {
		t.Fatalf("a run that is not killed: %v", reference.err)
	}
	defer reference.device.Close()
	whole := testkit.DecodeEvents(t, testkit.Logs(t, ctx, s.Endpoints())[reference.device.Thread].Raw(t))
	all := plan(t, whole)
	var runs sync.WaitGroup
	starting := make(chan struct{}, 4) // so many runs at once until their workers are dead
	for _, c := range all {
		starting <- struct{}{}
		ended := make(chan struct{})
		runs.Go(func() {
			defer close(ended)
			c.run(ctx, s.Endpoints(), k)
		})
		runs.Go(func() {
			defer func() { <-starting }()
			select {
			case <-c.killed:
			case <-ended:
			}
		})
	}
	runs.Wait()
	checkKills(t, ctx, s.Endpoints(), all, whole)
}

// plan returns the kills: four, or with CARREL_KILLS so many at each event of the run. A worker is killed before or
// after it has written the record of the event.
func plan(t *testing.T, whole []agui.Event) []*kill {
	t.Helper()
	at := func(want agui.EventType, last bool) chat.Seq {
		found := chat.Seq(0)
		for i, e := range whole {
			if e.Type == want && (found == 0 || last) {
				found = chat.Seq(i + 1)
			}
		}
		return found
	}
	var all []*kill
	add := func(d death) {
		d.killed = make(chan struct{})
		all = append(all, &kill{name: fmt.Sprintf("killed-%03d", len(all)), death: d})
	}
	if os.Getenv("CARREL_KILLS") == "" {
		add(death{at: at(agui.TextMessageContent, false)})
		add(death{at: at(agui.ToolCallEnd, false)})
		add(death{at: at(agui.ToolCallResult, false), before: true})
		add(death{at: at(agui.TextMessageEnd, true)})
		all[0].next = true
		return all
	}
	times, err := strconv.Atoi(os.Getenv("CARREL_KILLS"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range times {
		for i := range whole {
			add(death{at: chat.Seq(i + 1), before: n%2 == 1})
		}
		add(death{every: true})
	}
	return all
}

// run has the run carried out and waits for its end.
func (k *kill) run(ctx context.Context, e stack.Endpoints, killer *killer) {
	p := testkit.NewUser(k.name, 1)
	if k.killed == nil {
		k.killed = make(chan struct{})
	}
	killer.setDeath(k.name, &k.death)
	if k.device, k.err = testkit.Dial(ctx, e, p, p.Threads[0], nil); k.err != nil {
		return
	}
	if _, k.err = k.device.Send(twoTools); k.err != nil {
		return
	}
	if k.next {
		select {
		case <-k.killed:
		case <-ctx.Done():
		}
		if _, k.err = k.device.Send("/say the next"); k.err != nil {
			return
		}
	}
	st, err := k.device.WaitFor(ctx, func(st client.State) bool {
		return testkit.Idle(st) && st.Seq > 0 && (!k.next || testkit.Says(st, agui.RoleAssistant, "the next"))
	})
	if err != nil {
		k.err = fmt.Errorf("wait for the end of the run: %w; the window shows %+v", err, st)
	}
}

// checkKills checks the result of each run in the table.
func checkKills(t *testing.T, ctx context.Context, e stack.Endpoints, all []*kill, whole []agui.Event) {
	t.Helper()
	stored, kept := testkit.Logs(t, ctx, e), testkit.CountNotes(t, ctx, e)
	var streams [][]json.RawMessage
	var table strings.Builder
	for _, k := range all {
		if k.err != nil {
			t.Errorf("%s, killed at %d: %v", k.name, k.at, k.err)
			continue
		}
		defer k.device.Close()
		log := stored[k.device.Thread]
		runs, events := 1, testkit.DecodeEvents(t, log.Raw(t))
		if k.next {
			runs = 2
		}
		if err := log.Check(k.device.Received(t, []*testkit.User{k.device.User}), runs); err != nil {
			t.Errorf("%s, killed at %d: %v", k.name, k.at, err)
			continue
		}
		row, err := k.row(events[:slices.IndexFunc(events, agui.Event.Terminal)+1], kept[k.name], whole)
		if err != nil {
			t.Errorf("%s, killed at %d: %v", k.name, k.at, err)
		}
		table.WriteString(row)
		streams = append(streams, log.Raw(t))
	}
	t.Logf("killed at | in the log then | ended | attempts | notes_save | notes kept | calculator | from the kill to "+
		"the end\n%s", table.String())
	testkit.VerifyWithAGUI(t, streams)
}

// row returns a line about the result of one run, and its faults.
func (k *kill) row(events []agui.Event, kept int, whole []agui.Event) (string, error) {
	var wrong []error
	last, attempts, results := events[len(events)-1], 1, map[string]string{}
	names := map[string]string{}
	for _, e := range events {
		switch e.Type {
		case agui.Custom:
			if e.Name == agui.CustomAttempt {
				attempts++
			}
		case agui.ToolCallStart:
			names[e.ToolCallID] = e.ToolCallName
		case agui.ToolCallResult:
			results[names[e.ToolCallID]] = strings.TrimSpace(results[names[e.ToolCallID]] + " " + outcomeOf(e))
		}
	}
	ended := string(last.Type) + " " + last.Code
	if last.Outcome != nil {
		ended += string(last.Outcome.Type)
	}
	saved := strings.Fields(results["notes_save"])
	switch {
	case k.every && (last.Code != "worker_died" || k.kills != 3):
		wrong = append(wrong, fmt.Errorf("killed %d times, the run ended with %s", k.kills, ended))
	case !k.every && (last.Outcome == nil || last.Outcome.Type != agui.OutcomeSuccess):
		wrong = append(wrong, fmt.Errorf("the run ended with %s", ended))
	}
	if kept > 1 || slices.Contains(saved, "ok") && kept != 1 {
		wrong = append(wrong, fmt.Errorf("the note was kept %d times, and the tool's outcomes are %v", kept, saved))
	}
	if !k.every && k.kills == 0 {
		return fmt.Sprintf("event %d was not reached: the run had %d events\n", k.at, len(events)),
			errors.Join(wrong...)
	}
	where := "each first record"
	if !k.every {
		mode := "after"
		if k.before {
			mode = "before"
		}
		where = fmt.Sprintf("%s %d %s", mode, k.at, whole[k.at-1].Type)
	}
	took := time.UnixMilli(last.Timestamp).Sub(k.when).Round(100 * time.Millisecond)
	if !k.every && took >= 20*time.Second {
		wrong = append(wrong, fmt.Errorf("the run ended %s after the kill: another worker waited for the lease", took))
	}
	return fmt.Sprintf("%s | %d | %s | %d | %s | %d | %s | %v\n", where, k.has, ended, attempts,
		results["notes_save"], kept, results["calculator"], max(took, 0)), errors.Join(wrong...)
}

// outcomeOf returns the outcome that a tool's result states.
func outcomeOf(e agui.Event) string {
	var m struct {
		Carrel struct{ Outcome string }
	}
	if json.Unmarshal(e.Metadata, &m) != nil {
		return "ok"
	}
	return m.Carrel.Outcome
}

package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// runsEach is how many runs each user has.
const runsEach = 2

// Five users have runs while DynamoDB conflicts, throttles and loses answers, frames overtake each other and no
// $disconnect arrives. Every run ends exactly once, and no thread has a gap.
func TestRuns_RandomFaults(t *testing.T) {
	campaign.Only(t, "it plays runs under random faults")
	t.Parallel()
	seed := testkit.Seed(t)
	s := kit.Start(t, stack.Config{Seed: seed, Reorder: 20 * time.Millisecond, LoseDisconnects: true,
		Minute: 2 * time.Second,
		Faults: proxy.Faults{Conflict: 0.05, Throttle: 0.05, Lose: 0.03, IndexLag: time.Second}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var users []*testkit.User
	for i := range 5 {
		users = append(users, testkit.NewUser(fmt.Sprintf("user-%02d", i), 1))
	}
	devices := make([]*testkit.Device, len(users))
	var talking sync.WaitGroup
	for i, u := range users {
		talking.Go(func() {
			// A handshake may be refused: a client's user repeats its first one.
			d, err := testkit.Dial(ctx, s.Endpoints(), u, u.Threads[0], nil)
			for tries := 1; err != nil && tries < 5; tries++ {
				d, err = testkit.Dial(ctx, s.Endpoints(), u, u.Threads[0], nil)
			}
			if err != nil {
				t.Errorf("%s: %v", u.Name, err)
				return
			}
			devices[i] = d
			if err := runAll(ctx, d); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Wait()
	if err := s.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		t.Fatal(err)
	}
	all := testkit.Logs(t, ctx, s.Endpoints())
	for _, d := range devices {
		if d == nil {
			continue
		}
		defer d.Close()
		log := all[d.Thread]
		if err := log.Check(d.Received(t, users), runsEach); err != nil || d.State().Seq != chat.Seq(len(log)) {
			t.Errorf("%s saw %d events of %d: %v", d.User.Name, d.State().Seq, len(log), err)
		}
	}
	checkFaultsMet(t, s)
}

// checkFaultsMet logs the requests to DynamoDB. The test fails unless each kind of fault struck a request.
func checkFaultsMet(t *testing.T, s *stack.Stack) {
	t.Helper()
	met := map[string]int{}
	for _, u := range s.DynamoDB().Usage() {
		t.Logf("%s: %d requests, %.1f read and %.1f write units, faults %v", u.Caller, u.Requests, u.ReadUnits,
			u.WriteUnits, u.Faults)
		for kind, n := range u.Faults {
			met[kind] += n
		}
	}
	if met["conflict"] == 0 || met["throttle"] == 0 || met["lost"] == 0 {
		t.Errorf("only the faults %v struck a request: this proves nothing", met)
	}
	if t.Failed() {
		log, err := os.ReadFile(s.Log())
		t.Logf("log (%v):\n%s", err, log)
	}
}

// runAll has a device's runs, one after the other. The client sends again what gets lost.
func runAll(ctx context.Context, d *testkit.Device) error {
	for n := range runsEach {
		end := fmt.Sprintf("end-of-%d %s", n, d.User.Secret)
		if _, err := d.Send("/stream 10 5\n/call calculator {\"expression\":\"6*7\"}\n/say " + end); err != nil {
			return fmt.Errorf("%s: send run %d: %w", d.User.Name, n, err)
		}
		err := d.WaitUntil(ctx, fmt.Sprintf("shows the end of run %d", n), func(st client.State) bool {
			return testkit.Idle(st) && testkit.Says(st, agui.RoleUser, end)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

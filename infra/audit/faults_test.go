package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// runsEach is how many runs each user has under faults.
const runsEach = 2

// Five users talk while DynamoDB conflicts, throttles and loses answers, frames overtake each other and no $disconnect
// comes: every run ends exactly once, and no thread has a gap.
func TestRunsUnderFaults(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if told := os.Getenv("SEED"); told != "" {
		var err error
		if seed, err = strconv.ParseUint(told, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d does it again", seed)
	s := startWith(t, stack.Config{Seed: seed, Reorder: 20 * time.Millisecond, LoseDisconnects: true, Minute: 2 * time.Second,
		Faults: proxy.Faults{Conflict: 0.05, Throttle: 0.05, Lose: 0.03, IndexLag: time.Second}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var everybody []*person
	for i := range 5 {
		everybody = append(everybody, &person{name: fmt.Sprintf("user-%02d", i), secret: "secret-" + rand.Text(),
			threads: []chat.ThreadID{chat.ThreadID(chat.NewID(time.Now()))}})
	}
	sockets := make([]*socket, len(everybody))
	var talking sync.WaitGroup
	for i, p := range everybody {
		talking.Go(func() {
			// A handshake may be refused: a client's first one is its user's to repeat.
			window, err := open(ctx, s.Endpoints(), p, p.threads[0])
			for tries := 1; err != nil && tries < 5; tries++ {
				window, err = open(ctx, s.Endpoints(), p, p.threads[0])
			}
			if err != nil {
				t.Errorf("%s: %v", p.name, err)
				return
			}
			sockets[i] = window
			if err := persist(ctx, window); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Wait()
	if err := s.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		t.Fatal(err)
	}
	all, err := logs(ctx, s.Endpoints())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		if s == nil {
			continue
		}
		defer s.Close()
		log := all[s.thread]
		if err := log.check(s.read(t, everybody), runsEach); err != nil || s.State().Seq != chat.Seq(len(log)) {
			t.Errorf("%s saw %d events of %d: %v", s.who.name, s.State().Seq, len(log), err)
		}
	}
	metFaults(t, s)
}

// metFaults logs what was asked of DynamoDB and wants each fault to have been met.
func metFaults(t *testing.T, s *stack.Stack) {
	t.Helper()
	met := map[string]int{}
	for _, u := range s.DynamoDB().Usage() {
		t.Logf("%s: %d requests, %.1f read and %.1f write units, faults %v", u.Caller, u.Requests, u.ReadUnits, u.WriteUnits, u.Faults)
		for kind, n := range u.Faults {
			met[kind] += n
		}
	}
	if met["conflict"] == 0 || met["throttle"] == 0 || met["lost"] == 0 {
		t.Errorf("only %v faults were met: that proves nothing", met)
	}
	if t.Failed() {
		log, err := os.ReadFile(s.Log())
		t.Logf("log (%v):\n%s", err, log)
	}
}

// persist has its runs, one after the other; the client sends again what gets lost.
func persist(ctx context.Context, s *socket) error {
	for n := range runsEach {
		end := fmt.Sprintf("end-of-%d %s", n, s.who.secret)
		if _, err := s.Send("/stream 10 5\n/call calculator {\"expression\":\"6*7\"}\n/say " + end); err != nil {
			return fmt.Errorf("%s: %w", s.who.name, err)
		}
		if st, err := s.WaitFor(ctx, func(st client.State) bool { return idle(st) && says(st, agui.RoleUser, end) }); err != nil {
			return fmt.Errorf("%s's run %d never ended: %w; the window shows %+v", s.who.name, n, err, st)
		}
	}
	return nil
}

// ended checks the order of a thread's events and that so many runs each ended exactly once, in whatever way.
func ended(events []agui.Event, want int) error {
	var order agui.Order
	started, open, over := map[chat.RunID]bool{}, false, 0
	for i, e := range events {
		if err := order.Check(e); err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
		switch {
		case e.Type == agui.RunStarted && (open || started[e.RunID]):
			return fmt.Errorf("event %d: run %s starts again, or inside of another", i+1, e.RunID)
		case e.Type == agui.RunStarted:
			started[e.RunID], open = true, true
		case e.Terminal() && !open:
			return fmt.Errorf("event %d: a run ends a second time", i+1)
		case e.Terminal():
			open, over = false, over+1
		}
	}
	if over != want || len(started) != want {
		return fmt.Errorf("%d runs started and %d ended, want %d", len(started), over, want)
	}
	return nil
}

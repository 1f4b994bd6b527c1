package attacks_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat/chattest"
)

// attackTimeout bounds one test of an attack.
const attackTimeout = 3 * time.Minute

// target is the stack that all tests attack. They run one after the other, because they count what the stack does.
// TestMain stops it.
var target attackedStack

// attackedStack is a stack with a victim who has everything that an attacker could look for.
type attackedStack struct {
	once       sync.Once
	state      string
	stack      *stack.Stack
	victim     *victim      // nil: the setup failed
	expiring   *testkit.Raw // an attacker's socket whose token expires soon
	err        error
	accounts   map[string]bool // keys of all accounts that ever attacked
	invocation int             // how often message was invoked without API Gateway
}

// attack is the attack of one test.
type attack struct {
	*testing.T
	*stack.Stack
	ctx    context.Context
	victim *victim

	mu       sync.Mutex
	sockets  []*testkit.Raw    // of the attackers
	accounts map[string]string // of the attackers: name by the hash that the logs have
	tried    int               // frames and handshakes
	refused  int               // connects that were answered with 401

	before     map[string]string  // the table's items
	view       []string           // what the victim is shown
	logStart   int                // offset in the stack's log
	metrics    map[string]float64 // of all functions
	violations float64            // the number that must be recorded
}

// newAttack prepares an attack. The test calls verify at its end.
func newAttack(t *testing.T) *attack {
	t.Helper()
	testkit.NeedEngine(t)
	target.once.Do(func() { target.start(t) })
	if target.err != nil || target.victim == nil {
		t.Fatalf("set up the attacked stack: no victim, %v", target.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), attackTimeout)
	t.Cleanup(cancel)
	s := &attack{T: t, Stack: target.stack, ctx: ctx, victim: target.victim, accounts: map[string]string{}}
	s.before = s.items()
	s.view = s.victim.view(t, ctx)
	s.logStart = len(testkit.Log(t, s.Stack))
	s.metrics = testkit.ReadOps(t, ctx, s.Endpoints()).Totals()
	t.Cleanup(func() { testkit.ReportProblems(t, s.Stack) })
	return s
}

// start starts the stack with no limits on frames and runs: each frame must be rejected for itself.
func (s *attackedStack) start(t *testing.T) {
	t.Helper()
	s.accounts = map[string]bool{}
	if s.state, s.err = os.MkdirTemp("", "carrel-attacks"); s.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), attackTimeout)
	defer cancel()
	s.stack, s.err = kit.Launch(ctx, stack.Config{State: s.state,
		Parameters: map[string]string{"RunSeconds": "840", "RunBurst": "1000"}})
	if s.err != nil {
		t.Fatalf("start the attacked stack: %v", s.err)
	}
	const name = "mallory-expires"
	e := s.stack.Endpoints()
	if s.expiring, _, s.err = testkit.DialRaw(ctx, e, name,
		testkit.Token(t, ctx, e, name, 5*time.Second)); s.err != nil {
		t.Fatal(s.err)
	}
	s.accounts[chattest.User(t, name).Key()] = true
	s.victim = newVictim(t, ctx, e)
}

func (s *attackedStack) stop() error {
	var err error
	if s.stack != nil {
		err = s.stack.Close()
	}
	return errors.Join(err, os.RemoveAll(s.state))
}

// items returns all items of the table.
func (s *attack) items() map[string]string {
	s.Helper()
	return testkit.Items(s.T, s.ctx, s.Endpoints())
}

// attacker opens a socket of an account, which is an attacker's from then on.
func (s *attack) attacker(name string) *testkit.Raw {
	s.Helper()
	return s.join(testkit.OpenRaw(s.T, s.ctx, s.Endpoints(), name))
}

// join adds a socket to those of the attackers.
func (s *attack) join(p *testkit.Raw) *testkit.Raw {
	u := chattest.User(s.T, p.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	target.accounts[u.Key()] = true
	s.accounts[u.Hash()] = p.User
	s.sockets = append(s.sockets, p)
	s.Cleanup(func() { _ = p.Conn.CloseNow() }) // it may be closed already
	return p
}

// request sends a frame and returns its answer. Only the test's own goroutine, or a goroutine that it waits for, may
// call it.
func (s *attack) request(p *testkit.Raw, frame []byte) testkit.Answer {
	s.Helper()
	s.countTry()
	a, err := p.Request(s.ctx, frame)
	if err != nil {
		s.Errorf("%s gets no answer to %.200q: %v", p.User, frame, err)
	}
	return a
}

// countTry counts one try of the attack.
func (s *attack) countTry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
}

// own gives an attacker a thread with a run that has ended.
func (s *attack) own(p *testkit.Raw) ids {
	s.Helper()
	own := newIDs()
	if a := s.request(p, own.runFrame("/say this is "+p.User)); a.Type != "accepted" {
		s.Fatalf("%s: its own run is answered with %s", p.User, a.Raw)
	}
	s.waitIdle(p)
	a := s.request(p, []byte(`{"type":"ping","threadId":"`+own.thread+`"}`))
	if own.epoch = a.Epoch; own.epoch == "" {
		s.Fatalf("%s has no thread of its own: %s", p.User, a.Raw)
	}
	return own
}

// waitIdle waits until an account has no active and no queued run.
func (s *attack) waitIdle(p *testkit.Raw) {
	s.Helper()
	testkit.Eventually(s.T, s.ctx, p.User+" has no runs", func() bool {
		a, err := p.Request(s.ctx, []byte(`{"type":"ping"}`))
		// An error: the socket is closed or the user is erased. If the test has failed, the runs may be the victim's.
		return err != nil || a.Type == "error" || a.Type == "pong" && len(a.Runs) == 0 || s.Failed()
	})
}

// scale multiplies a number of random or repeated tries with the size of the audit.
func scale(n int) int {
	factors := map[string]int{"normal": 3, "full": 10}
	return n * cmp.Or(factors[os.Getenv("AUDIT")], 1)
}

// byAccount returns the attackers' sockets by account.
func (s *attack) byAccount() map[string][]*testkit.Raw {
	all := map[string][]*testkit.Raw{}
	for _, p := range s.sockets {
		all[p.User] = append(all[p.User], p)
	}
	return all
}

// inParallel runs work for several values at once and waits for all of it.
func inParallel[V any](all []V, work func(V)) {
	var working sync.WaitGroup
	for _, v := range all {
		working.Go(func() { work(v) })
	}
	working.Wait()
}

// ofAttacker reports whether an item belongs to an account that ever attacked. Long names are hashed, and only
// attackers have long names.
func ofAttacker(key, text string) bool {
	pk, _, _ := strings.Cut(key, " ")
	parts := strings.Split(pk, "#")
	owner := ""
	if len(parts) > 1 {
		owner = parts[1]
	}
	if parts[0] == "C" { // the owner is an attribute of the item
		var item struct{ User string }
		if json.Unmarshal([]byte(text), &item) != nil {
			return false
		}
		owner = item.User
	}
	return target.accounts[owner] || strings.HasPrefix(owner, "h=")
}

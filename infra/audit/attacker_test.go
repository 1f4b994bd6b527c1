package audit_test

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat/chattest"
)

// attackTime bounds one test of the attacker, and its waits one by one.
const attackTime = 3 * time.Minute

// arena is the stack that the tests of the attacker share, with a victim on it who has everything that there is to find.
// Those tests run one after the other, because they count what the stack does. TestMain stops it.
var arena sharedArena

type sharedArena struct {
	once      sync.Once
	state     string
	stack     *stack.Stack
	victim    *victim // nil: it could not be set up
	past      *party  // an attacker's socket whose token is past soon
	err       error
	attackers map[string]bool // keys of all accounts that ever attacked
	invoked   int             // how often message was invoked without API Gateway
}

// siege is one test's attack on the arena.
type siege struct {
	*testing.T
	*stack.Stack
	ctx    context.Context
	victim *victim
	table  scanner

	mu       sync.Mutex
	parties  []*party
	accounts map[string]string // of the attackers: name by the hash that the logs have
	tried    int               // frames and handshakes
	refused  int               // connects that were answered with 401

	before     map[string]string  // the table's items
	view       []string           // what the victim sees of theirs
	from       int                // of the stack's log
	metrics    map[string]float64 // of all functions
	violations float64            // that are to be counted
}

// besiege prepares an attack. When the test ends it is judged: see judge.
func besiege(t *testing.T) *siege {
	t.Helper()
	needEngine(t)
	arena.once.Do(func() { arena.start(t) })
	if arena.err != nil || arena.victim == nil {
		t.Fatalf("the arena: no victim, %v", arena.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), attackTime)
	t.Cleanup(cancel)
	s := &siege{T: t, Stack: arena.stack, ctx: ctx, victim: arena.victim, table: newScanner(t, arena.stack.Endpoints()), accounts: map[string]string{}}
	s.before = s.table.items(ctx)
	s.view = s.victim.sees(t, ctx)
	s.from = len(s.log())
	s.metrics = s.counts()
	t.Cleanup(func() {
		if t.Failed() {
			complain(t, s.Stack)
		}
	})
	return s
}

func (a *sharedArena) start(t *testing.T) {
	t.Helper()
	a.attackers = map[string]bool{}
	if a.state, a.err = os.MkdirTemp("", "carrel-attacker"); a.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), attackTime)
	defer cancel()
	a.stack, a.err = stack.Start(ctx, stack.Config{Root: "../..", State: a.state, DynamoDB: os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"),
		Parameters: map[string]string{"RunSeconds": "840", "RunBurst": "1000", "FrameBurst": "1000000"}}) // each frame is to be refused for itself
	if a.err != nil {
		t.Fatalf("starting the stack: %v", a.err)
	}
	const name = "mallory-is-past"
	b := &bench{T: t, ctx: ctx, state: a.state, stack: a.stack}
	if a.past, a.err = dialParty(ctx, a.stack.Endpoints().WebSocket, name, b.token(t, name, "5")); a.err != nil {
		t.Fatal(a.err)
	}
	a.attackers[chattest.User(t, name).Key()] = true
	a.victim = newVictim(t, ctx, a.stack.Endpoints())
}

func (a *sharedArena) stop() error {
	var err error
	if a.stack != nil {
		err = a.stack.Close()
	}
	return cmp.Or(err, os.RemoveAll(a.state))
}

// attacker opens a socket of an account, which is one of the attackers' from then on.
func (s *siege) attacker(name string) *party {
	s.Helper()
	token, err := signIn(s.ctx, s.Endpoints().Token, name)
	if err != nil {
		s.Fatal(err)
	}
	p, err := dialParty(s.ctx, s.Endpoints().WebSocket, name, token)
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	return s.join(p)
}

// join makes a socket one of the attackers'.
func (s *siege) join(p *party) *party {
	u := chattest.User(s.T, p.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	arena.attackers[u.Key()] = true
	s.accounts[u.Hash()] = p.name
	s.parties = append(s.parties, p)
	s.Cleanup(func() { _ = p.conn.CloseNow() }) // it may be closed already
	return p
}

// ask sends a frame and waits for its answer; only the test's own goroutine or one that it waits for may.
func (s *siege) ask(p *party, frame []byte) answer {
	s.Helper()
	s.attempt()
	a, err := p.ask(s.ctx, frame)
	if err != nil {
		s.Errorf("%s is not answered to %.200q: %v", p.name, frame, err)
	}
	return a
}

// attempt counts one try.
func (s *siege) attempt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
}

// own gives an attacker a thread with a run that has ended.
func (s *siege) own(p *party) holdings {
	s.Helper()
	h := newHoldings()
	if a := s.ask(p, h.asks("/say this is "+p.name)); a.Type != "accepted" {
		s.Fatalf("%s: its own run is answered with %s", p.name, a.raw)
	}
	s.idle(p)
	a := s.ask(p, []byte(`{"type":"ping","threadId":"`+h.thread+`"}`))
	h.epoch = a.Epoch
	if h.epoch == "" {
		s.Fatalf("%s has no thread of its own: %s", p.name, a.raw)
	}
	return h
}

// idle waits until nothing of an account runs or waits.
func (s *siege) idle(p *party) {
	s.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		a, err := p.ask(s.ctx, []byte(`{"type":"ping"}`))
		if err != nil || a.Type == "error" || a.Type == "pong" && len(a.Runs) == 0 || s.Failed() {
			return // or its socket is closed, its user is erased, or what runs may be the victim's
		}
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.Fatalf("%s still has %v", p.name, a.Runs)
		}
	}
}

// size scales what is random or many with the size of the audit.
func size(small int) int {
	switch os.Getenv("AUDIT") {
	case "normal":
		return 3 * small
	case "full":
		return 10 * small
	}
	return small
}

// byName are the attackers' sockets by account.
func (s *siege) byName() map[string][]*party {
	all := map[string][]*party{}
	for _, p := range s.parties {
		all[p.name] = append(all[p.name], p)
	}
	return all
}

// besides runs work on several sockets at once and waits for all of it.
func besides[P any](all []P, work func(P)) {
	var working sync.WaitGroup
	for _, p := range all {
		working.Go(func() { work(p) })
	}
	working.Wait()
}

// attackers tells whether an item is one of an account's that ever attacked: all else is somebody else's. Long names are
// hashed, and only attackers have such.
func attackers(key, text string) bool {
	pk, _, _ := strings.Cut(key, " ")
	parts := strings.Split(pk, "#")
	owner := ""
	if len(parts) > 1 {
		owner = parts[1]
	}
	if parts[0] == "C" { // the owner stands in the item
		var item struct{ User string }
		if json.Unmarshal([]byte(text), &item) != nil {
			return false
		}
		owner = item.User
	}
	return arena.attackers[owner] || strings.HasPrefix(owner, "h=")
}

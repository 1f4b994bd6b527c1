package store_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// model is one schedule. It has a table, a clock and actors. One actor at a time executes, from one request to the
// next. All random choices come from the seed, so a schedule can be repeated.
type model struct {
	seed  uint64
	rng   *rand.Rand
	ctx   context.Context
	user  chat.User
	db    *dynamodb.Client // not scheduled
	name  string           // the name of the table
	store *store.Store     // the store of the actors
	slow  *store.Store     // the store of turns whose clock is slow

	limits  chat.Limits
	rates   rates
	now     time.Time
	ids     int
	actors  []*actor
	all     sync.WaitGroup
	stopped chan struct{} // receives when the executing actor waits with its next request, or has ended
	calm    bool          // no more faults happen

	asks     []ask                        // the remaining actions of users
	invokes  []invoke                     // events of turn that are not delivered yet
	failures []failure                    // failure records that are not delivered yet
	events   int                          // the number of events so far
	erases   []store.Erasure              // erasures that are not delivered yet
	more     int                          // how many more runs users may send in response to interrupts
	policy   map[chat.RunID]chat.WhenBusy // the policy of each run

	judge // the checks
}

// rates holds the probabilities of each kind of fault, in thousandths. They differ between schedules.
type rates struct{ die, lose, freeze, twice, never, slow int }

// behind is the delay of a slow clock. A lease that is given by a slow clock has expired at once.
const behind = 2 * time.Minute

// verdict decides the result of the request that an actor waits with.
type verdict int

const (
	proceed      verdict = iota
	loseResponse         // the request is executed, its response is lost, and the SDK retries
	dieBefore            // the process ends before the request is executed
	dieAfter             // the process ends after the request is executed
)

// actor is one process: a request of a device, a turn or a sweep.
type actor struct {
	m      *model
	name   string
	ctx    context.Context
	die    context.CancelFunc
	rng    *rand.Rand
	wake   chan verdict
	at     string // the request that it waits with
	writes bool   // the request is a write
	asleep int    // frozen until this step
	born   time.Time
	steps  int // the number of its requests
	dead   bool
	over   bool
	lost   int  // how many responses of the current request were lost
	forget bool // a retry has a new client token
	store  *store.Store
	delay  time.Duration     // how slow its clock is
	event  invoke            // the event of a turn
	record failure           // the failure record that invoked a sweep
	since  time.Time         // the time of its last claim
	did    map[string]string // the effects of its writes, with the nonce of the run afterwards
	check  *check            // of the ownership of its connection; nil: it has none to check
}

type actorKey struct{}

// start starts a new actor, which executes up to its first request.
func (m *model) start(name string, do func(a *actor)) {
	a := &actor{
		m: m, name: fmt.Sprintf("%s/%d", name, len(m.actors)),
		rng:   rand.New(rand.NewPCG(m.seed, uint64(len(m.actors)+1))),
		store: m.store, born: m.now, wake: make(chan verdict), did: map[string]string{},
	}
	if strings.HasPrefix(name, "turn ") && m.rng.IntN(1000) < m.rates.slow {
		a.store, a.delay = m.slow, behind
		m.note("%s has a slow clock", a.name)
	}
	a.ctx, a.die = context.WithCancel(context.WithValue(m.ctx, actorKey{}, a))
	m.actors = append(m.actors, a)
	m.all.Go(func() {
		defer func() { a.over = true; a.die(); m.died(a); m.stopped <- struct{}{} }()
		do(a)
	})
	<-m.stopped
}

// now returns the time by the actor's clock.
func (a *actor) now() time.Time { return a.m.now.Add(-a.delay) }

// resume applies a verdict to the request of an actor, which then executes up to its next request.
func (m *model) resume(a *actor, v verdict) {
	if v != proceed {
		m.note("%s: %s", a.name, [...]string{loseResponse: "the response will be lost", dieBefore: "dies",
			dieAfter: "dies after the request"}[v])
	}
	a.wake <- v
	<-m.stopped
}

// lifetime is the time limit of a Lambda invocation. An actor that is frozen for longer never wakes.
const lifetime = 15 * time.Minute

// awake returns the actors that have not ended and are not frozen.
func (m *model) awake() (as []*actor) {
	for _, a := range m.actors {
		if !a.over && a.asleep <= m.step {
			as = append(as, a)
		}
	}
	return as
}

// chaos runs the part of a schedule in which every kind of fault may happen.
func (m *model) chaos(steps int) {
	for ; m.step < steps && m.failed == ""; m.step++ {
		m.act()
	}
}

func (m *model) act() {
	switch n := m.rng.IntN(100); {
	case n < 8 && len(m.asks) > 0:
		m.ask(m.rng.IntN(min(2, len(m.asks)))) // nearly in order
	case n < 25 && m.pending() > 0:
		m.deliver(m.rng.IntN(m.pending()))
	case n < 29:
		m.advance([]time.Duration{time.Second, 7 * time.Second, 21 * time.Second, 32 * time.Second, 70 * time.Second,
			7 * time.Minute}[m.rng.IntN(6)])
	case n < 32:
		m.start("sweep", sweep)
	default:
		if as := m.awake(); len(as) > 0 {
			m.stepActor(as[m.rng.IntN(len(as))])
		}
	}
}

// stepActor lets an actor continue with its request, or applies a fault.
func (m *model) stepActor(a *actor) {
	harm := func(rate int) bool { return !m.calm && m.rng.IntN(1000) < rate }
	switch {
	case m.now.Sub(a.born) > lifetime:
		m.resume(a, dieBefore)
	case harm(m.rates.freeze):
		a.asleep = m.step + 5 + m.rng.IntN(60)
		m.note("%s: freezes at %s", a.name, a.at)
		if m.rng.IntN(2) == 0 { // long enough for others to take over
			m.advance(32 * time.Second)
			m.start("sweep", sweep)
		}
	case harm(m.rates.die):
		m.resume(a, []verdict{dieBefore, dieAfter}[m.rng.IntN(2)])
	case a.writes && a.lost == 0 && harm(m.rates.lose):
		a.forget = m.rng.IntN(2) == 0
		m.resume(a, loseResponse)
	default:
		m.resume(a, proceed)
	}
}

func (m *model) advance(d time.Duration) {
	m.now = m.now.Add(d)
	m.note("the clock advances by %v", d)
}

// settle lets all work end without further faults. Frozen actors wake before or after the sweeps.
func (m *model) settle() {
	m.calm = true
	for _, a := range m.actors {
		if a.asleep > m.step {
			a.asleep = math.MaxInt
		}
	}
	for m.failed == "" && len(m.asks) > 0 {
		m.ask(0)
		m.calmDown()
	}
	if m.rng.IntN(2) == 0 {
		m.wakeAll()
	}
	m.sweeps("frozen actors asleep")
	m.wakeAll()
	m.sweeps("all actors awake")
	for _, d := range []time.Duration{65 * time.Minute, 24 * time.Hour} { // the runs that are queued behind interrupts
		if m.failed == "" && m.unfinished() != "" {
			m.advance(d)
			m.sweeps("after " + d.String())
		}
	}
	if m.failed == "" && m.unfinished() != "" {
		m.fail("after a day some work has not ended: %s", m.unfinished())
	}
	if m.failed == "" && len(m.before.erasures) > 0 {
		m.advance(21 * time.Minute)
		m.sweeps("erasing")
		m.sweeps("erasing")
	}
}

// sweeps runs sweep every minute until all work has ended.
func (m *model) sweeps(when string) {
	for range 8 + 6*len(m.policy) { // a run that was queued for five minutes is due every five minutes
		m.calmDown()
		m.advance(61 * time.Second)
		m.start("sweep", sweep)
		m.calmDown()
		if m.failed != "" || m.finished() {
			return
		}
	}
	if m.onlyAwaitingInput() {
		return
	}
	m.fail("after many sweeps (%s) some work has not ended: %s", when, m.unfinished())
}

func (m *model) wakeAll() {
	for _, a := range m.actors {
		a.asleep = 0
	}
	m.calmDown()
}

// calmDown lets all awake actors run to their end, and delivers all pending events.
func (m *model) calmDown() {
	for ; m.failed == ""; m.step++ {
		as := m.awake()
		switch {
		case len(as) > 0:
			m.stepActor(as[m.rng.IntN(len(as))])
		case m.pending() > 0:
			m.deliver(0)
		default:
			return
		}
	}
}

// end stops the actors that still wait.
func (m *model) end() {
	for _, a := range m.actors {
		for !a.over {
			a.die()
			a.dead = true
			a.wake <- dieBefore
			<-m.stopped
		}
	}
	m.all.Wait()
}

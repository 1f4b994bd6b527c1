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

// model is one schedule: a table, a clock, and actors of which one at a time goes on, from one request to the next. All
// that it decides comes from its seed, so a schedule can be repeated.
type model struct {
	seed  uint64
	rng   *rand.Rand
	ctx   context.Context
	user  chat.User
	db    *dynamodb.Client // past the scheduler
	name  string           // of the table
	store *store.Store     // the user's, of the actors
	slow  *store.Store     // the same, of turns whose clock is behind

	limits  chat.Limits
	rates   rates
	now     time.Time
	ids     int
	actors  []*actor
	all     sync.WaitGroup
	stopped chan struct{} // the actor that was let go waits again, or is over
	calm    bool          // there are no more faults

	asks     []ask                        // what people have still to do
	invokes  []invoke                     // turns that somebody asked for and that have not come yet
	failures []failure                    // failure records that have not come yet
	events   int                          // that Lambda has taken
	erases   []store.Erasure              // the same
	more     int                          // runs that people may still ask for when they are asked something
	policy   map[chat.RunID]chat.WhenBusy // of the runs that people ask for

	judge // what was seen
}

// rates are how often, in a thousand, a schedule does harm. They differ from schedule to schedule.
type rates struct{ die, lose, freeze, twice, never, slow int }

// behind is by how much a slow clock is: a lease that it gives is past at once.
const behind = 2 * time.Minute

// verdict is what becomes of the request that an actor waits with.
type verdict int

const (
	goOn       verdict = iota
	loseAnswer         // it is done, its answer is lost, and the SDK repeats it
	dieBefore          // the process ends and the request was not done
	dieAfter           // the process ends and the request was done
)

// actor is one process: a device's request, a turn, a sweep.
type actor struct {
	m      *model
	name   string
	ctx    context.Context
	die    context.CancelFunc
	rng    *rand.Rand
	wake   chan verdict
	at     string // the request that it waits with
	writes bool   // it is a write
	asleep int    // until this step
	born   time.Time
	steps  int // its requests
	dead   bool
	over   bool
	lost   int  // answers of the request that it waits with
	forget bool // the engine forgets the client token of what is repeated
	store  *store.Store
	late   time.Duration     // its clock is behind by this
	event  invoke            // of a turn: what it was invoked for
	record failure           // of a sweep that was invoked by one
	since  time.Time         // its last claim was tried
	did    map[string]string // what its writes have done, with the run's nonce after it
}

type actorKey struct{}

// start lets a new actor come to its first request.
func (m *model) start(name string, do func(a *actor)) {
	a := &actor{
		m: m, name: fmt.Sprintf("%s/%d", name, len(m.actors)), rng: rand.New(rand.NewPCG(m.seed, uint64(len(m.actors)+1))),
		store: m.store, born: m.now, wake: make(chan verdict), did: map[string]string{},
	}
	if strings.HasPrefix(name, "turn ") && m.rng.IntN(1000) < m.rates.slow {
		a.store, a.late = m.slow, behind
		m.note("%s has a clock that is behind", a.name)
	}
	a.ctx, a.die = context.WithCancel(context.WithValue(m.ctx, actorKey{}, a))
	m.actors = append(m.actors, a)
	m.all.Go(func() {
		defer func() { a.over = true; a.die(); m.died(a); m.stopped <- struct{}{} }()
		do(a)
	})
	<-m.stopped
}

// now is the actor's time.
func (a *actor) now() time.Time { return a.m.now.Add(-a.late) }

// resume lets an actor do its request and come to the next.
func (m *model) resume(a *actor, v verdict) {
	if v != goOn {
		m.note("%s: %s", a.name, [...]string{loseAnswer: "its answer will be lost", dieBefore: "dies", dieAfter: "dies after the next"}[v])
	}
	a.wake <- v
	<-m.stopped
}

// lifetime is Lambda's: whoever is frozen for longer never wakes up.
const lifetime = 15 * time.Minute

// awake are the actors that may go on.
func (m *model) awake() (as []*actor) {
	for _, a := range m.actors {
		if !a.over && a.asleep <= m.step {
			as = append(as, a)
		}
	}
	return as
}

// chaos is the part of a schedule in which everything may happen.
func (m *model) chaos(steps int) {
	for ; m.step < steps && m.failed == ""; m.step++ {
		m.act()
	}
}

func (m *model) act() {
	switch n := m.rng.IntN(100); {
	case n < 8 && len(m.asks) > 0:
		m.ask(m.rng.IntN(min(2, len(m.asks)))) // nearly in order
	case n < 25 && m.coming() > 0:
		m.deliver(m.rng.IntN(m.coming()))
	case n < 29:
		m.advance([]time.Duration{time.Second, 7 * time.Second, 21 * time.Second, 32 * time.Second, 70 * time.Second, 7 * time.Minute}[m.rng.IntN(6)])
	case n < 32:
		m.start("sweep", sweep)
	default:
		if as := m.awake(); len(as) > 0 {
			m.go1(as[m.rng.IntN(len(as))])
		}
	}
}

// go1 lets an actor go on, or does it harm.
func (m *model) go1(a *actor) {
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
		m.resume(a, loseAnswer)
	default:
		m.resume(a, goOn)
	}
}

func (m *model) advance(d time.Duration) {
	m.now = m.now.Add(d)
	m.note("the clock goes on by %v", d)
}

// settle lets everything come to its end without further faults. Who is frozen wakes up before or after the sweeps.
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
	m.sweeps("the frozen asleep")
	m.wakeAll()
	m.sweeps("all awake")
	for _, d := range []time.Duration{65 * time.Minute, 24 * time.Hour} { // what waits behind questions
		if m.failed == "" && m.left() != "" {
			m.advance(d)
			m.sweeps("after " + d.String())
		}
	}
	if m.failed == "" && m.left() != "" {
		m.fail("after a day something is not over: %s", m.left())
	}
	if m.failed == "" && len(m.was.erasures) > 0 {
		m.advance(21 * time.Minute)
		m.sweeps("erasing")
		m.sweeps("erasing")
	}
}

// sweeps makes sweep come each minute until nothing is left to do.
func (m *model) sweeps(when string) {
	for range 8 + 6*len(m.policy) { // a run that has been queued for five minutes is looked at each five
		m.calmDown()
		m.advance(61 * time.Second)
		m.start("sweep", sweep)
		m.calmDown()
		if m.failed != "" || m.quiet() {
			return
		}
	}
	if m.resigned() {
		return
	}
	m.fail("after many sweeps (%s) something is not over: %s", when, m.left())
}

func (m *model) wakeAll() {
	for _, a := range m.actors {
		a.asleep = 0
	}
	m.calmDown()
}

// calmDown lets whoever is awake come to the end, and delivers what is invoked.
func (m *model) calmDown() {
	for ; m.failed == ""; m.step++ {
		as := m.awake()
		switch {
		case len(as) > 0:
			m.go1(as[m.rng.IntN(len(as))])
		case m.coming() > 0:
			m.deliver(0)
		default:
			return
		}
	}
}

// end stops whoever still waits.
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

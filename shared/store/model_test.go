package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// TestModel runs the store through random schedules. In a schedule processes die, freeze and wake, responses and
// invocations are lost or repeated, and users cancel, delete and send runs again. After each write the test compares
// the table with docs/data.md. SCHEDULES sets the number of schedules and FOR the longest duration. SEED repeats the
// schedule of that seed and prints its steps.
func TestModel(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		p := &proof{t: t, url: string(o), user: chattest.User(t, "alice"), counts: map[string]int{}}
		seed := uint64(time.Now().UnixNano())
		if s := os.Getenv("SEED"); s != "" {
			seed = uint64(integer(t, s))
			p.schedule(seed)
			return
		}
		p.schedules(seed)
	})
}

// proof runs many schedules and adds up their counts.
type proof struct {
	t      *testing.T
	url    string
	user   chat.User
	done   atomic.Int64
	failed atomic.Bool

	mu     sync.Mutex
	counts map[string]int
}

func integer(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// schedules runs the requested number of schedules, four at a time, until one fails.
func (p *proof) schedules(seed uint64) {
	count, limit := int64(15), time.Duration(0)
	if campaign.Running() {
		count = 60
	}
	if s := os.Getenv("SCHEDULES"); s != "" {
		count = integer(p.t, s)
	}
	if s := os.Getenv("FOR"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			p.t.Fatal(err)
		}
		count, limit = 1<<62, d
	}
	start := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := next.Add(1); n <= count && !p.failed.Load() && (limit == 0 ||
				time.Since(start) < limit); n = next.Add(1) {
				p.schedule(seed + uint64(n))
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	p.t.Logf("%d schedules from seed %d in %.1f s: %.0f a second", p.done.Load(), seed, took.Seconds(),
		float64(p.done.Load())/took.Seconds())
	for _, what := range slices.Sorted(maps.Keys(p.counts)) {
		p.t.Logf("%8d %s", p.counts[what], what)
	}
}

// schedule runs the schedule of one seed.
func (p *proof) schedule(seed uint64) {
	m, err := newModel(p.t.Context(), p, seed)
	if err != nil {
		p.t.Error(err)
		p.failed.Store(true)
		return
	}
	m.script()
	m.chaos(40 + m.rng.IntN(160))
	m.settle()
	if m.failed == "" {
		m.final()
	}
	m.end()
	p.done.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	m.counts["steps"] += m.step
	for what, n := range m.counts {
		p.counts[what] += n
	}
	if _, err := m.db.DeleteTable(p.t.Context(), &dynamodb.DeleteTableInput{TableName: &m.name}); err != nil {
		p.t.Errorf("delete a table: %v", err)
	}
	if m.failed != "" {
		p.failed.Store(true)
		p.t.Errorf("%s\nschedule %d; repeat it: SEED=%d go test -run TestModel ./shared/store\n%s", m.failed,
			p.done.Load(), seed, strings.Join(m.notes, "\n"))
	} else if os.Getenv("SEED") != "" {
		p.t.Log(strings.Join(m.notes, "\n"))
	}
}

func newModel(ctx context.Context, p *proof, seed uint64) (*model, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	m := &model{
		seed: seed, rng: mathrand.New(mathrand.NewPCG(seed, 0)), ctx: ctx, user: p.user, name: "carrel-" + rand.Text(),
		now: time.UnixMilli(1_800_000_000_000), stopped: make(chan struct{}), policy: map[chat.RunID]chat.WhenBusy{},
	}
	m.judge = judge{before: newState(), accepted: map[chat.RunID]bool{}, logged: map[chat.RunID][]loggedEvent{},
		statuses: map[chat.RunID]chat.ThreadStatus{},
		counts:   map[string]int{}}
	m.db = modelClient(p.url, bodyCopier{transport})
	m.limits = chat.DefaultLimits()
	m.limits.Runs, m.limits.Queued, m.more = 1+m.rng.IntN(2), 2+m.rng.IntN(2), m.rng.IntN(2)*m.rng.IntN(8)
	m.limits.Attempts = 1 + m.rng.IntN(3)
	m.rates = rates{
		die: m.rng.IntN(2) * m.rng.IntN(60), lose: m.rng.IntN(2) * m.rng.IntN(300),
		freeze: m.rng.IntN(2) * m.rng.IntN(80),
		twice:  m.rng.IntN(2) * m.rng.IntN(400), never: m.rng.IntN(2) * m.rng.IntN(300),
		slow: m.rng.IntN(2) * m.rng.IntN(300),
	}
	table := func(delay time.Duration) *store.Table {
		return store.New(modelClient(p.url, scheduledTransport{transport}), store.Config{
			Name: m.name, Limits: m.limits, Now: func() time.Time { return m.now.Add(-delay) },
			NewID:  func() string { m.ids++; return fmt.Sprint("n", m.ids) },
			Worker: func(ctx context.Context) string { return ctx.Value(actorKey{}).(*actor).event.id },
		})
	}
	var err, also error
	m.store, err = table(0).For(m.user)
	m.slow, also = table(behind).For(m.user)
	if err = errors.Join(err, also); err != nil {
		return nil, err
	}
	return m, storetest.CreateTable(ctx, m.db, m.name)
}

// script chooses the actions of users in a schedule.
func (m *model) script() {
	threads := []chat.ThreadID{"t1", "t2", "t3"}[:1+m.rng.IntN(3)]
	for range 2 + m.rng.IntN(5) {
		asked := m.newRun(threads[m.rng.IntN(len(threads))])
		run := asked.Run
		for range 1 + m.rng.IntN(5)/4 {
			m.asks = append(m.asks, ask{"run " + string(run), func(a *actor) { admit(a, asked) }})
		}
		if m.rng.IntN(5) == 0 {
			m.asks = append(m.asks, ask{"cancel " + string(run), func(a *actor) { cancel(a, run) }})
		}
	}
	if m.rng.IntN(3) == 0 {
		thread := threads[m.rng.IntN(len(threads))]
		at := m.rng.IntN(len(m.asks))
		m.asks = slices.Insert(m.asks, at, ask{"delete " + string(thread), func(a *actor) { remove(a, thread) }})
	}
}

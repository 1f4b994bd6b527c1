package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"slices"
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

// TestModelSessions drives one user's connections through random interleavings of connects, hellos, disconnects,
// sign-outs, bars and erasures, request by request. Answers are lost and processes die. After every write it checks the
// table: no more rows than the limit, one entry for each row, and no row of a session that was ended. SCHEDULES is how
// many interleavings there are; SEED repeats the one of that seed and prints its steps.
func TestModelSessions(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		w := storetest.NewWorld(t, o.client(nil))
		if s := os.Getenv("SEED"); s != "" {
			m := newVisits(t, o, w, uint64(integer(t, s)))
			m.play()
			t.Log(strings.Join(m.notes, "\n"))
			return
		}
		count, seed, began := int64(60), uint64(time.Now().UnixNano()), time.Now()
		if campaign.Running() {
			count = 200
		}
		if s := os.Getenv("SCHEDULES"); s != "" {
			count = integer(t, s)
		}
		var next atomic.Int64
		var all sync.WaitGroup
		var mu sync.Mutex
		counts := map[string]int{}
		for range 4 {
			all.Go(func() {
				for n := next.Add(1); n <= count && !t.Failed(); n = next.Add(1) {
					m := newVisits(t, o, w, seed+uint64(n))
					m.play()
					mu.Lock()
					for what, n := range m.counts {
						counts[what] += n
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		t.Logf("%d interleavings from seed %d in %.1f s", count, seed, time.Since(began).Seconds())
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			t.Logf("%8d %s", counts[what], what)
		}
		for _, what := range []string{"writes", "connect", "hello: replaced", "hello: signed out", "evicted",
			"responses lost", "deaths", "full"} {
			if counts[what] == 0 && count >= 200 {
				t.Errorf("no %s in %d interleavings: the test proves too little", what, count)
			}
		}
	})
}

// visits is one interleaving of processes. One process at a time executes, from one request to the next.
type visits struct {
	t       *testing.T
	seed    uint64
	rng     *mathrand.Rand
	now     time.Time
	user    chat.User
	limits  chat.Limits
	store   *store.Store
	db      *dynamodb.Client // not scheduled
	table   string
	signIns map[chat.ConnectionID]time.Time
	waiting []*visit
	notes   []string
	counts  map[string]int

	before     sessionsState // the stored state after the previous write
	everBarred bool          // the user was barred at some time
	failed     bool
}

// visit is one process.
type visit struct {
	m       *visits
	name    string
	own     chat.ConnectionID // the connection that it acts on
	hello   bool
	do      func(ctx context.Context, v *visit) error
	wake    chan verdict
	stopped chan struct{} // receives when it waits with a request
	ended   chan error
	die     context.CancelFunc
	dead    bool
	lost    int
}

func newVisits(t *testing.T, o opener, w *storetest.World, seed uint64) *visits {
	m := &visits{
		t: t, seed: seed, rng: mathrand.New(mathrand.NewPCG(seed, 1)), now: time.UnixMilli(1_800_000_000_000), db: w.DB,
		table: w.Name,
		user:  chattest.User(t, fmt.Sprint("visitor-", seed)), signIns: map[chat.ConnectionID]time.Time{},
		counts: map[string]int{},
	}
	m.limits = chat.DefaultLimits()
	m.limits.Connections = 2 + m.rng.IntN(9)
	table := store.New(modelClient(string(o), visitTransport{&http.Transport{MaxIdleConnsPerHost: 4}}), store.Config{
		Name: w.Name, Limits: m.limits, Now: func() time.Time { return m.now },
	})
	var err error
	if m.store, err = table.For(m.user); err != nil {
		t.Fatal(err)
	}
	return m
}

// play runs the processes in random order, one request at a time, until all have ended.
func (m *visits) play() {
	todo := m.plan()
	for len(todo)+len(m.waiting) > 0 && !m.failed {
		if len(todo) > 0 && (len(m.waiting) == 0 || m.rng.IntN(3) == 0) {
			m.start(todo[0])
			todo = todo[1:]
			continue
		}
		i := m.rng.IntN(len(m.waiting))
		v := m.waiting[i]
		m.waiting = slices.Delete(m.waiting, i, i+1)
		fate := proceed
		switch dice := m.rng.IntN(100); {
		case dice < 6 && v.lost < 2:
			fate = loseResponse
		case dice < 8:
			fate = dieBefore
		case dice < 10:
			fate = dieAfter
		}
		v.wake <- fate
		m.await(v)
	}
	for _, v := range m.waiting {
		v.dead = true
		v.die()
		v.wake <- dieBefore
		<-v.ended
	}
	m.counts["interleavings"]++
}

func (m *visits) start(v *visit) {
	if m.rng.IntN(12) == 0 {
		// up to 8000 s, longer than the life of a socket
		m.now = m.now.Add(time.Duration(m.rng.IntN(8000)) * time.Second)
	}
	m.now = m.now.Add(time.Duration(m.rng.IntN(3000)) * time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithValue(m.t.Context(), visitKey{}, v))
	v.m, v.wake, v.stopped, v.ended, v.die = m, make(chan verdict), make(chan struct{}), make(chan error), cancel
	go func() {
		defer cancel()
		v.ended <- v.do(ctx, v)
	}()
	m.await(v)
}

// await waits until a process stops at its next request, or has ended.
func (m *visits) await(v *visit) {
	select {
	case <-v.stopped:
		m.waiting = append(m.waiting, v)
	case err := <-v.ended:
		m.judgeOutcome(v, err)
	}
}

type visitKey struct{}

// visitTransport is the transport of the processes. Each request waits until the scheduler lets it continue.
type visitTransport struct{ next http.RoundTripper }

func (d visitTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	v := req.Context().Value(visitKey{}).(*visit)
	c, err := readCall(req)
	if err != nil {
		return nil, err
	}
	if v.dead {
		return nil, context.Canceled
	}
	if v.lost > 0 && v.m.rng.IntN(2) == 0 {
		c.forgetToken()
	}
	v.stopped <- struct{}{}
	fate := <-v.wake
	if fate == dieBefore {
		v.dead = true
		v.m.counts["deaths"]++
		v.die()
		return nil, context.Canceled
	}
	res, err := d.next.RoundTrip(c.request(req))
	if err != nil {
		return nil, err
	}
	v.m.note("%s: %s %d", v.name, c.op, res.StatusCode)
	if c.writes() && res.StatusCode == http.StatusOK {
		v.m.look(v)
	}
	switch {
	case fate == dieAfter:
		v.dead = true
		v.m.counts["deaths"]++
		v.die()
		return nil, errors.Join(context.Canceled, res.Body.Close())
	case fate == loseResponse && res.StatusCode == http.StatusOK:
		v.lost++
		v.m.counts["responses lost"]++
		return nil, fmt.Errorf("the response was lost: %v", res.Body.Close())
	}
	v.lost = 0
	return res, nil
}

func (m *visits) note(format string, args ...any) {
	m.notes = append(m.notes, m.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (m *visits) fail(format string, args ...any) {
	m.failed = true
	m.t.Errorf("%s\nrepeat it: SEED=%d go test -v -run TestModelSessions ./shared/store\n%s",
		fmt.Sprintf(format, args...), m.seed, strings.Join(m.notes, "\n"))
}

// TestModelSessions_Found repeats the interleavings that have found a fault.
func TestModelSessions_Found(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		w := storetest.NewWorld(t, o.client(nil))
		for _, seed := range []uint64{
			1796101190128296601, // a hello pruned an entry that another hello had written again since it was read
		} {
			newVisits(t, o, w, seed).play()
		}
	})
}

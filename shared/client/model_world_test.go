package client_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"carrel/shared/chat"
)

// world is one schedule of the model that testdata/scenarios/README.md describes: simulated time, the user's tabs, each
// a real View, and the network and backend between them. The seed decides everything that happens.
type world struct {
	rnd     *rand.Rand
	now     time.Duration
	todo    agenda
	order   int
	steps   int
	fair    bool // the faults are off
	traits  traits
	lapse   string // the server's rule that is omitted
	server  *backend
	tabs    []*tab
	down    time.Duration // until then no socket opens
	tries   map[time.Duration]int
	sends   int
	failed  string
	verbose bool
	notes   []string
}

// traits says how often each fault and action occurs in one schedule, in percent unless a comment says otherwise. Each
// fault is absent from half of the schedules.
type traits struct {
	tabs, threads                         int // their numbers
	lost, late, twice, broken, parts      int // of the messages
	functions, deaths                     int // of the frames, of the records
	cuts, halves, outages, handovers      int // of the steps
	deletes, retention, switches, cancels int
	slow, slowRuns, questions, disorder   int // of the sockets, runs, runs, delays
}

const mostSteps = 60_000 // of a schedule: more steps mean a storm

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 1)), tries: map[time.Duration]int{}}
	w.server = newBackend(w)
	t := &w.traits
	t.threads = 1 + w.rnd.IntN(3)
	switch k := w.rnd.IntN(20); {
	case k == 0:
		t.tabs = 11
	case k < 8:
		t.tabs = 1
	default:
		t.tabs = 2 + w.rnd.IntN(2)
	}
	for _, each := range []struct {
		of   *int
		most int
	}{
		{&t.lost, 20}, {&t.late, 40}, {&t.twice, 20}, {&t.broken, 15}, {&t.parts, 60}, {&t.functions, 25}, {&t.deaths,
			6},
		{&t.cuts, 12}, {&t.halves, 12}, {&t.outages, 5}, {&t.handovers, 50}, {&t.deletes, 8}, {&t.retention,
			10}, {&t.switches, 40},
		{&t.cancels, 15}, {&t.slow, 50}, {&t.slowRuns, 40}, {&t.questions, 50}, {&t.disorder, 60},
	} {
		if w.rnd.IntN(2) == 0 {
			*each.of = 1 + w.rnd.IntN(each.most)
		}
	}
	for i := range t.tabs {
		w.tabs = append(w.tabs, newTab(w, i, seed))
	}
	return w
}

// chance draws a fault: it is true in that percentage of calls, and never once the faults are off.
func (w *world) chance(percent int) bool { return !w.fair && w.rnd.IntN(100) < percent }

// often draws an event other than a fault: it is true in that percentage of calls.
func (w *world) often(percent int) bool { return w.rnd.IntN(100) < percent }

// within returns a random duration up to most.
func (w *world) within(most time.Duration) time.Duration {
	return time.Duration(w.rnd.Int64N(int64(most/time.Millisecond)+1)) * time.Millisecond
}

func (w *world) thread() chat.ThreadID {
	return chat.ThreadID(fmt.Sprint("t", 1+w.rnd.IntN(w.traits.threads)))
}

// fail ends the schedule. Only the first reason is kept.
func (w *world) fail(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf("at %v: ", w.now) + fmt.Sprintf(format, args...)
		w.note("%s", w.failed)
	}
}

// note adds a line to the list of steps.
func (w *world) note(format string, args ...any) {
	if w.verbose {
		w.notes = append(w.notes, fmt.Sprintf("%9.3f  ", w.now.Seconds())+fmt.Sprintf(format, args...))
	}
}

// play plays the whole schedule.
func (w *world) play() {
	for _, t := range w.tabs {
		t.begin()
	}
	for range 30 + w.rnd.IntN(40) {
		w.pass(w.within(2500 * time.Millisecond))
		w.anything()
	}
	w.note("the faults are off")
	w.fair, w.down = true, 0
	w.settle()
	w.moreRequests()
	w.settle()
	w.checkLists()
	w.checkSilence()
}

// anything draws one step: actions of users, and faults.
func (w *world) anything() {
	t, r := w.tabs[w.rnd.IntN(len(w.tabs))], &w.traits
	if w.often(45) {
		t.send()
	}
	if w.often(r.cancels) {
		t.cancel()
	}
	if w.often(r.switches) {
		t.open(w.thread())
	}
	if w.often(5) {
		t.wake()
	}
	if w.often(10) {
		t.threads()
	}
	if w.often(r.deletes / 2) {
		t.remove()
	}
	if w.chance(2 * r.deletes) {
		w.server.remake(w.thread())
	}
	if w.chance(r.cuts) {
		t.cut()
	}
	if w.chance(r.halves) {
		t.half()
	}
	if w.chance(r.outages) {
		w.outage()
	}
	if w.chance(r.retention) {
		w.server.trim(w.thread())
	}
}

// outage closes all sockets at once. No socket opens until it ends.
func (w *world) outage() {
	w.down = w.now + w.within(3*time.Minute)
	w.note("no socket opens until %v", w.down)
	for _, t := range w.tabs {
		t.cut()
	}
	w.pass(w.down - w.now)
}

// countAttempt counts the sockets that tabs try to open in the same millisecond after a pause. Jitter must spread them.
func (w *world) countAttempt() {
	w.tries[w.now]++
	if w.tries[w.now] > 5 {
		w.fail("storm: tabs try to open %d sockets in one millisecond", w.tries[w.now])
	}
}

// later schedules f at a random moment within most.
func (w *world) later(most time.Duration, f func()) { w.at(w.now+w.within(most), f) }

// at schedules f.
func (w *world) at(when time.Duration, f func()) {
	w.order++
	heap.Push(&w.todo, event{max(when, w.now), w.order, f})
}

// pass advances the simulated time, and runs the events that are due.
func (w *world) pass(d time.Duration) {
	until := w.now + d
	for w.failed == "" && len(w.todo) > 0 && w.todo[0].at <= until {
		next := heap.Pop(&w.todo).(event)
		w.now = next.at
		w.steps++
		next.do()
		if w.steps > mostSteps {
			w.fail("storm: more than %d steps", mostSteps)
		}
	}
	w.now = until
}

func (w *world) steplist() string { return strings.Join(w.notes, "\n") }

type event struct {
	at    time.Duration
	order int
	do    func()
}

// agenda is a heap of the scheduled events.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(e any)   { *a = append(*a, e.(event)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

package runqueue_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// history applies random steps to one queue, as the store does, and keeps a record of the expected state.
type history struct {
	t     *testing.T
	rng   *rand.Rand
	rules runqueue.Policy
	queue runqueue.Queue
	next  int

	accepted map[chat.RunID]acceptedRun // all accepted runs that have not ended
	begun    []chat.RunID               // runs in the order in which they got a slot
	spent    []time.Time                // the times at which a token was taken
}

// acceptedRun is the test's record of an accepted run.
type acceptedRun struct {
	runqueue.Request
	number int // in the order of admission
	rank   int // among runs of one thread, the higher rank starts first
	slot   bool
}

// TestQueue_RandomHistories applies admissions of each policy, ends with and without interrupts, responses, cancels,
// expiries and starts in random order to queues of all sizes. SEED repeats one.
func TestQueue_RandomHistories(t *testing.T) {
	t.Attr("row", "A2: random histories on queues of every size")
	seed := uint64(time.Now().UnixNano())
	if value := os.Getenv("SEED"); value != "" {
		var err error
		if seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d repeats it", seed)
	histories, most := 0, 0
	for i := range 200 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		h := &history{t: t, rng: rng, accepted: map[chat.RunID]acceptedRun{}, rules: runqueue.Policy{
			Limits: chat.Limits{Runs: 1 + rng.IntN(5), Queued: rng.IntN(8), RunBurst: rng.IntN(20), RunsPerHour: rng.IntN(2) * 600},
			Now:    time.UnixMilli(1_800_000_000_000), AwaitingInput: map[chat.ThreadID]bool{},
		}}
		for range 200 {
			h.step()
			most = max(most, len(h.queue.Slots))
		}
		h.drain()
		if t.Failed() {
			t.Fatalf("history %d of SEED=%d: %+v, held %v", i, seed, h.queue, h.rules.AwaitingInput)
		}
		histories++
	}
	if most != 5 {
		t.Errorf("no queue was full with five: at most %d runs had slots", most)
	}
	t.Attr("figure", fmt.Sprintf("%d histories of 200 steps, on queues of one to five slots: never more than %d taken", histories, most))
}

func (h *history) step() {
	before, was := fmt.Sprint(h.queue), h.queue
	switch h.rng.IntN(10) {
	case 0, 1, 2, 3:
		h.admit()
	case 4, 5:
		h.finish(h.any(true), h.rng.IntN(3) == 0)
	case 6:
		h.cancel(h.any(h.rng.IntN(4) == 0)) // a queued run, or a run with a slot that is not claimed
	case 7, 8:
		h.start()
	case 9:
		h.rules.Now = h.rules.Now.Add(time.Duration(h.rng.IntN(20)) * time.Second)
		for thread := range h.rules.AwaitingInput { // an interrupt expires
			delete(h.rules.AwaitingInput, thread)
			break
		}
	}
	if fmt.Sprint(was) != before {
		h.t.Errorf("a function changed its argument: %v, was %s", was, before)
	}
	h.check()
}

// admit requests a slot. On a thread that is awaiting input only a run with responses gets this far.
func (h *history) admit() {
	h.next++
	a := runqueue.Request{
		Run: chat.RunID(fmt.Sprint("r", h.next)), Thread: chat.ThreadID(fmt.Sprint("t", h.rng.IntN(6))),
		WhenBusy: []chat.WhenBusy{"", chat.Enqueue, chat.Reject, chat.Interrupt}[h.rng.IntN(4)],
	}
	a.Responds = h.rules.AwaitingInput[a.Thread]
	startable, _ := h.queue.Next(h.rules)
	holder, seated := h.seated(a.Thread)
	d, got, err := h.queue.Admit(a, h.rules)
	if err != nil {
		h.refused(a, d, err)
		return
	}
	if again, twice, err := d.Admit(a, h.rules); err != nil || twice != got || fmt.Sprint(again) != fmt.Sprint(d) {
		h.t.Errorf("the repeat of %s gave %+v, %v; the first %+v", a.Run, twice, err, got)
	}
	if wants := a.WhenBusy == chat.Interrupt && seated; wants != (got.Interrupt != "") || wants && got.Interrupt != holder {
		h.t.Errorf("%+v must interrupt %q; the slot of its thread has %q", a, got.Interrupt, holder)
	}
	switch got.State {
	case chat.RunAdmitted:
		if len(startable.Slots) >= h.rules.Limits.Runs {
			h.t.Errorf("%s overtook runs that could start: %v", a.Run, h.queue.Queued)
		}
	case chat.RunQueued:
		// Other threads keep their places, as if all runs had arrived in order.
		if want := append(threads(h.queue), a.Thread); !slices.Equal(threads(d), want) {
			h.t.Errorf("after %+v the threads are queued as %v, want %v", a, threads(d), want)
		}
		if got.Position != d.Position(a.Run) {
			h.t.Errorf("%s has position %d in %v", a.Run, got.Position, d.Queued)
		}
	}
	if a.Responds {
		delete(h.rules.AwaitingInput, a.Thread)
	}
	h.queue, h.spent = d, append(h.spent, h.rules.Now)
	rank := 0
	if got.Interrupt != "" {
		rank = 1
	}
	if a.Responds {
		rank = 2
	}
	h.accepted[a.Run] = acceptedRun{Request: a, number: h.next, rank: rank}
	if got.State == chat.RunAdmitted {
		h.begin(a.Run)
	}
}

func (h *history) refused(a runqueue.Request, d runqueue.Queue, err error) {
	if !reflect.DeepEqual(d, h.queue) {
		h.t.Errorf("the queue changed although %s was refused", a.Run)
	}
	_, seated := h.seated(a.Thread)
	busy := seated || !a.Responds && slices.Contains(threads(h.queue), a.Thread)
	var limited *chat.RateLimitedError
	switch {
	case errors.Is(err, chat.ErrBusy):
		if !busy || a.WhenBusy != chat.Reject {
			h.t.Errorf("%+v is refused as busy", a)
		}
	case errors.Is(err, chat.ErrTooManyRuns):
		if len(h.queue.Queued) < h.rules.Limits.Queued {
			h.t.Errorf("%+v is refused because of too many runs", a)
		}
	case errors.As(err, &limited):
		later := h.rules
		later.Now = later.Now.Add(limited.After)
		if _, _, err := h.queue.Admit(a, later); err != nil {
			h.t.Errorf("%+v is refused after the announced time: %v", a, err)
		}
		if later.Now = later.Now.Add(-time.Millisecond); limited.After > 0 {
			if _, _, err := h.queue.Admit(a, later); err == nil {
				h.t.Errorf("the announced time of %+v is too long", a)
			}
		}
	default:
		h.t.Errorf("refused: %v", err)
	}
}

// finish ends a run that has a slot, with interrupts if asks is true.
func (h *history) finish(run chat.RunID, asks bool) {
	if run == "" {
		return
	}
	if asks {
		h.rules.AwaitingInput[h.accepted[run].Thread] = true
	}
	delete(h.accepted, run)
	h.queue = h.queue.Remove(run)
}

// cancel ends a run that is not claimed. The interrupts that it responds to are open again.
func (h *history) cancel(run chat.RunID) {
	h.finish(run, h.accepted[run].Responds)
}

func (h *history) start() {
	was := h.queue
	d, started := was.Next(h.rules)
	for _, w := range started {
		if h.rules.AwaitingInput[w.Thread] {
			h.t.Errorf("%s began on a thread that is awaiting input", w.Run)
		}
	}
	// No run that could start is passed over.
	for _, w := range d.Queued {
		_, taken := h.slotOf(d, w.Thread)
		if behind := slices.IndexFunc(started, func(s runqueue.Entry) bool { return was.Position(s.Run) > was.Position(w.Run) }); behind >= 0 && !taken && !h.rules.AwaitingInput[w.Thread] {
			h.t.Errorf("%s began before %s", started[behind].Run, w.Run)
		}
		if !taken && !h.rules.AwaitingInput[w.Thread] && len(d.Slots) < h.rules.Limits.Runs {
			h.t.Errorf("%s could start and did not", w.Run)
		}
	}
	h.queue = d
	for _, w := range started {
		h.begin(w.Run)
	}
}

// begin checks that a run that gets a slot is the next one of its thread.
func (h *history) begin(run chat.RunID) {
	a := h.accepted[run]
	for other, o := range h.accepted {
		if o.Thread != a.Thread || o.slot || other == run {
			continue
		}
		if o.rank > a.rank || o.rank == a.rank && o.number < a.number {
			h.t.Errorf("%+v began before %+v of its thread", a, o)
		}
	}
	a.slot = true
	h.accepted[run], h.begun = a, append(h.begun, run)
}

func (h *history) check() {
	l := h.rules.Limits
	if len(h.queue.Slots) > l.Runs || len(h.queue.Queued) > l.Queued {
		h.t.Errorf("%d slots of %d, %d queued of %d", len(h.queue.Slots), l.Runs, len(h.queue.Queued), l.Queued)
	}
	on := slices.Sorted(maps.Values(h.queue.Slots))
	if len(slices.Compact(on)) != len(h.queue.Slots) {
		h.t.Error("a thread has two slots")
	}
	// No run is lost or present twice.
	have := map[chat.RunID]bool{}
	for run := range h.queue.Slots {
		have[run] = true
	}
	for _, w := range h.queue.Queued {
		if _, twice := have[w.Run]; twice {
			h.t.Errorf("%s is there twice", w.Run)
		}
		have[w.Run] = false
	}
	for run, a := range h.accepted {
		if slot, there := have[run]; !there || slot != a.slot {
			h.t.Errorf("%s has a slot: %v, want %v; is there: %v", run, slot, a.slot, there)
		}
	}
	if len(have) != len(h.accepted) {
		h.t.Errorf("%v are there, want %v", have, h.accepted)
	}
	// No period has more starts than the bucket holds and the tokens that it gains in that period.
	if l.RunsPerHour > 0 {
		for i, from := range h.spent {
			if n := len(h.spent) - i; n > max(l.RunBurst, 1)+int(h.rules.Now.Sub(from)*time.Duration(l.RunsPerHour)/time.Hour) {
				h.t.Errorf("%d runs in %s", n, h.rules.Now.Sub(from))
			}
		}
	}
}

// drain lets every interrupt expire and every run end. Then every queued run must have begun.
func (h *history) drain() {
	clear(h.rules.AwaitingInput)
	for range h.rules.Limits.Queued + 1 {
		for run := range h.queue.Slots {
			h.finish(run, false)
		}
		h.start()
		h.check()
	}
	if len(h.queue.Queued) > 0 {
		h.t.Errorf("%v never began", h.queue.Queued)
	}
}

// any returns a random run with a slot, or a random queued run; "" without one.
func (h *history) any(slot bool) chat.RunID {
	var runs []chat.RunID
	for run, a := range h.accepted {
		if a.slot == slot {
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return ""
	}
	slices.Sort(runs)
	return runs[h.rng.IntN(len(runs))]
}

func (h *history) seated(thread chat.ThreadID) (chat.RunID, bool) { return h.slotOf(h.queue, thread) }

func (h *history) slotOf(d runqueue.Queue, thread chat.ThreadID) (chat.RunID, bool) {
	for run, t := range d.Slots {
		if t == thread {
			return run, true
		}
	}
	return "", false
}

// threads returns the threads of the queued runs, in order.
func threads(d runqueue.Queue) []chat.ThreadID {
	var all []chat.ThreadID
	for _, w := range d.Queued {
		all = append(all, w.Thread)
	}
	return all
}

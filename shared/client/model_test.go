package client_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// TestModel plays random schedules of the model that testdata/scenarios/README.md describes. SCHEDULES is their number.
// SEED repeats the schedule of one seed and lists its steps. LAPSE omits one rule of the server. COUNT counts the
// schedules that fail instead of ending at the first; COUNT=tell also logs the reason of each.
func TestModel(t *testing.T) {
	seed, count := uint64(time.Now().UnixNano()), 60
	if s := os.Getenv("SCHEDULES"); s != "" {
		count = integer(t, s)
	}
	if s := os.Getenv("SEED"); s != "" {
		seed, count = uint64(integer(t, s)), 1
	}
	lapse := os.Getenv("LAPSE")
	if lapse != "" && !slices.Contains(lapses(), lapse) {
		t.Fatalf("LAPSE=%s: the server has no such rule", lapse)
	}
	bad, why := 0, ""
	for i := range count {
		w := newWorld(seed + uint64(i))
		w.lapse = lapse
		if w.play(); w.failed == "" {
			continue
		}
		if bad++; bad == 1 {
			why = replay(seed+uint64(i), lapse)
		}
		if os.Getenv("COUNT") == "" {
			break
		}
		if os.Getenv("COUNT") == "tell" {
			t.Logf("SEED=%d: %.200s", seed+uint64(i), w.failed)
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d schedules failed: %s", bad, count, why)
	}
}

func integer(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// replay plays a failed schedule again, and returns the reason and the steps.
func replay(seed uint64, lapse string) string {
	w := newWorld(seed)
	w.lapse, w.verbose = lapse, true
	w.play()
	why := w.failed
	if os.Getenv("SEED") != "" {
		why += "\n" + w.steplist()
	} else if n := len(w.notes); n > 0 {
		w.notes = w.notes[max(0, n-60):]
		why += fmt.Sprintf("\nits last steps:\n%s\nSEED=%d go test -run 'TestModel$' ./shared/client lists all",
			w.steplist(), seed)
	}
	return why
}

// settle waits until the server has no work left, and then as long as a tab may take to notice.
func (w *world) settle() {
	limit := w.now + 2*time.Hour
	for since := w.now; w.failed == "" && (w.now < since+limitHealed+5*time.Minute || w.working()); {
		if w.pass(time.Second); w.now > limit {
			w.fail("the model's server never becomes idle")
		}
		if w.server.touched > since || w.working() {
			since = w.now
		}
		if w.now == since+limitHealed {
			w.checkInformed(since)
		}
	}
	for _, slow := range []bool{false, true} {
		for _, t := range w.tabs {
			if t.link == nil || t.link.slow == slow {
				t.checkFinal()
			}
		}
		w.pass(time.Minute) // a slow socket still delivers
	}
}

// checkInformed checks the final state of the tabs that have shown a run ever since the last change.
func (w *world) checkInformed(since time.Duration) {
	for _, t := range w.tabs {
		s := t.state
		if t.lastIdle < since && t.firstReady > 0 && t.firstReady < since && t.link != nil && !t.link.slow &&
			(s.Active != "" || len(s.Queued)+len(s.Sending) > 0) {
			t.checkFinal()
		}
	}
}

// working reports whether the server has active runs, or queued ones that can start.
func (w *world) working() bool {
	b := w.server
	return len(b.active) > 0 || slices.ContainsFunc(b.queued, func(r *run) bool { return len(r.thread.life.open) == 0 })
}

// checkFinal checks that a tab shows the server's data exactly. It holds once nothing changes any more.
func (t *tab) checkFinal() {
	s, w := t.state, t.w
	if s.Status == client.Replaced {
		if t.link != nil {
			w.fail("%s was replaced and still uses a socket", t.name)
		}
		return
	}
	th := w.server.thread(s.ThreadID)
	var epoch chat.Epoch
	var seq chat.Seq
	var open []agui.Interrupt
	messages := text(fold(nil))
	if l := th.life; l != nil {
		epoch, seq, open, messages = l.epoch, l.end(), l.open, l.textAt(l.end())
	}
	active, queued := chat.RunID(""), []chat.RunID{}
	for _, r := range w.server.active {
		if r.thread == th {
			active = r.id
		}
	}
	for _, r := range w.server.queued {
		if r.thread == th {
			queued = append(queued, r.id)
		}
	}
	have := fmt.Sprint(s.Status, s.Lagging, s.Epoch, s.Seq, s.Active, s.Queued, s.Sending, ids(s.Interrupts))
	want := fmt.Sprint(client.Ready, false, epoch, seq, active, queued, []chat.RunID{}, ids(open))
	if have != want || text(s.Messages) != messages {
		w.fail("%s does not show the final state of %s: it shows %s, want %s; messages %s, want %s", t.name, th.id,
			have, want,
			text(s.Messages), messages)
	}
}

func ids(open []agui.Interrupt) []chat.InterruptID {
	all := []chat.InterruptID{}
	for _, i := range open {
		all = append(all, i.ID)
	}
	return all
}

// moreRequests plays some more requests without faults. The stricter limits now apply.
func (w *world) moreRequests() {
	w.note("more requests, without faults")
	for range 12 {
		t := w.tabs[w.rnd.IntN(len(w.tabs))]
		if w.often(60) {
			t.send()
		}
		w.pass(w.within(1500 * time.Millisecond))
		if w.often(50) {
			w.tabs[w.rnd.IntN(len(w.tabs))].open(w.thread())
		}
		w.pass(w.within(1500 * time.Millisecond))
	}
}

// checkLists requests the list of threads in every tab, and checks it.
func (w *world) checkLists() {
	for _, t := range w.tabs {
		if t.state.Status == client.Ready {
			t.threads()
		}
	}
	w.pass(30 * time.Second)
	for _, t := range w.tabs {
		if t.state.Status != client.Ready {
			continue
		}
		shown := map[chat.ThreadID]string{}
		for _, row := range t.state.Threads {
			shown[row.ThreadID] = row.Title
		}
		for _, th := range w.server.threads {
			want := w.server.info(th)
			if have, there := shown[th.id]; there && (th.life == nil || have != want.Title) || !there && !th.deleted &&
				th.life != nil {
				w.fail("%s lists %q, want %+v", t.name, have, want)
			}
		}
	}
}

// checkSilence checks that tabs send only pings while nothing happens.
func (w *world) checkSilence() {
	w.pass(4 * time.Minute)
	type sum struct{ hellos, pings, connects int }
	before := map[*tab]sum{}
	for _, t := range w.tabs {
		before[t] = sum{t.hellos.all, t.pings.all, t.connects.all}
	}
	w.pass(20 * time.Minute)
	for _, t := range w.tabs {
		b, pings := before[t], 5
		if len(t.state.Queued) > 0 {
			pings = 81
		}
		if t.hellos.all-b.hellos > 1 || t.connects.all > b.connects || t.pings.all-b.pings > pings {
			w.fail("storm: in 20 quiet minutes %s sent %d hellos and %d pings, and connected %d times", t.name,
				t.hellos.all-b.hellos, t.pings.all-b.pings, t.connects.all-b.connects)
		}
	}
}

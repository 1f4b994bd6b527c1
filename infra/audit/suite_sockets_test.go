package audit_test

import (
	"cmp"
	"fmt"
	"hash/maphash"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// wanted is how many different events there are to be at least: with AUDIT=full a million, or as many as EVENTS says.
func wanted(t *testing.T, e extent) int64 {
	t.Helper()
	if e != full {
		return 0
	}
	n, err := strconv.ParseInt(cmp.Or(os.Getenv("EVENTS"), "1000000"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Everybody's devices go wild: they send, change threads, lose sockets and are reloaded at random; and then long runs pour
// events over all of them, while sockets are lost. Each event that any device was sent is its owner's own, byte for byte the
// one of that number in its owner's log; none is missing; and each view shows what the log says, each thing once.
func TestWebSocketIsolation(t *testing.T) {
	t.Attr("row", "C5: every event on every socket is checked")
	t.Attr("row", "E2: no false alarm among clean events")
	t.Attr("row", "E7: event isolation")
	t.Attr("amount", "50 users")
	e := extentOf(t)
	c := newCrowd(t, e.of(6, 10, 50), 3, stack.Config{Parameters: map[string]string{"RunSeconds": "840", "RunBurst": "1000"}})
	h := newHearing(c)
	began := time.Now()
	devices, views := h.roams(e.of(6, 8, 6))
	t.Logf("%d events of devices that go wild after %v", h.events.Load(), time.Since(began).Round(time.Second))
	pairs, lanes := e.of(100, 200, 200), 1 // of events that nothing joins; a message has room for 600 of them
	if e == full {
		pairs, lanes = 600, 2
	}
	poured, before := time.Now(), h.events.Load()
	for round := 1; round == 1 || h.different.Load() < wanted(t, e); round++ {
		more := h.pours(lanes, pairs, round)
		devices, views = devices+more, views+more
		t.Logf("%d different events after %v", h.different.Load(), time.Since(began).Round(time.Second))
	}
	rate := float64(h.events.Load()-before) / time.Since(poured).Seconds()
	logged := h.compare()
	m := c.metrics()
	if least := int64(len(c.users) * pairs); h.marked.Load() < least {
		t.Errorf("%d events held their owner's secret, want %d: a foreign one could hardly have been told", h.marked.Load(), least)
	}
	c.figure("%d users, %d devices, %d sockets opened, %d threads", len(c.users), devices, h.sockets.Load(), len(h.tapes))
	c.figure("%d different events, received %d times by their owners' devices and %d times again; %d are in the logs: %d foreign, %d differ",
		h.different.Load(), h.events.Load(), h.repeats.Load(), logged, h.foreign.Load(), h.differ.Load())
	c.figure("%d views of a device on a thread, each shows what the log says: %d gaps", views, h.missing.Load())
	c.figure("%.0f events received a second in the long runs; %d frames, %.0f MB, %d events with their owner's secret", rate,
		h.frames.Load(), float64(h.bytes.Load())/1e6, h.marked.Load())
	c.figure("%.0f isolation violations counted: false alarms among clean events", m["IsolationViolation"])
}

// burst is a script of so many pairs of thoughts and words, eight events each, none of which can be joined with another.
func burst(p *person, pairs int) string {
	return strings.Repeat("/think "+p.secret+"\n/stream 1 0\n", pairs) + "/say end-of-all"
}

// roams has all devices do things at random, and compares what they show in the end.
func (h *hearing) roams(steps int) (devices, views int) {
	c := h.c
	c.Helper()
	const each = 3
	all := make([][]*ear, len(c.users))
	c.each(func(i int, p *person) error {
		all[i] = make([]*ear, each)
		return together(each, func(n int) (err error) {
			all[i][n], err = h.roam(p, c.dice(i*each+n), steps)
			return err
		})
	})
	c.each(func(i int, p *person) error { // what one has no answer to yet may begin only now
		return together(each, func(n int) error { return all[i][n].rests(nil) })
	})
	logs, err := logs(c.ctx, c.Endpoints())
	if err != nil {
		c.Fatal(err)
	}
	c.each(func(i int, p *person) error {
		return together(each, func(n int) error { return all[i][n].rests(logs) })
	})
	return each * len(c.users), each * len(c.users) * len(c.users[0].threads)
}

// roam is what one device does.
func (h *hearing) roam(p *person, dice *mathrand.Rand, steps int) (*ear, error) {
	some := func() chat.ThreadID { return p.threads[dice.IntN(len(p.threads))] }
	d, err := h.listen(h.c.ctx, p, some())
	for n := 0; n < steps && err == nil; n++ {
		switch what := dice.IntN(10); {
		case what < 4:
			_, err = d.Send(burst(p, 3+dice.IntN(12)) + "\n/call calculator {\"expression\":\"6*7\"}")
		case what < 6:
			err = d.Open(some())
		case what < 7:
			err = d.Cut()
		case what < 8:
			d.Close()
			d, err = h.listen(h.c.ctx, p, some())
		default:
			after := time.NewTimer(time.Duration(dice.IntN(600)) * time.Millisecond)
			select {
			case <-after.C:
			case <-h.c.ctx.Done():
			}
		}
	}
	return d, err
}

// rests opens all threads of the user, waits until each is at rest, and compares it with its log, if there is one.
func (d *ear) rests(all map[chat.ThreadID]stored) error {
	for _, id := range d.who.threads {
		if err := d.Open(id); err != nil {
			return err
		}
		head := chat.Seq(len(all[id]))
		st, err := d.WaitFor(d.h.c.ctx, func(st client.State) bool {
			return st.ThreadID == id && idle(st) && (all == nil || st.Seq == head)
		})
		if err != nil {
			return fmt.Errorf("thread %s of %d events: %w: it shows %s", id, head, err, glance(st))
		}
		if all == nil {
			continue
		}
		if gaps := d.gaps(id, head); gaps > 0 {
			return fmt.Errorf("thread %s: %d of %d events never came", id, gaps, head)
		}
		if err := shows(st, parse(d.h.c.T, all[id].raw())); err != nil {
			return fmt.Errorf("thread %s: %w", id, err)
		}
	}
	return nil
}

func glance(st client.State) string {
	return fmt.Sprintf("%s %s, event %d, %d messages, behind %t, active %q, waiting %q, sending %q, %v", st.Status, st.ThreadID, st.Seq,
		len(st.Messages), st.Behind, st.Active, st.Queued, st.Sending, st.Err)
}

// shows compares what a view shows with what the log comes to; it may leave out what is older than its page.
func shows(st client.State, log []agui.Event) error {
	var f agui.Folder
	for _, e := range log {
		f.Add(e)
	}
	want := f.Messages()
	if st.Before > 0 {
		want = want[max(0, len(want)-len(st.Messages)):]
	}
	if !slices.EqualFunc(st.Messages, want, sameMessage) {
		return fmt.Errorf("the view shows %d messages, and the log comes to %d, or to others", len(st.Messages), len(want))
	}
	return nil
}

// pours has so many lanes of each user run a long run in a new thread at once: two devices on each, of which one loses its
// socket on the way. It returns how many devices there were.
func (h *hearing) pours(lanes, pairs, round int) int {
	c := h.c
	c.Helper()
	c.each(func(i int, p *person) error {
		return together(lanes, func(n int) error { return h.lane(p, pairs, c.dice(1000*round+i*lanes+n)) })
	})
	return 2 * lanes * len(c.users)
}

func (h *hearing) lane(p *person, pairs int, dice *mathrand.Rand) error {
	id, events := h.thread(p), 7*pairs
	devices, sights := make([]*ear, 2), make([]*sight, 2)
	for i := range devices {
		d, err := h.listen(h.c.ctx, p, id)
		if err != nil {
			return err
		}
		devices[i], sights[i] = d, d.expects(id, dice.IntN(events))
		if _, err := d.WaitFor(h.c.ctx, func(st client.State) bool { return st.Status == client.Ready && !st.Behind }); err != nil {
			return err
		}
	}
	if _, err := devices[0].Send(burst(p, pairs)); err != nil {
		return err
	}
	for i, wanted := range []*signal{sights[1].half, sights[1].whole, sights[0].whole} {
		select {
		case <-wanted.c:
		case <-h.c.ctx.Done():
			return fmt.Errorf("thread %s: only %d and %d of about %d events came; it shows %s", id, sights[0].count, sights[1].count, events,
				glance(devices[0].State()))
		}
		if i == 0 {
			if err := devices[1].Cut(); err != nil {
				return err
			}
		}
	}
	for i, d := range devices {
		st, err := d.WaitFor(h.c.ctx, func(st client.State) bool { return idle(st) && st.Seq == sights[i].end })
		if err != nil {
			return fmt.Errorf("thread %s: %w: it shows %s", id, err, glance(st))
		}
		if d.gaps(id, sights[i].end) > 0 || sights[i].restated > 0 {
			return fmt.Errorf("thread %s: a gap, or a snapshot in its place", id)
		}
		if n := strings.Count(fmt.Sprint(st.Messages), "end-of-all"); n != 2 { // the question and its answer
			return fmt.Errorf("thread %s: the view shows %d ends", id, n)
		}
		d.Close()
	}
	return nil
}

// compare holds what was sent to the logs as they stand below their owners' keys, and returns how many events those have.
func (h *hearing) compare() (n int) {
	c := h.c
	c.Helper()
	all := map[chat.ThreadID]int{}
	err := records(c.ctx, c.Endpoints(), func(r record) error {
		t := h.tapes[r.thread]
		if t == nil || t.who.name != r.user {
			return fmt.Errorf("a log of thread %s stands below %s", r.thread, r.user)
		}
		for i, e := range r.events {
			seq := int(r.seq) + i
			all[r.thread]++
			if seq <= len(t.hashes) && t.hashes[seq-1] != 0 && t.hashes[seq-1] != maphash.Bytes(h.seed, e) {
				h.differ.Add(1)
				return fmt.Errorf("event %d of thread %s was sent as another than %s", seq, r.thread, e)
			}
		}
		return nil
	})
	if err != nil {
		c.Error(err)
	}
	for id, t := range h.tapes {
		n += all[id]
		for seq := all[id] + 1; seq <= len(t.hashes); seq++ {
			if t.hashes[seq-1] != 0 {
				c.Errorf("event %d of thread %s was sent, and the log has %d", seq, id, all[id])
			}
		}
	}
	return n
}

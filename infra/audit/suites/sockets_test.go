package suites_test

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
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// minEvents returns how many different events there must be at least: with AUDIT=full a million, or EVENTS.
func minEvents(t *testing.T, z size) int64 {
	t.Helper()
	if z != full {
		return 0
	}
	n, err := strconv.ParseInt(cmp.Or(os.Getenv("EVENTS"), "1000000"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The windows of all users act at random: they send messages, change threads, lose sockets and reload. Then long runs
// stream events to all of them while sockets are lost. Each event that any window was sent belongs to its owner and is,
// byte for byte, the event of that number in the owner's log. No event is missing. Each window shows what the log says,
// once.
func TestWebSocketIsolation(t *testing.T) {
	t.Attr("row", "C5: every event on every socket is checked")
	t.Attr("row", "E2: no false alarm among clean events")
	t.Attr("row", "E7: event isolation")
	t.Attr("amount", "50 users")
	campaign.Only(t, "devices act at random for a minute")
	z := readSize(t)
	s := newSuite(t, z.pick(6, 10, 50), 3, stack.Config{Parameters: map[string]string{"RunSeconds": "840",
		"RunBurst": "1000"}})
	r := newRecorder(s)
	began := time.Now()
	windows, views := r.actAtRandom(z.pick(6, 8, 6))
	t.Logf("%d events of windows that act at random after %v", r.events.Load(), time.Since(began).Round(time.Second))
	pairs, runsEach := z.pick(100, 200, 200), 1
	if z == full {
		pairs, runsEach = 600, 2
	}
	streaming, before := time.Now(), r.events.Load()
	for round := 1; round == 1 || r.different.Load() < minEvents(t, z); round++ {
		more := r.streamLongRuns(runsEach, pairs, round)
		windows, views = windows+more, views+more
		t.Logf("%d different events after %v", r.different.Load(), time.Since(began).Round(time.Second))
	}
	rate := float64(r.events.Load()-before) / time.Since(streaming).Seconds()
	logged := r.compareWithLogs()
	m := s.metrics()
	if least := int64(len(s.users) * pairs); r.marked.Load() < least {
		t.Errorf("%d events contained their owner's secret, want %d: a foreign event would hardly have been noticed",
			r.marked.Load(), least)
	}
	s.figure("%d users, %d devices, %d sockets opened, %d threads", len(s.users), windows, r.sockets.Load(),
		len(r.threads))
	s.figure("%d different events, received %d times by their owners' devices and %d times again; %d are in the logs: "+
		"%d foreign, %d differ", r.different.Load(), r.events.Load(), r.repeats.Load(), logged, r.foreign.Load(),
		r.differ.Load())
	s.figure("%d views of a device on a thread, each shows what the log says: %d gaps", views, r.missing.Load())
	s.figure("%.0f events received a second in the long runs; %d frames, %.0f MB, %d events with their owner's secret",
		rate,
		r.frames.Load(), float64(r.bytes.Load())/1e6, r.marked.Load())
	s.figure("%.0f isolation violations counted: false alarms among clean events", m["IsolationViolation"])
}

// longScript is a script of so many pairs of thoughts and words, eight events each, which are never joined into one
// event.
func longScript(u *testkit.User, pairs int) string {
	return strings.Repeat("/think "+u.Secret+"\n/stream 1 0\n", pairs) + "/say end-of-all"
}

// actAtRandom has the windows of all users act at random, and compares what they show in the end with the logs.
func (r *recorder) actAtRandom(steps int) (windows, views int) {
	s := r.s
	s.Helper()
	const each = 3
	all := make([][]*window, len(s.users))
	s.forEachUser(func(i int, u *testkit.User) error {
		all[i] = make([]*window, each)
		return inParallel(each, func(n int) (err error) {
			all[i][n], err = r.actWindow(u, s.dice(i*each+n), steps)
			return err
		})
	})
	s.forEachUser(func(i int, _ *testkit.User) error { // a message without an answer may start its run only now
		return inParallel(each, func(n int) error { return all[i][n].checkIdle(nil) })
	})
	logs := testkit.Logs(s.T, s.ctx, s.Endpoints())
	s.forEachUser(func(i int, _ *testkit.User) error {
		return inParallel(each, func(n int) error { return all[i][n].checkIdle(logs) })
	})
	return each * len(s.users), each * len(s.users) * len(s.users[0].Threads)
}

// actWindow does the random steps of one window.
func (r *recorder) actWindow(u *testkit.User, dice *mathrand.Rand, steps int) (*window, error) {
	thread := func() chat.ThreadID { return u.Threads[dice.IntN(len(u.Threads))] }
	w, err := r.open(r.s.ctx, u, thread())
	for n := 0; n < steps && err == nil; n++ {
		switch step := dice.IntN(10); {
		case step < 4:
			_, err = w.Send(longScript(u, 3+dice.IntN(12)) + "\n/call calculator {\"expression\":\"6*7\"}")
		case step < 6:
			err = w.Open(thread())
		case step < 7:
			err = w.Cut()
		case step < 8:
			w.Close()
			w, err = r.open(r.s.ctx, u, thread())
		default:
			pause := time.NewTimer(time.Duration(dice.IntN(600)) * time.Millisecond)
			select {
			case <-pause.C:
			case <-r.s.ctx.Done():
			}
		}
	}
	return w, err
}

// checkIdle opens all threads of the user, waits until each is idle, and compares the window with the logs; nil: with
// none.
func (w *window) checkIdle(logs map[chat.ThreadID]testkit.ThreadLog) error {
	for _, id := range w.user.Threads {
		if err := w.Open(id); err != nil {
			return err
		}
		head := chat.Seq(len(logs[id]))
		st, err := w.WaitFor(w.r.s.ctx, func(st client.State) bool {
			return st.ThreadID == id && testkit.Idle(st) && (logs == nil || st.Seq == head)
		})
		if err != nil {
			return fmt.Errorf("thread %s of %d events: %w: the window shows %s", id, head, err, summary(st))
		}
		if logs == nil {
			continue
		}
		if gaps := w.gaps(id, head); gaps > 0 {
			return fmt.Errorf("thread %s: %d of %d events were never sent", id, gaps, head)
		}
		if err := compareView(st, testkit.DecodeEvents(w.r.s.T, logs[id].Raw(w.r.s.T))); err != nil {
			return fmt.Errorf("thread %s: %w", id, err)
		}
	}
	return nil
}

func summary(st client.State) string {
	return fmt.Sprintf("%s %s, event %d, %d messages, behind %t, active %q, queued %q, sending %q, %v", st.Status,
		st.ThreadID,
		st.Seq, len(st.Messages), st.Lagging, st.Active, st.Queued, st.Sending, st.Err)
}

// compareView compares the messages of a window with the messages of the log. A window may leave out messages older
// than its page.
func compareView(st client.State, log []agui.Event) error {
	var f agui.Folder
	for _, e := range log {
		f.Add(e)
	}
	want := f.Messages()
	if st.Before > 0 {
		want = want[max(0, len(want)-len(st.Messages)):]
	}
	if !slices.EqualFunc(st.Messages, want, testkit.SameMessage) {
		return fmt.Errorf("the window shows %d messages and the log has %d, or others", len(st.Messages), len(want))
	}
	return nil
}

// streamLongRuns has so many long runs of each user at once, each in a new thread with two windows, of which one loses
// its socket on the way. It returns the number of windows.
func (r *recorder) streamLongRuns(runsEach, pairs, round int) int {
	s := r.s
	s.Helper()
	s.forEachUser(func(i int, u *testkit.User) error {
		return inParallel(runsEach, func(n int) error {
			return r.streamLongRun(u, pairs,
				s.dice(1000*round+i*runsEach+n))
		})
	})
	return 2 * runsEach * len(s.users)
}

func (r *recorder) streamLongRun(u *testkit.User, pairs int, dice *mathrand.Rand) error {
	id, events := r.newThread(u), 7*pairs
	windows, received := make([]*window, 2), make([]*receivedThread, 2)
	for i := range windows {
		w, err := r.open(r.s.ctx, u, id)
		if err != nil {
			return err
		}
		windows[i], received[i] = w, w.expect(id, dice.IntN(events))
		ready := func(st client.State) bool { return st.Status == client.Ready && !st.Lagging }
		if _, err := w.WaitFor(r.s.ctx, ready); err != nil {
			return err
		}
	}
	if _, err := windows[0].Send(longScript(u, pairs)); err != nil {
		return err
	}
	for i, signal := range []*testkit.Signal{received[1].half, received[1].complete, received[0].complete} {
		if err := signal.Wait(r.s.ctx); err != nil {
			return fmt.Errorf("thread %s: %w: only %d and %d of about %d events were sent; the window shows %s", id,
				err,
				received[0].count, received[1].count, events, summary(windows[0].State()))
		}
		if i == 0 {
			if err := windows[1].Cut(); err != nil {
				return err
			}
		}
	}
	for i, w := range windows {
		st, err := w.WaitFor(r.s.ctx, func(st client.State) bool {
			return testkit.Idle(st) &&
				st.Seq == received[i].end
		})
		if err != nil {
			return fmt.Errorf("thread %s: %w: the window shows %s", id, err, summary(st))
		}
		if w.gaps(id, received[i].end) > 0 || received[i].snapshot > 0 {
			return fmt.Errorf("thread %s: a gap, or a snapshot in its place", id)
		}
		if n := strings.Count(fmt.Sprint(st.Messages), "end-of-all"); n != 2 { // in the question and in the answer
			return fmt.Errorf("thread %s: the window shows %d ends", id, n)
		}
		w.Close()
	}
	return nil
}

// compareWithLogs compares the sent events with the logs as they stand under their owners' keys. It returns how many
// events the logs have.
func (r *recorder) compareWithLogs() (n int) {
	s := r.s
	s.Helper()
	logged := map[chat.ThreadID]int{}
	err := testkit.Records(s.ctx, s.Endpoints(), func(record testkit.Record) error {
		t := r.threads[record.Thread]
		if t == nil || t.owner.Name != record.User {
			return fmt.Errorf("a log of thread %s stands under the key of %s", record.Thread, record.User)
		}
		for i, e := range record.Events {
			seq := int(record.Seq) + i
			logged[record.Thread]++
			if seq <= len(t.hashes) && t.hashes[seq-1] != 0 && t.hashes[seq-1] != maphash.Bytes(r.seed, e) {
				r.differ.Add(1)
				return fmt.Errorf("event %d of thread %s was sent with other bytes than %s", seq, record.Thread, e)
			}
		}
		return nil
	})
	if err != nil {
		s.Error(err)
	}
	for id, t := range r.threads {
		n += logged[id]
		for seq := logged[id] + 1; seq <= len(t.hashes); seq++ {
			if t.hashes[seq-1] != 0 {
				s.Errorf("event %d of thread %s was sent, and the log has %d events", seq, id, logged[id])
			}
		}
	}
	return n
}

package soak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/chat"
)

// sideBySide is the number of users that play schedules at a time.
const sideBySide = 16

// TestSchedules lets users connect, say hello, run, switch and disconnect in random orders and at random moments, with
// many schedules at a time, while API Gateway delivers frames in any order. On each thread every window must show
// every run completely and once, and no frame may reach a window that does not watch its thread. make soak plays 1,000
// schedules.
func TestSchedules(t *testing.T) {
	t.Attr("row", "C2: random schedules over the whole stack")
	t.Attr("amount", "1000 schedules")
	number, seed := 24, uint64(5)
	if value := os.Getenv("SCHEDULES"); value != "" {
		var err error
		if number, err = strconv.Atoi(value); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	if value := os.Getenv("SEED"); value != "" {
		var err error
		if seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	again := fmt.Sprintf("SEED=%d make soak SCHEDULES=%d", seed, number)
	s := start(t, seed)
	w := newWorld(seed, s, min(sideBySide, number))
	faults := &injector{world: w}
	faults.clear()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second+time.Duration(number)*time.Second)
	defer cancel()
	w.stop = cancel
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for _, u := range w.users {
		all.Go(func() {
			logged := map[chat.RunID]loggedRun{}
			for {
				n := next.Add(1)
				if n > int64(number) || ctx.Err() != nil {
					break
				}
				if err := u.schedule(ctx, n, logged); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
					w.fail(u.name, "schedule %d: %v", n, err)
				} else if err == nil {
					w.count("schedules", 1)
				}
			}
			if ctx.Err() == nil {
				u.mu.Lock()
				defer u.mu.Unlock()
				u.checkRuns(logged)
			}
		})
	}
	all.Wait()
	t.Logf("%d schedules in %v, %.1f a second", number, time.Since(began).Round(time.Millisecond),
		float64(number)/time.Since(began).Seconds())
	done := w.report(t, again)
	if done["schedules"] != number || number == 0 || done["runs"] < number/2 || done["frames"] < number ||
		done["events"] < number/2 {
		t.Errorf("%d schedules of %d, with %d runs, prove nothing", done["schedules"], number, done["runs"])
	}
}

// schedule plays one schedule and judges its threads.
func (u *user) schedule(ctx context.Context, n int64, logged map[chat.RunID]loggedRun) error {
	random := rand.New(rand.NewPCG(u.world.seed, uint64(n)))
	threads := make([]chat.ThreadID, 1+random.IntN(3))
	for i := range threads {
		threads[i] = chat.ThreadID(fmt.Sprintf("schedule-%d.%d", n, i))
	}
	var windows []*device
	defer func() {
		for _, d := range windows {
			d.Close()
		}
	}()
	for i := range 4 + random.IntN(10) {
		pause(ctx, time.Duration(random.IntN(3)*random.IntN(30))*time.Millisecond)
		what, which, id := random.IntN(10), random.IntN(1<<20), threads[random.IntN(len(threads))]
		if len(windows) == 0 || what == 0 && len(windows) < 3 {
			d := &device{user: u, name: fmt.Sprintf("%s.%d", u.name, len(windows))}
			u.world.record(d.name, "schedule %d: connect to %s", n, id)
			if err := d.connect(ctx, id); err != nil {
				return err
			}
			windows = append(windows, d)
			continue
		}
		d := windows[which%len(windows)]
		d.at = i
		if err := d.act(ctx, n, what, id); err != nil {
			return err
		}
	}
	return u.checkAll(ctx, windows, threads, logged)
}

// act does one action of a schedule.
func (d *device) act(ctx context.Context, n int64, what int, id chat.ThreadID) error {
	say := func(doing string) { d.user.world.record(d.name, "schedule %d: %s", n, doing) }
	switch {
	case what < 5:
		d.send(fmt.Sprintf("/say %s run %d of schedule %d\n/stream 6 100", d.user.mark, d.at, n))
	case what < 8:
		say("switch to " + string(id))
		return d.show(id)
	case what < 9:
		say("cut")
		return d.Cut()
	default:
		say("disconnect, and connect to " + string(id))
		d.leave()
		return d.connect(ctx, id)
	}
	return nil
}

// checkAll waits until the threads are quiet, and judges the views of a new window and of each old one.
func (u *user) checkAll(ctx context.Context, windows []*device, threads []chat.ThreadID,
	logged map[chat.RunID]loggedRun) error {
	for range 2 { // a request without an answer may take effect in the first round
		for _, d := range windows {
			for _, id := range threads {
				if err := d.rest(ctx, id); err != nil {
					return err
				}
			}
		}
	}
	fresh := &device{user: u, name: u.name + ".new"}
	if err := fresh.connect(ctx, threads[0]); err != nil {
		return err
	}
	defer fresh.Close()
	s, err := u.store(ctx) // the user exists now: at least a connection is recorded
	if err != nil {
		return err
	}
	var views []view
	for _, id := range threads {
		for _, d := range append([]*device{fresh}, windows...) {
			if err := d.rest(ctx, id); err != nil {
				return err
			}
			v, err := d.view(ctx)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		if err := u.log(ctx, s, id, logged); err != nil {
			return err
		}
	}
	u.checkSame(views)
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range views {
		if i == 0 || views[i-1].thread != v.thread {
			u.compare(v, logged)
		}
	}
	return nil
}

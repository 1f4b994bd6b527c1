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

// sides is how many users have their schedules at a time.
const sides = 16

// TestSchedules has users connect, say hello, run, switch and disconnect in random orders and at random moments, many
// schedules at a time, while API Gateway hands frames on in any order. On each thread every window must show every run,
// whole and once, and no frame may reach a window that it is not for. make soak has 1,000 schedules.
func TestSchedules(t *testing.T) {
	t.Attr("row", "C2: random schedules over the whole stack")
	t.Attr("amount", "1000 schedules")
	number, seed := 24, uint64(5)
	if told := os.Getenv("SCHEDULES"); told != "" {
		var err error
		if number, err = strconv.Atoi(told); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	if told := os.Getenv("SEED"); told != "" {
		var err error
		if seed, err = strconv.ParseUint(told, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	again := fmt.Sprintf("SEED=%d make soak SCHEDULES=%d", seed, number)
	s := start(t, seed)
	w := newWorld(seed, s, min(sides, number))
	weather := &weather{world: w}
	weather.clear()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second+time.Duration(number)*time.Second)
	defer cancel()
	w.stop = cancel
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for _, u := range w.users {
		all.Go(func() {
			fates := map[chat.RunID]fate{}
			for {
				n := next.Add(1)
				if n > int64(number) || ctx.Err() != nil {
					break
				}
				if err := u.schedule(ctx, n, fates); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
					w.must(u.name, "schedule %d: %v", n, err)
				} else if err == nil {
					w.count("schedules", 1)
				}
			}
			if ctx.Err() == nil {
				u.mu.Lock()
				defer u.mu.Unlock()
				u.account(fates)
			}
		})
	}
	all.Wait()
	t.Logf("%d schedules in %v, %.1f a second", number, time.Since(began).Round(time.Millisecond),
		float64(number)/time.Since(began).Seconds())
	done := w.report(t, again)
	if done["schedules"] != number || number == 0 || done["runs"] < number/2 || done["frames"] < number ||
		done["events"] < number/2 {
		t.Errorf("%d schedules of %d, with %d runs: this proves nothing", done["schedules"], number, done["runs"])
	}
}

// schedule does one schedule, and judges its threads.
func (u *user) schedule(ctx context.Context, n int64, fates map[chat.RunID]fate) error {
	dice := rand.New(rand.NewPCG(u.world.seed, uint64(n)))
	threads := make([]chat.ThreadID, 1+dice.IntN(3))
	for i := range threads {
		threads[i] = chat.ThreadID(fmt.Sprintf("schedule-%d.%d", n, i))
	}
	var windows []*device
	defer func() {
		for _, d := range windows {
			d.Close()
		}
	}()
	for i := range 4 + dice.IntN(10) {
		pause(ctx, time.Duration(dice.IntN(3)*dice.IntN(30))*time.Millisecond)
		what, which, id := dice.IntN(10), dice.IntN(1<<20), threads[dice.IntN(len(threads))]
		if len(windows) == 0 || what == 0 && len(windows) < 3 {
			d := &device{user: u, name: fmt.Sprintf("%s.%d", u.name, len(windows))}
			u.world.did(d.name, "schedule %d: connect to %s", n, id)
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
	return u.whole(ctx, windows, threads, fates)
}

// act does one thing of a schedule.
func (d *device) act(ctx context.Context, n int64, what int, id chat.ThreadID) error {
	say := func(doing string) { d.user.world.did(d.name, "schedule %d: %s", n, doing) }
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

// whole waits until the threads are quiet, and judges what a new window and each of the old ones show of them.
func (u *user) whole(ctx context.Context, windows []*device, threads []chat.ThreadID, fates map[chat.RunID]fate) error {
	for range 2 { // what a window had no answer to may begin only in the first round
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
	s, err := u.store(ctx) // now that a connection of theirs is kept, if nothing else is
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
		if err := u.log(ctx, s, id, fates); err != nil {
			return err
		}
	}
	u.same(views)
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range views {
		if i == 0 || views[i-1].thread != v.thread {
			u.compare(v, fates)
		}
	}
	return nil
}

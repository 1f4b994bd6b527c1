package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/client"
)

// slots is the number of threads that a user has in use at a time. All users' threads have the same ids.
const slots = 4

// patience is the time for which a device waits for an answer.
const patience = 20 * time.Second

// play lets a device do its steps until the context ends. Each step follows from the seed, the device and the number
// of the step alone. Only its target may differ between two runs of the test: which run is the last, and which
// interrupts are open.
func (d *device) play(ctx context.Context, number uint64) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for ; ctx.Err() == nil; d.at++ {
		random := rand.New(rand.NewPCG(d.user.world.seed^number<<40, uint64(d.at)))
		pause(ctx, time.Duration(30+random.IntN(800))*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		d.user.world.count("steps", 1)
		d.step(ctx, random, &waiting)
	}
}

// step does one random action.
func (d *device) step(ctx context.Context, random *rand.Rand, waiting *sync.WaitGroup) {
	what, which, text := random.IntN(100), random.IntN(1<<20), d.question(random)
	w := d.user.world
	later := func(f func(ctx context.Context)) {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			f(ctx)
		})
	}
	c := d.Client
	switch {
	case what < 45:
		if open := d.State().Interrupts; len(open) > 0 && which%4 > 0 {
			d.reply(open, which%2 == 0, []string{"", "go on, " + d.user.mark}[which/4%2])
			return
		}
		d.send(text)
	case what < 61:
		id := d.user.slot(which)
		w.record(d.name, "open %s", id)
		if err := d.show(id); err != nil {
			w.fail(d.name, "the client cannot open %s: %v", id, err)
		}
	case what < 73:
		d.user.mu.Lock()
		order := d.user.order
		d.user.mu.Unlock()
		if active := d.State().Active; active != "" && which%3 == 0 {
			d.stop(active)
		} else if len(order) > 0 {
			d.stop(order[len(order)-1-which%min(len(order), 4)])
		}
	case what < 77:
		d.rename(later, d.user.slot(which), fmt.Sprintf("%s %d", d.user.mark, which))
	case what < 79 && which%3 == 0:
		id := d.user.retire(which)
		later(func(ctx context.Context) { d.erase(ctx, c, id) })
	case what < 84:
		w.record(d.name, "wake")
		_ = c.Wake() // it fails only for a closed client
	case what < 90:
		w.record(d.name, "cut its own socket")
		w.count("own cuts", 1)
		_ = c.Cut()
	case what < 93:
		w.record(d.name, "reload")
		w.count("reloads", 1)
		d.leave()
		if err := d.connect(ctx, d.user.slot(which)); err != nil {
			return
		}
	default:
		later(func(ctx context.Context) { d.ask(ctx, c, which) })
	}
}

// ask requests a list.
func (d *device) ask(ctx context.Context, c *client.Client, which int) {
	switch which % 3 {
	case 0:
		_, _ = c.Threads(ctx) // lists are judged at the end; here the request only competes with others
	case 1:
		_, _ = c.Runs(ctx, "", 20)
	case 2:
		_, _ = c.History(ctx, 0, 20)
	}
	d.user.world.record(d.name, "asked for list %d", which%3)
}

func (d *device) rename(later func(func(context.Context)), id chat.ThreadID, title string) {
	d.user.mu.Lock()
	t := d.user.threadOf(id)
	t.titles = append(t.titles, title)
	d.user.mu.Unlock()
	c := d.Client
	later(func(ctx context.Context) {
		err := c.Rename(ctx, id, title)
		d.user.world.record(d.name, "rename %s: %q: %v", id, title, err)
	})
}

// question returns the text of the next run: a script for the scripted model, or a text for which it has a rule.
func (d *device) question(random *rand.Rand) string {
	mark, tag := d.user.mark, fmt.Sprintf("%s-%d", strings.ReplaceAll(d.name, ".", "-"), d.at)
	begin := "/say " + mark + " " + tag
	x, y := 2+random.IntN(900), 2+random.IntN(900)
	switch kind := random.IntN(100); {
	case kind < 20:
		return begin + strings.Repeat(" and on", random.IntN(20))
	case kind < 40:
		return fmt.Sprintf("%s\n/stream %d %d %d", begin, 5+random.IntN(60), 20+random.IntN(150), random.IntN(60))
	case kind < 55:
		return fmt.Sprintf("%s\n/call calculator {\"expression\":\"%d*%d\"}\n/say end %s", begin, x, y, mark)
	case kind < 62:
		return fmt.Sprintf("%s\n/call calculator {\"expression\":\"%d*%d\"}\n/call calculator "+
			"{\"expression\":\"%d*%d\"}\n/stream 10 50", begin, x, y, y, x)
	case kind < 67:
		return "/think " + mark + " let me see" + strings.Repeat(" and see", random.IntN(10)) + "\n" + begin
	case kind < 70:
		return fmt.Sprintf("%s\n/stream %d 0 12000", begin, 1+random.IntN(5))
	case kind < 76:
		return begin + "\n/fail " + []string{"late", "model", "panic"}[random.IntN(3)]
	case kind < 84:
		return "note: " + mark + " " + tag
	case kind < 88:
		return "my notes"
	case kind < 92:
		return "delete all notes"
	case kind < 96:
		return fmt.Sprintf("%s what is %d*%d?", mark, x, y)
	}
	return mark + " how are you?"
}

// slot returns one of the threads in use.
func (u *user) slot(which int) chat.ThreadID {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.slots) < slots {
		u.slots = append(u.slots, chat.ThreadID(fmt.Sprintf("thread-%d.1", len(u.slots))))
	}
	return u.slots[which%slots]
}

// retire replaces a thread in use by a new one.
func (u *user) retire(which int) chat.ThreadID {
	id := u.slot(which)
	u.mu.Lock()
	defer u.mu.Unlock()
	var slot, life int
	if _, err := fmt.Sscanf(string(id), "thread-%d.%d", &slot, &life); err == nil {
		u.slots[slices.Index(u.slots, id)] = chat.ThreadID(fmt.Sprintf("thread-%d.%d", slot, life+1))
	}
	return id
}

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

// slots is how many threads a user has in use at a time; threads of all users have the same ids.
const slots = 4

// patience is how long a device waits for an answer before it does the next thing.
const patience = 20 * time.Second

// play lets a device do its steps until the ctx ends. What each step is follows from the seed, the device and the
// step's number alone: only to what it applies (which run is the last, what is asked) may differ from one time to the
// next.
func (d *device) play(ctx context.Context, number uint64) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for ; ctx.Err() == nil; d.at++ {
		dice := rand.New(rand.NewPCG(d.user.world.seed^number<<40, uint64(d.at)))
		pause(ctx, time.Duration(30+dice.IntN(800))*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		d.user.world.count("steps", 1)
		d.step(ctx, dice, &waiting)
	}
}

// step does one thing.
func (d *device) step(ctx context.Context, dice *rand.Rand, waiting *sync.WaitGroup) {
	what, which, text := dice.IntN(100), dice.IntN(1<<20), d.question(dice)
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
		w.did(d.name, "open %s", id)
		if err := d.show(id); err != nil {
			w.must(d.name, "the client cannot open %s: %v", id, err)
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
		w.did(d.name, "wake")
		_ = c.Wake() // it fails only when the client is closed, and then it was to be
	case what < 90:
		w.did(d.name, "cut its own socket")
		w.count("own cuts", 1)
		_ = c.Cut()
	case what < 93:
		w.did(d.name, "reload")
		w.count("reloads", 1)
		d.leave()
		if err := d.connect(ctx, d.user.slot(which)); err != nil {
			return
		}
	default:
		later(func(ctx context.Context) { d.ask(ctx, c, which) })
	}
}

// ask asks for a list.
func (d *device) ask(ctx context.Context, c *client.Client, which int) {
	switch which % 3 {
	case 0:
		_, _ = c.Threads(ctx) // what it says is judged at the end; here it only is in the way of others
	case 1:
		_, _ = c.Runs(ctx, "", 20)
	case 2:
		_, _ = c.History(ctx, 0, 20)
	}
	d.user.world.did(d.name, "asked for list %d", which%3)
}

func (d *device) rename(later func(func(context.Context)), id chat.ThreadID, title string) {
	d.user.mu.Lock()
	t := d.user.topic(id)
	t.titles = append(t.titles, title)
	d.user.mu.Unlock()
	c := d.Client
	later(func(ctx context.Context) {
		err := c.Rename(ctx, id, title)
		d.user.world.did(d.name, "rename %s: %q: %v", id, title, err)
	})
}

// question is what the next run asks; each is a script for the scripted model, or something that it has a rule for.
func (d *device) question(dice *rand.Rand) string {
	mark, tag := d.user.mark, fmt.Sprintf("%s-%d", strings.ReplaceAll(d.name, ".", "-"), d.at)
	begin := "/say " + mark + " " + tag
	x, y := 2+dice.IntN(900), 2+dice.IntN(900)
	switch kind := dice.IntN(100); {
	case kind < 20:
		return begin + strings.Repeat(" and on", dice.IntN(20))
	case kind < 40:
		return fmt.Sprintf("%s\n/stream %d %d %d", begin, 5+dice.IntN(60), 20+dice.IntN(150), dice.IntN(60))
	case kind < 55:
		return fmt.Sprintf("%s\n/call calculator {\"expression\":\"%d*%d\"}\n/say end %s", begin, x, y, mark)
	case kind < 62:
		return fmt.Sprintf("%s\n/call calculator {\"expression\":\"%d*%d\"}\n/call calculator "+
			"{\"expression\":\"%d*%d\"}\n/stream 10 50", begin, x, y, y, x)
	case kind < 67:
		return "/think " + mark + " let me see" + strings.Repeat(" and see", dice.IntN(10)) + "\n" + begin
	case kind < 70:
		return fmt.Sprintf("%s\n/stream %d 0 12000", begin, 1+dice.IntN(5))
	case kind < 76:
		return begin + "\n/fail " + []string{"late", "model", "panic"}[dice.IntN(3)]
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

// slot is one of the threads in use.
func (u *user) slot(which int) chat.ThreadID {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.slots) < slots {
		u.slots = append(u.slots, chat.ThreadID(fmt.Sprintf("thread-%d.1", len(u.slots))))
	}
	return u.slots[which%slots]
}

// retire takes a thread out of use and puts the next into its place.
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

package soak_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// view is a thread as a device shows it in the end.
type view struct {
	device   string
	thread   chat.ThreadID
	epoch    chat.Epoch
	seq      chat.Seq
	messages []agui.Message
}

// settle waits without faults until all runs have ended, starts one more run on every thread, and returns every
// device's view of every thread in use.
func (w *world) settle(ctx context.Context) map[*user][]view {
	var all sync.WaitGroup
	var mu sync.Mutex
	views := map[*user][]view{}
	for _, u := range w.users {
		all.Go(func() {
			shown, err := u.settle(ctx)
			if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
				w.fail(u.name, "is not quiet: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			views[u] = shown
		})
	}
	all.Wait()
	return views
}

func (u *user) settle(ctx context.Context) ([]view, error) {
	first := u.devices[0]
	for _, t := range u.unconfirmedDeletes() {
		first.erase(ctx, first.Client, t)
	}
	// A request without an answer may take effect only now, so wait for all windows first.
	for _, d := range u.devices {
		for _, id := range u.live() {
			if err := d.rest(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range u.live() {
		if err := first.rest(ctx, id); err != nil {
			return nil, err
		}
		first.send("/say " + u.mark + " last words in " + string(id))
		if err := first.rest(ctx, id); err != nil {
			return nil, err
		}
	}
	var views []view
	for _, id := range u.live() {
		want := chat.Seq(0)
		for _, d := range u.devices {
			if err := d.rest(ctx, id); err != nil {
				return views, err
			}
			v, err := d.view(ctx)
			if err != nil {
				return views, err
			}
			if want = max(want, v.seq); v.seq != want {
				u.world.fail(d.name, "shows thread %s up to event %d, another device up to %d", id, v.seq, want)
			}
			views = append(views, v)
		}
	}
	u.checkSame(views)
	for _, d := range u.devices {
		if err := d.checkList(ctx); err != nil {
			return views, err
		}
	}
	return views, u.checkDeleted(ctx)
}

// unconfirmedDeletes returns the threads whose deletion was requested and not confirmed.
func (u *user) unconfirmedDeletes() (ids []chat.ThreadID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, t := range u.threads {
		if t.delete && !t.deleted {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// settleTime is the longest time until a thread is quiet: after faults, leases may have to expire first.
func (w *world) settleTime() time.Duration {
	if w.faultsOn {
		return rest
	}
	return 90 * time.Second // a started run without an invocation is due after a minute
}

// rest opens a thread and waits until it has no running, queued or unsent run and no interrupt. It declines interrupts.
func (d *device) rest(ctx context.Context, id chat.ThreadID) error {
	if err := d.show(id); err != nil {
		return err
	}
	_ = d.Wake() // a closed client is reported below
	for {
		s, err := d.quiet(ctx, id)
		if err != nil {
			return fmt.Errorf("%s: thread %s: %w: it shows %s", d.name, id, err, summary(s))
		}
		if len(s.Interrupts) == 0 {
			return nil
		}
		d.reply(s.Interrupts, false, "")
	}
}

// errNotQuiet reports a thread that is not quiet in time: a request has no answer, or a run does not end.
var errNotQuiet = errors.New("the thread is not quiet")

// quiet waits until the thread is quiet. Every five seconds it wakes the client, as a person who looks at the page
// does.
func (d *device) quiet(ctx context.Context, id chat.ThreadID) (client.State, error) {
	began, most := time.Now(), d.user.world.settleTime()
	for {
		some, cancel := context.WithTimeout(ctx, 5*time.Second)
		s, err := d.WaitFor(some, func(s client.State) bool {
			return s.ThreadID == id && s.Status == client.Ready && !s.Lagging && s.Active == "" &&
				len(s.Sending) == 0 &&
				(len(s.Queued) == 0 || len(s.Interrupts) > 0) // runs behind an interrupt wait for its response
		})
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, client.ErrClosed) {
			return s, err
		}
		if time.Since(began) > most {
			return s, fmt.Errorf("%w in %v", errNotQuiet, most)
		}
		if err := d.Wake(); err != nil {
			return s, err
		}
	}
}

func summary(s client.State) string {
	return fmt.Sprintf("%s, event %d, lagging %t, active %q, queued %q, sending %q, %d interrupts, %v", s.Status, s.Seq,
		s.Lagging,
		s.Active, s.Queued, s.Sending, len(s.Interrupts), s.Err)
}

// view returns the messages that the device shows now, with the pages before its snapshot.
func (d *device) view(ctx context.Context) (view, error) {
	s := d.State()
	v := view{d.name, s.ThreadID, s.Epoch, s.Seq, s.Messages}
	older := s.Before > 0
	for before := s.Before; before > 0; {
		page, err := d.History(ctx, before, 100)
		if err != nil {
			return v, fmt.Errorf("%s: read older messages of %s: %w", d.name, s.ThreadID, err)
		}
		v.messages = append(slices.Clone(page.Messages), v.messages...)
		before = page.Before
	}
	if older { // the call of a result may be in a later page
		var f agui.Folder
		f.Add(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: v.messages}})
		v.messages = f.Messages()
	}
	return v, nil
}

// same wants all devices to show the same of each thread.
func (u *user) checkSame(views []view) {
	first := map[chat.ThreadID]view{}
	for _, v := range views {
		f, is := first[v.thread]
		if !is {
			first[v.thread] = v
			continue
		}
		if f.epoch != v.epoch || len(f.messages) != len(v.messages) {
			u.world.fail(v.device, "shows %d messages of %s, %s shows %d", len(v.messages), v.thread, f.device,
				len(f.messages))
			continue
		}
		for i, m := range v.messages {
			g := f.messages[i]
			if m.ID != g.ID || m.Role != g.Role || m.Content != g.Content ||
				!reflect.DeepEqual(m.ToolCalls, g.ToolCalls) {
				u.world.fail(v.device, "shows of %s, as message %d, %s, and %s shows %s", v.thread, i,
					render([]agui.Message{m}), f.device, render([]agui.Message{g}))
				break
			}
		}
	}
}

// checkList checks that the device lists each thread in use as idle, with a title from a rename or from its first
// text.
func (d *device) checkList(ctx context.Context) error {
	rows, err := d.Threads(ctx)
	if err != nil {
		return fmt.Errorf("%s: list threads: %w", d.name, err)
	}
	u := d.user
	listed := map[chat.ThreadID]wire.ThreadInfo{}
	for _, row := range rows {
		listed[row.ThreadID] = row
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range u.slots {
		row, is := listed[id]
		titled := slices.Contains(u.threadOf(id).titles, row.Title)
		for _, r := range u.runs {
			words := strings.Join(strings.Fields(r.text), " ")
			titled = titled || r.thread == id && strings.HasPrefix(words, strings.TrimSuffix(row.Title, "…"))
		}
		if !is || !titled || row.Status != chat.ThreadIdle {
			u.world.fail(d.name, "lists thread %s as %+v (%t)", id, row, is)
		}
		delete(listed, id)
	}
	for id := range listed {
		if t := u.threadOf(id); t.deleted {
			u.world.count("rows of deleted threads that a window still lists", 1)
		} else if !t.delete {
			u.world.fail(d.name, "lists thread %s, which no device has used", id)
		}
	}
	return nil
}

// checkDeleted checks that deleted threads show nothing.
func (u *user) checkDeleted(ctx context.Context) error {
	d := u.devices[len(u.devices)-1]
	u.mu.Lock()
	var gone []chat.ThreadID
	for id, t := range u.threads {
		if t.deleted {
			gone = append(gone, id)
		}
	}
	u.mu.Unlock()
	slices.Sort(gone)
	for _, id := range gone[max(0, len(gone)-3):] {
		if err := d.rest(ctx, id); err != nil {
			return err
		}
		if s := d.State(); s.Epoch != "" || len(s.Messages) > 0 {
			u.world.fail(d.name, "shows %d messages of %s, which was deleted", len(s.Messages), id)
		}
	}
	return nil
}

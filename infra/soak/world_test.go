package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// world holds all users and the record of their actions.
type world struct {
	seed     uint64
	stack    *stack.Stack
	users    []*user
	oracle   oracle
	faultsOn bool               // faults may strike, so runs may fail
	stop     context.CancelFunc // ends the soak at the first failure, so that the last steps are near the cause
	began    time.Time

	mu       sync.Mutex
	steps    []step
	wrong    []step // failures
	counted  map[string]int
	arrivals map[chat.RunID]int // how often a run's frame passed the gateway
}

// step is an action or an observation, with its time.
type step struct {
	at   time.Duration
	who  string
	what string
}

func (s step) String() string { return fmt.Sprintf("%9.3fs  %-8s %s", s.at.Seconds(), s.who, s.what) }

func newWorld(seed uint64, s *stack.Stack, users int) *world {
	w := &world{seed: seed, stack: s, oracle: newOracle(), began: time.Now(), counted: map[string]int{},
		arrivals: map[chat.RunID]int{}}
	random := rand.New(rand.NewPCG(seed, 77))
	for i := range users {
		mark := make([]byte, 14)
		for j := range mark {
			mark[j] = byte('a' + random.IntN(26))
		}
		w.users = append(w.users, &user{world: w, name: fmt.Sprintf("u%02d", i), mark: "mark" + string(mark),
			runs: map[chat.RunID]*run{}, threads: map[chat.ThreadID]*thread{}})
	}
	return w
}

func (w *world) record(who, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, step{time.Since(w.began), who, fmt.Sprintf(format, args...)})
}

// fail records a failure.
func (w *world) fail(who, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := step{time.Since(w.began), who, "WRONG: " + fmt.Sprintf(format, args...)}
	w.steps, w.wrong = append(w.steps, s), append(w.wrong, s)
	if w.stop != nil {
		w.stop()
	}
}

func (w *world) count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted[what] += n
}

// user is a made-up user. The user's mark is in every text that the user sends, and in no other user's text.
type user struct {
	world      *world
	name, mark string
	devices    []*device

	mu      sync.Mutex
	runs    map[chat.RunID]*run
	order   []chat.RunID // in the order of sending
	threads map[chat.ThreadID]*thread
	slots   []chat.ThreadID // the threads in use
}

// run holds the facts about a run that follow from requests and their answers.
type run struct {
	id       chat.RunID
	thread   chat.ThreadID
	text     string // "": it only responds to interrupts
	device   *device
	client   int // the number of the device's client that sent it
	sent     bool
	accepted bool
	refused  wire.Code
	began    bool // an event of it was received
	stopped  bool // its cancellation was requested
	answers  chat.RunID
	approves bool
}

// thread holds the facts about a thread that follow from requests and their answers.
type thread struct {
	id      chat.ThreadID
	titles  []string // requested by renames
	delete  bool     // its deletion was requested
	deleted bool     // the deletion was confirmed
	epochs  map[chat.Epoch]map[chat.Seq]sighting
}

// sighting is one event as a socket received it.
type sighting struct {
	hash uint64
	run  chat.RunID
}

// runOf returns the record of a run. A frame may mention the run before its sender has recorded it.
func (u *user) runOf(id chat.RunID) *run {
	r := u.runs[id]
	if r == nil {
		r = &run{id: id}
		u.runs[id] = r
	}
	return r
}

// threadOf returns the record of a thread.
func (u *user) threadOf(id chat.ThreadID) *thread {
	t := u.threads[id]
	if t == nil {
		t = &thread{id: id, epochs: map[chat.Epoch]map[chat.Seq]sighting{}}
		u.threads[id] = t
	}
	return t
}

// device is one window of a user: a client, replaced by the next one after a reload.
type device struct {
	user *user
	name string
	n    int // the number of the client, from 1

	*client.Client
	opened map[chat.ThreadID]bool
	open   chat.ThreadID
	at     int // its next step
}

// connect opens the device's next client.
func (d *device) connect(ctx context.Context, id chat.ThreadID) error {
	d.user.mu.Lock()
	d.n++
	d.opened, d.open = map[chat.ThreadID]bool{id: true}, id
	d.user.mu.Unlock()
	l := &listener{device: d, user: d.user}
	w := d.user.world
	for {
		c, err := client.Dial(ctx, client.Config{URL: w.stack.Endpoints().WebSocket, Thread: id, OnFrame: l.receive,
			Token: func(ctx context.Context) (string, error) {
				w.count("sockets", 1)
				return testkit.SignIn(ctx, w.stack.Endpoints(), url.Values{"user": {d.user.name}})
			}})
		if err == nil {
			d.Client = c
			w.count("windows", 1)
			return nil
		}
		w.record(d.name, "cannot connect: %v", err)
		if ctx.Err() != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// leave closes the client. A request without an answer may or may not have taken effect.
func (d *device) leave() {
	d.Close()
	d.user.mu.Lock()
	defer d.user.mu.Unlock()
	for _, r := range d.user.runs {
		if r.device == d && r.client == d.n && !r.accepted && !r.began && r.refused == "" {
			r.sent = false
		}
	}
}

// send requests a run and records it.
func (d *device) send(text string) {
	id, err := d.Send(text)
	d.sent(id, text, err, nil)
}

func (d *device) sent(id chat.RunID, text string, err error, about func(*run)) {
	u := d.user
	if err != nil {
		u.world.fail(d.name, "the client rejects %q: %v", clip(text), err)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.runOf(id)
	r.thread, r.text, r.device, r.client, r.sent = d.open, text, d, d.n, true
	if about != nil {
		about(r)
	}
	u.threadOf(d.open)
	u.order = append(u.order, id)
	u.world.record(d.name, "run %s on %s: %q", id, d.open, clip(text))
	u.world.count("runs", 1)
}

// reply responds to all open interrupts.
func (d *device) reply(open []agui.Interrupt, approve bool, text string) {
	status, asked := agui.ResumeCancelled, chat.RunID("")
	if approve {
		status = agui.ResumeResolved
	}
	var answers []agui.Resume
	for _, i := range open {
		var about struct {
			Carrel struct {
				RunID chat.RunID `json:"runId"`
			} `json:"carrel"`
		}
		if err := json.Unmarshal(i.Metadata, &about); err != nil {
			d.user.world.fail(d.name, "an interrupt without its run: %s", i.Metadata)
		}
		asked = about.Carrel.RunID
		answers = append(answers, agui.Resume{InterruptID: i.ID, Status: status})
	}
	id, err := d.Respond(answers, text)
	d.sent(id, text, err, func(r *run) { r.answers, r.approves = asked, approve })
}

// stop cancels a run.
func (d *device) stop(id chat.RunID) {
	d.user.mu.Lock()
	d.user.runOf(id).stopped = true
	d.user.mu.Unlock()
	d.user.world.record(d.name, "cancel %s", id)
	if err := d.Cancel(id); err != nil {
		d.user.world.fail(d.name, "the client cannot cancel: %v", err)
	}
}

// show opens a thread.
func (d *device) show(id chat.ThreadID) error {
	d.user.mu.Lock()
	d.opened[id] = true
	d.user.mu.Unlock()
	d.open = id
	return d.Open(id)
}

// erase deletes a thread with one of the device's clients.
func (d *device) erase(ctx context.Context, c *client.Client, id chat.ThreadID) {
	u := d.user
	u.mu.Lock()
	t := u.threadOf(id)
	t.delete = true
	for _, r := range u.runs {
		if r.thread == id {
			r.stopped = true
		}
	}
	u.mu.Unlock()
	err := c.Delete(ctx, id)
	var refused *client.Refused
	if err == nil || errors.As(err, &refused) && refused.Code == wire.CodeNotFound {
		u.mu.Lock()
		t.deleted = t.deleted || err == nil
		u.mu.Unlock()
	} else if ctx.Err() == nil && !errors.Is(err, client.ErrClosed) {
		u.world.fail(d.name, "delete %s: %v", id, err)
	}
	u.world.record(d.name, "delete %s: %v", id, err)
}

// pause waits for a duration, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (u *user) live() []chat.ThreadID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.slots)
}

package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/shared/agui"
	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// Of the deployment under judgment.
const (
	runTime = 40 * time.Second
	// until its deadline, and a minute more until sweep finds it due
	longest   = runTime + 2*time.Minute + 30*time.Second
	whenAgain = 2 * time.Second
)

// fate is how a run went, as the log tells.
type fate struct {
	run     chat.RunID
	thread  chat.ThreadID
	outcome outcome
	code    string
	ends    int
	from    int64 // ms
	to      int64
}

// judge compares what every device shows, and what is in the table, with what was sent.
func (w *world) judge(ctx context.Context, views map[*user][]view) error {
	for _, u := range w.users {
		if err := u.judge(ctx, views[u]); err != nil {
			return fmt.Errorf("%s: %w", u.name, err)
		}
	}
	return nil
}

// store is what an operator sees of the user.
func (u *user) store(ctx context.Context) (*store.Store, error) {
	e := u.world.stack.Endpoints()
	local := map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": endpoints.OperatorKey,
		"AWS_SECRET_ACCESS_KEY":     e.OperatorSecret,
		"AWS_ENDPOINT_URL_DYNAMODB": e.DynamoDB}
	c, err := awsenv.Config(func(name string) string { return local[name] })
	if err != nil {
		return nil, err
	}
	table := store.New(store.NewClient(c), store.Config{Name: e.Table})
	who, err := table.ForOperator(ctx, store.Named{Issuer: e.Issuer, Subject: u.name})
	if err != nil {
		return nil, err
	}
	return table.For(who)
}

func (u *user) judge(ctx context.Context, views []view) error {
	s, err := u.store(ctx)
	if err != nil {
		return err
	}
	if err := u.verify(ctx, s); err != nil {
		return err
	}
	fates := map[chat.RunID]fate{}
	for _, id := range u.live() {
		if err := u.log(ctx, s, id, fates); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range views {
		if i == 0 || views[i-1].thread != v.thread { // the others show the same
			u.compare(v, fates)
		}
	}
	u.account(fates)
	return nil
}

// emptied reads the desk until it is empty, for as long as coming to rest may take. No window waits for the runs of a
// deleted thread, and a run with a dead worker ends when sweep finds it due.
func (u *user) emptied(ctx context.Context, s *store.Store) (runqueue.Queue, error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for end := time.Now().Add(u.world.calm()); ; {
		d, err := s.RunQueue(ctx)
		if err != nil || len(d.Slots)+len(d.Queued) == 0 || time.Now().After(end) {
			return d, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return d, nil
		}
	}
}

// verify wants the desk empty, and nothing in the table that does not fit.
func (u *user) verify(ctx context.Context, s *store.Store) error {
	d, err := u.emptied(ctx, s)
	if err != nil {
		return err
	}
	if len(d.Slots)+len(d.Queued) > 0 {
		u.world.must(u.name, "the desk still has %v and %v", d.Slots, d.Queued)
	}
	found, err := s.Verify(ctx)
	for try := 0; err == nil && len(found) > 0 && try < 3; try++ { // what is under way is over by then, or elsewhere
		pause(ctx, whenAgain)
		var second []store.Finding
		second, err = s.Verify(ctx)
		found = slices.DeleteFunc(found, func(f store.Finding) bool {
			return !slices.ContainsFunc(second, func(g store.Finding) bool {
				return f.Kind == g.Kind &&
					f.Thing == g.Thing
			})
		})
	}
	for _, f := range found {
		if f.Kind == "input without run" { // of an admission that was refused or broke off; it expires
			u.world.count("inputs left to expire", 1)
			continue
		}
		u.world.must(u.name, "verify finds %s: %s %s", f.Kind, f.Thing, f.Detail)
	}
	return err
}

// log reads a thread's log, wants it whole and each run in it with one end, and wants every event that a socket was
// sent to be in it.
func (u *user) log(ctx context.Context, s *store.Store, id chat.ThreadID, fates map[chat.RunID]fate) error {
	t, err := s.Thread(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var order agui.Order
	at, w := chat.Seq(0), u.world
	seen := u.seen(id, t.Epoch)
	for {
		records, err := s.Log(ctx, id, t.Epoch, at, 100)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if r.Seq != at+1 {
				w.count("gaps", 1)
				w.must(u.name, "thread %s: record %d follows event %d", id, r.Seq, at)
			}
			for i, e := range r.Events {
				at = r.Seq + chat.Seq(i)
				if err := order.Check(e); err != nil {
					w.must(u.name, "thread %s, event %d: %v", id, at, err)
				}
				u.event(id, r.Run, e, fates)
				if text, err := json.Marshal(e); err != nil || seen[at] != (sighting{}) &&
					seen[at] != (sighting{hashOf(text), r.Run}) {
					w.must(u.name, "thread %s, event %d of %s was sent otherwise than it is in the log: %s, %v", id, at,
						r.Run, text, err)
				}
				delete(seen, at)
			}
		}
	}
	w.count("events", int(at))
	if at != t.Head || len(seen) > 0 {
		w.must(u.name, "thread %s has %d events, its head is %d, and %d events were sent that are not there", id, at,
			t.Head, len(seen))
	}
	return nil
}

func (u *user) seen(id chat.ThreadID, epoch chat.Epoch) map[chat.Seq]sighting {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := map[chat.Seq]sighting{}
	for e, events := range u.topic(id).epochs {
		if e != epoch {
			u.world.must(u.name, "thread %s was shown with the epochs %s and %s", id, e, epoch)
			continue
		}
		for seq, s := range events {
			all[seq] = s
		}
	}
	return all
}

// event notes what an event says of its run's fate.
func (u *user) event(id chat.ThreadID, run chat.RunID, e agui.Event, fates map[chat.RunID]fate) {
	f := fates[run]
	f.run, f.thread = run, id
	if f.ends > 0 {
		u.world.must(u.name, "run %s has ended and says %s", run, e.Type)
	}
	if e.Type == agui.RunStarted {
		f.from = e.Timestamp
	}
	if e.Terminal() {
		f.ends, f.to = f.ends+1, e.Timestamp
		f.outcome, f.code = failed, e.Code
		if e.Type == agui.RunFinished {
			f.outcome = outcome(e.Outcome.Type)
		}
	}
	fates[run] = f
}

// account wants each run to have become what it must: accepted ones ended once, refused ones never began.
func (u *user) account(fates map[chat.RunID]fate) {
	w := u.world
	for id, f := range fates {
		r := u.runs[id]
		if r == nil || r.device == nil {
			w.must(u.name, "run %s is in the log and nobody asked for it", id)
		}
		if f.ends != 1 {
			w.must(u.name, "run %s has %d ends", id, f.ends)
		}
		if took := time.Duration(f.to-f.from) * time.Millisecond; took > longest {
			w.must(u.name, "run %s took %v, more than %v", id, took, longest)
		}
		w.count("outcome: "+strings.TrimSpace(string(f.outcome)+" "+f.code), 1)
	}
	for id, r := range u.runs {
		f, there := fates[id]
		gone := r.device != nil && u.topic(r.thread).delete
		switch {
		case r.device == nil:
			w.must(u.name, "was told of a run %s that nobody asked for", id)
		case gone:
			w.count("outcome: deleted with its thread", 1)
		case there && r.refused != "" && !r.accepted && w.came[id] < 2:
			w.must(u.name, "run %s was refused (%s) and has begun all the same, %+v", id, r.refused, f)
		case there:
		case r.refused != "" && !r.accepted:
			w.count("outcome: refused", 1)
			u.maybe(r)
		case r.stopped:
			w.count("outcome: cancelled before it began", 1)
		case r.began:
			w.must(u.name, "run %s was shown and is not in the log", id)
		case r.accepted || r.sent:
			w.count("lost", 1)
			w.must(u.name, "run %s on %s, accepted %t, is lost: %q", id, r.thread, r.accepted, clip(r.text))
		default:
			w.count("outcome: never arrived from a window that was closed", 1)
		}
	}
}

// maybe wants a refusal to have a reason.
func (u *user) maybe(r *run) {
	switch r.refused {
	case wire.CodeTooManyRuns, wire.CodeInterrupted:
	case wire.CodeNotFound:
		u.world.must(u.name, "run %s on %s, which nobody has deleted, was refused as not_found", r.id, r.thread)
	default:
		u.world.must(u.name, "run %s was refused: %s", r.id, r.refused)
	}
}

// compare compares what a thread shows with what its questions lead to.
func (u *user) compare(v view, fates map[chat.RunID]fate) {
	w := u.world
	var last *said
	var id chat.RunID
	shown := map[chat.RunID]bool{}
	check := func() {
		if last == nil {
			return
		}
		u.answersTo(id, last, fates)
		if err := w.oracle.check(*last); err != nil {
			w.must(v.device, "thread %s, run %s: %v", v.thread, id, err)
		}
	}
	for _, m := range v.messages {
		if m.Role != agui.RoleUser {
			if last == nil {
				w.must(v.device, "thread %s begins with %s", v.thread, render([]agui.Message{m}))
				continue
			}
			last.messages = append(last.messages, m)
			continue
		}
		check()
		id = chat.RunID(strings.TrimSuffix(m.ID, ".1"))
		r, f := u.runs[id], fates[id]
		if r == nil || r.text != m.Content || shown[id] {
			w.must(v.device, "thread %s shows a question that was not asked, or twice: %s", v.thread,
				render([]agui.Message{m}))
		}
		shown[id] = true
		last = &said{question: m.Content, outcome: f.outcome, stopped: r != nil && r.stopped, faulty: u.faulty(r)}
	}
	check()
	for id, f := range fates {
		if f.thread == v.thread && u.runs[id] != nil && u.runs[id].text != "" && !shown[id] {
			w.count("lost", 1)
			w.must(v.device, "thread %s does not show run %s: %q", v.thread, id, u.runs[id].text)
		}
	}
}

// faulty reports whether faults were about when a run did its work.
func (u *user) faulty(r *run) bool {
	return u.world.chaos && r != nil && !strings.Contains(r.text, "last words")
}

// answersTo adds what the runs that answer a run's question make of it.
func (u *user) answersTo(id chat.RunID, s *said, fates map[chat.RunID]fate) {
	for _, r := range u.runs {
		f, began := fates[r.id]
		if r.answers != id || !began {
			continue
		}
		pattern := `^The person was asked and refused\. The tool was not called\.$`
		if r.approves {
			pattern = `^Deleted all \d+ notes\.$`
		}
		s.answered = append(s.answered, pattern)
		if r.text == "" {
			s.after, s.stoppedAfter = f.outcome, r.stopped
		}
	}
}

package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/shared/agui"
	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// Limits of the tested deployment.
const (
	runTime = 40 * time.Second
	// longest is the time until a run's deadline, and a minute more until sweep finds it due.
	longest   = runTime + 2*time.Minute + 30*time.Second
	whenAgain = 2 * time.Second
)

// loggedRun is a run as the log shows it.
type loggedRun struct {
	run     chat.RunID
	thread  chat.ThreadID
	outcome outcome
	code    string
	ends    int
	from    int64 // ms
	to      int64
}

// judge compares the views of all devices, and the table, with the requests.
func (w *world) judge(ctx context.Context, views map[*user][]view) error {
	for _, u := range w.users {
		if err := u.judge(ctx, views[u]); err != nil {
			return fmt.Errorf("%s: %w", u.name, err)
		}
	}
	return nil
}

// store returns the user's store with an operator's credentials.
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
	owner, err := table.ForOperator(ctx, store.Named{Issuer: e.Issuer, Subject: u.name})
	if err != nil {
		return nil, err
	}
	return table.For(owner)
}

func (u *user) judge(ctx context.Context, views []view) error {
	s, err := u.store(ctx)
	if err != nil {
		return err
	}
	if err := u.verify(ctx, s); err != nil {
		return err
	}
	logged := map[chat.RunID]loggedRun{}
	for _, id := range u.live() {
		if err := u.log(ctx, s, id, logged); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range views {
		if i == 0 || views[i-1].thread != v.thread { // the others show the same
			u.compare(v, logged)
		}
	}
	u.checkRuns(logged)
	return nil
}

// waitForEmptyQueue reads the run queue until it is empty, at most for the settle time. No window waits for the runs
// of a deleted thread, and a run with a dead worker ends only when sweep finds it due.
func (u *user) waitForEmptyQueue(ctx context.Context, s *store.Store) (runqueue.Queue, error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for end := time.Now().Add(u.world.settleTime()); ; {
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

// verify checks that the run queue is empty and that the table is consistent.
func (u *user) verify(ctx context.Context, s *store.Store) error {
	d, err := u.waitForEmptyQueue(ctx, s)
	if err != nil {
		return err
	}
	if len(d.Slots)+len(d.Queued) > 0 {
		u.world.fail(u.name, "the run queue still has %v and %v", d.Slots, d.Queued)
	}
	found, err := s.Verify(ctx)
	// an operation in progress ends, or moves on, by then
	for try := 0; err == nil && len(found) > 0 && try < 3; try++ {
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
		if f.Kind == "input without run" { // left by an admission that was refused or failed; it expires
			u.world.count("inputs left to expire", 1)
			continue
		}
		u.world.fail(u.name, "verify finds %s: %s %s", f.Kind, f.Thing, f.Detail)
	}
	return err
}

// log checks a thread's log: it has no gap, each run in it ends once, and it holds every event that a socket received.
func (u *user) log(ctx context.Context, s *store.Store, id chat.ThreadID, logged map[chat.RunID]loggedRun) error {
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
				w.fail(u.name, "thread %s: record %d follows event %d", id, r.Seq, at)
			}
			for i, e := range r.Events {
				at = r.Seq + chat.Seq(i)
				if err := order.Check(e); err != nil {
					w.fail(u.name, "thread %s, event %d: %v", id, at, err)
				}
				u.event(id, r.Run, e, logged)
				if text, err := json.Marshal(e); err != nil || seen[at] != (sighting{}) &&
					seen[at] != (sighting{hashOf(text), r.Run}) {
					w.fail(u.name, "thread %s, event %d of %s was sent with another text than the log has: %s, %v", id,
						at,
						r.Run, text, err)
				}
				delete(seen, at)
			}
		}
	}
	w.count("events", int(at))
	if at != t.Head || len(seen) > 0 {
		w.fail(u.name, "thread %s has %d events, its head is %d, and %d events were sent that are not there", id, at,
			t.Head, len(seen))
	}
	return nil
}

func (u *user) seen(id chat.ThreadID, epoch chat.Epoch) map[chat.Seq]sighting {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := map[chat.Seq]sighting{}
	for e, events := range u.threadOf(id).epochs {
		if e != epoch {
			u.world.fail(u.name, "thread %s was shown with the epochs %s and %s", id, e, epoch)
			continue
		}
		for seq, s := range events {
			all[seq] = s
		}
	}
	return all
}

// event records the start and the end of a run.
func (u *user) event(id chat.ThreadID, run chat.RunID, e agui.Event, logged map[chat.RunID]loggedRun) {
	f := logged[run]
	f.run, f.thread = run, id
	if f.ends > 0 {
		u.world.fail(u.name, "run %s has ended and emits %s", run, e.Type)
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
	logged[run] = f
}

package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
	"carrel/shared/parallel"
	"carrel/shared/runqueue"
)

// Admit records a run and gives it a slot or a place in the queue, in one transaction that also creates the thread if
// it does not exist. A repeat of the same run returns the result of the first request.
//
// Admit fails with chat.ErrBusy, chat.ErrTooManyRuns, a *chat.RateLimitedError or a *chat.BudgetError as
// runqueue.Queue.Admit does; with chat.ErrBadID for a run id that another request or thread uses; with chat.ErrNotFound
// for a deleted thread; with chat.ErrErasing for a user who is being erased; and with an *InterruptedError if the
// responses do not match the thread's open interrupts. If two runs respond to the same interrupts, one succeeds; the
// other fails with the interrupts that are open then, if any.
func (s *Store) Admit(ctx context.Context, a Admission) (admitted Admitted, err error) {
	if err := a.checkIDs(); err != nil {
		return Admitted{}, err
	}
	hash, err := a.requestHash()
	if err != nil {
		return Admitted{}, err
	}
	c := admitCall{s: s, request: a, hash: hash, nonce: s.t.c.NewID()}
	err = s.again(ctx, "admit a run", func(ctx context.Context) (err error) {
		admitted, err = c.attempt(ctx)
		return err
	})
	return admitted, err
}

// admitCall is one call of Admit. It makes as many attempts as concurrent writes require.
type admitCall struct {
	s           *Store
	request     Admission // as the client sent it
	hash        []byte    // of the request
	nonce       string    // identifies what this call writes
	owned       bool      // Owned has succeeded
	inputStored bool      // as an item, by an earlier attempt
}

// attempt reads the records that the decision depends on, decides, and writes the decision on the condition that those
// records have not changed.
func (c *admitCall) attempt(ctx context.Context) (Admitted, error) {
	b, err := c.read(ctx)
	if err != nil {
		return Admitted{}, err
	}
	if b.queue.Erasing { // checked before the repeat: a user who is being erased gets no other answer
		return Admitted{}, chat.ErrErasing
	}
	if b.run.ID != "" {
		return c.repeat(b)
	}
	a, err := c.s.match(c.request, b)
	if err != nil {
		return Admitted{}, err
	}
	queue, decision, err := c.s.decide(ctx, a, b)
	if err != nil {
		return Admitted{}, err
	}
	r := c.newRun(a, b, decision.State)
	if err := c.placeInput(ctx, a, &r); err != nil {
		return Admitted{}, err
	}
	err = c.s.writeAdmission(ctx, admissionWrite{
		run: r, queue: queue, thread: b.thread, title: a.Title, interrupt: decision.Interrupt, messages: a.Messages,
	})
	if err != nil {
		return Admitted{}, err
	}
	run, err := r.run()
	return Admitted{Run: run, Position: decision.Position, Invoke: decision.State == chat.RunAdmitted}, err
}

// read reads the records that the admission depends on. The first read runs beside the check of the ownership. It may,
// because the admission is written later and only on the condition that these records have not changed.
func (c *admitCall) read(ctx context.Context) (b before, err error) {
	if c.owned {
		return c.s.before(ctx, c.request)
	}
	var foreign error
	parallel.Do(
		func() { b, err = c.s.before(ctx, c.request) },
		func() { foreign = c.request.own(ctx) },
	)
	if foreign != nil {
		return before{}, foreign
	}
	c.owned = true
	return b, err
}

// own calls Owned.
func (a Admission) own(ctx context.Context) error {
	if a.Owned == nil {
		return nil
	}
	return a.Owned(ctx)
}

// before holds the records that an admission depends on, read consistently.
type before struct {
	run    runItem // zero if the run does not exist
	queue  queueItem
	thread threadItem // zero if the thread does not exist
}

func (s *Store) before(ctx context.Context, a Admission) (b before, err error) {
	run, queue, thread := s.runKey(a.Run), s.queueKey(), s.threadKey(a.Thread)
	found, err := s.t.getAll(ctx, []key{run, queue, thread})
	if err != nil {
		return b, fmt.Errorf("read the run, the run queue and the thread: %w", err)
	}
	err = errors.Join(
		attributevalue.UnmarshalMap(found[run.sk], &b.run),
		attributevalue.UnmarshalMap(found[queue.sk], &b.queue),
		attributevalue.UnmarshalMap(found[thread.sk], &b.thread),
	)
	if err != nil {
		return b, fmt.Errorf("decode the run, the run queue and the thread: %w", err)
	}
	if s.t.expired(b.run.Expires) {
		b.run = runItem{}
	}
	b.queue = s.t.current(b.queue)
	if s.t.expired(b.thread.Expires) {
		b.thread = threadItem{}
	}
	return b, nil
}

// repeat returns the result for a run that exists already: an earlier frame admitted it, or an earlier attempt of this
// call did and its answer was lost.
func (c *admitCall) repeat(b before) (Admitted, error) {
	run, err := b.run.run()
	if err != nil {
		return Admitted{}, err
	}
	if run.Thread != c.request.Thread || !bytes.Equal(b.run.Hash, c.hash) {
		return Admitted{}, &TakenError{Message: theRun}
	}
	return Admitted{
		Run: run, Position: b.queue.queue().Position(c.request.Run),
		Repeat: b.run.Input != c.nonce, Invoke: run.Status == chat.RunAdmitted,
	}, nil
}

// match refuses a run on a deleted thread, matches the responses with the thread's open interrupts, and calls Judge.
func (s *Store) match(a Admission, b before) (Admission, error) {
	if b.thread.Deleted != 0 {
		return a, fmt.Errorf("the thread was deleted: %w", chat.ErrNotFound)
	}
	responses, err := s.t.matchResponses(b.thread, a.Responses)
	if a.Responses = responses; err == nil && len(responses) > 0 && a.Judge != nil {
		err = a.Judge(&a)
		if interrupted := (*InterruptedError)(nil); errors.As(err, &interrupted) {
			interrupted.Open = s.t.open(b.thread)
		}
	}
	return a, err
}

// decide returns the changed run queue. If the run gets no slot, decide removes runs that have ended from the slots and
// decides again.
func (s *Store) decide(ctx context.Context, a Admission, b before) (runqueue.Queue, runqueue.Decision, error) {
	queue := b.queue.queue()
	request := runqueue.Request{Run: a.Run, Thread: a.Thread, WhenBusy: a.WhenBusy, Responds: len(a.Responses) > 0}
	policy, err := s.policy(ctx, queue)
	if err != nil {
		return queue, runqueue.Decision{}, err
	}
	after, decision, err := queue.Admit(request, policy)
	if err == nil && decision.State == chat.RunAdmitted || errors.Is(err, chat.ErrRateLimited) ||
		errors.Is(err, chat.ErrBudget) {
		return after, decision, err
	}
	if queue, err = s.withoutEndedRuns(ctx, queue); err != nil {
		return after, decision, err
	}
	return queue.Admit(request, policy)
}

// newRun returns the run's record, with a slot or queued.
func (c *admitCall) newRun(a Admission, b before, state chat.RunStatus) runItem {
	s := c.s
	k, now := s.runKey(a.Run), s.t.c.Now()
	deadline := now.Add(claimTime)
	if state == chat.RunQueued {
		deadline = now.Add(queueTime)
	}
	r := runItem{
		PK: k.pk, SK: k.sk, User: s.user.Key(), ID: string(a.Run), Thread: string(a.Thread), Agent: a.Agent,
		Epoch:  cmp.Or(b.thread.Epoch, s.t.c.NewID()),
		Status: string(state), Nonce: c.nonce, Input: c.nonce, Hash: c.hash, Created: millis(now),
		Recent: recentRun(millis(now), string(a.Run)), Live: s.liveShard(), Due: millis(now.Add(lookTime)),
		Deadline: millis(deadline), Expires: s.t.expiry(runLife),
	}
	if len(a.Responses) > 0 {
		r.Answers = b.thread.Asked
	}
	return r
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// Admission is what a user asks for with a run.
type Admission struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	Agent    string
	Messages []agui.Message
	Grants   []string
	WhenBusy chat.WhenBusy
	Title    string   // of the thread, if this run creates it
	Answers  []Answer // to all of the thread's open interrupts; Admit fills the questions in

	// Judge looks at the answers of an admission once their questions are filled in, and may choose the Agent; nil takes all.
	// Its error refuses the run before anything is stored; an *InterruptedError gets its list filled in.
	Judge func(a *Admission) error `json:"-"`
}

// Asked are the ids of the calls that it brings answers about, and so their results.
func (a Admission) Asked() []string {
	var calls []string
	for _, answer := range a.Answers {
		if id := answer.Asked.ToolCallID; id != "" {
			calls = append(calls, id)
		}
	}
	return calls
}

// Answer is a person's answer together with what was asked, so that the run that goes on needs nothing else.
type Answer struct {
	Asked  agui.Interrupt `json:"asked"`
	Resume agui.Resume    `json:"resume"`
}

// InterruptedError is a chat.ErrInterrupted: a run without an answer to each of the thread's open questions, which it
// lists.
type InterruptedError struct {
	Open  []agui.Interrupt
	Wrong string           // explains to the person why an answer is rejected. It may hold a part of the answer; Error does not
	To    chat.InterruptID // the question whose answer is wrong
	Field string           // of that answer, such as payload.approved
}

// Error says how many are open.
func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%v: %d questions are open", chat.ErrInterrupted, len(e.Open))
}

// Unwrap makes it a chat.ErrInterrupted.
func (e *InterruptedError) Unwrap() error { return chat.ErrInterrupted }

// Admitted is the answer to an admission.
type Admitted struct {
	Run      Run
	Position int  // among the waiting, from 1
	Repeat   bool // the run was known before
	Invoke   bool // turn is to be invoked: the run has a seat and nobody has claimed it
}

// before is what an admission is decided on, read consistently.
type before struct {
	run    runItem // zero: not known
	desk   queueItem
	thread threadItem // zero: to be created
}

// Admit records a run and gives it a seat or a place in the queue, in one transaction, creating its thread if need be.
// A repeat of the same run answers as the first did. It fails with chat.ErrBusy, ErrTooManyRuns, ErrBadID for a run id
// that is another thread's, ErrNotFound for a thread that was deleted, ErrClosed for a user who is being erased, with an
// *InterruptedError, which lists them, if it does not answer each of the thread's open questions or answers others, and
// with a *chat.RateLimitedError.
//
// Of two that answer the same questions one wins: the other finds them gone and is told what is open then, if anything.
func (s *Store) Admit(ctx context.Context, a Admission) (Admitted, error) {
	if err := a.checkIDs(); err != nil {
		return Admitted{}, err
	}
	hash, err := a.requestHash()
	if err != nil {
		return Admitted{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce, asked, given := s.t.c.NewID(), false, a.Answers
	for n := 1; ; n++ {
		b, err := s.before(ctx, a)
		if err != nil {
			return Admitted{}, err
		}
		if b.desk.Erasing { // known or not: everything is refused
			return Admitted{}, fmt.Errorf("admit a run: %w", chat.ErrClosed)
		}
		if b.run.ID != "" {
			return s.repeat(a, b, nonce, hash)
		}
		if a, err = s.answers(a, given, b); err != nil {
			return Admitted{}, err
		}
		d, decision, err := s.decide(ctx, a, b)
		if err != nil {
			return Admitted{}, err
		}
		if !asked {
			if err := s.putInput(ctx, a, nonce); err != nil {
				return Admitted{}, err
			}
			asked = true
		}
		r := s.newRun(a, nonce, decision.State)
		r.Hash = hash
		if len(a.Answers) > 0 {
			r.Answers = b.thread.Asked
		}
		w := write{run: r, desk: d, thread: b.thread, title: a.Title, interrupt: decision.Interrupt, messages: a.Messages}
		if err = s.admit(ctx, w); err == nil {
			run, err := r.run()
			return Admitted{Run: run, Position: decision.Position, Invoke: decision.State == chat.RunAdmitted}, err
		}
		if !anyRefused(err) {
			return Admitted{}, fmt.Errorf("admit a run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return Admitted{}, fmt.Errorf("admit a run: %w", waited)
		}
	}
}

func (s *Store) before(ctx context.Context, a Admission) (b before, err error) {
	run, desk, thread := s.runKey(a.Run), s.queueKey(), s.threadKey(a.Thread)
	found, err := s.t.getAll(ctx, []key{run, desk, thread})
	if err != nil {
		return b, fmt.Errorf("read what an admission depends on: %w", err)
	}
	err = errors.Join(
		attributevalue.UnmarshalMap(found[run.sk], &b.run),
		attributevalue.UnmarshalMap(found[desk.sk], &b.desk),
		attributevalue.UnmarshalMap(found[thread.sk], &b.thread),
	)
	if err != nil {
		return b, fmt.Errorf("read what an admission depends on: %w", err)
	}
	if s.t.expired(b.run.Expires) {
		b.run = runItem{}
	}
	b.desk = s.t.current(b.desk)
	if s.t.expired(b.thread.Expires) {
		b.thread = threadItem{}
	}
	return b, nil
}

// repeat answers for a run that is known: by an earlier frame, or by a write of this very call whose answer was lost.
func (s *Store) repeat(a Admission, b before, nonce string, hash []byte) (Admitted, error) {
	run, err := b.run.run()
	if err != nil {
		return Admitted{}, err
	}
	if run.Thread != a.Thread || !bytes.Equal(b.run.Hash, hash) {
		return Admitted{}, fmt.Errorf("admit a run: %w", &TakenError{Message: theRun})
	}
	return Admitted{
		Run: run, Position: b.desk.queue().Position(a.Run),
		Repeat: b.run.Input != nonce, Invoke: run.Status == chat.RunAdmitted,
	}, nil
}

// answers refuses whoever may not be admitted whatever the desk says, puts the thread's questions to the answers, and has
// them judged.
func (s *Store) answers(a Admission, given []Answer, b before) (Admission, error) {
	if b.thread.Deleted != 0 {
		return a, fmt.Errorf("admit a run on a thread: %w", chat.ErrNotFound)
	}
	all, err := s.t.answer(b.thread, given)
	if a.Answers = all; err == nil && len(all) > 0 && a.Judge != nil {
		err = a.Judge(&a)
		if open := (*InterruptedError)(nil); errors.As(err, &open) {
			open.Open = s.t.open(b.thread)
		}
	}
	if err != nil {
		return a, fmt.Errorf("admit a run: %w", err)
	}
	return a, nil
}

func (s *Store) decide(ctx context.Context, a Admission, b before) (runqueue.Queue, runqueue.Decision, error) {
	was, ask := b.desk.queue(), runqueue.Request{Run: a.Run, Thread: a.Thread, WhenBusy: a.WhenBusy, Responds: len(a.Answers) > 0}
	r, err := s.rules(ctx, was)
	if err != nil {
		return was, runqueue.Decision{}, err
	}
	d, decision, err := was.Admit(ask, r)
	if err == nil && decision.State == chat.RunAdmitted || errors.Is(err, chat.ErrRateLimited) {
		return d, decision, err
	}
	if was, err = s.endedSlots(ctx, was); err != nil {
		return d, decision, err
	}
	return was.Admit(ask, r)
}

func (s *Store) newRun(a Admission, nonce string, state chat.RunStatus) runItem {
	k, now := s.runKey(a.Run), s.t.c.Now()
	deadline := now.Add(claimTime)
	if state == chat.RunQueued {
		deadline = now.Add(waitTime)
	}
	return runItem{
		PK: k.pk, SK: k.sk, User: s.user.Key(), ID: string(a.Run), Thread: string(a.Thread), Agent: a.Agent, Status: string(state),
		Nonce: nonce, Input: nonce, Created: millis(now), Recent: recentRun(millis(now), string(a.Run)),
		Live: s.liveShard(), Due: millis(now.Add(lookTime)), Deadline: millis(deadline), Expires: s.t.expiry(runLife),
	}
}

// write is what an admission comes to.
type write struct {
	run       runItem
	desk      runqueue.Queue
	thread    threadItem // as it was; zero: to be created
	title     string
	interrupt chat.RunID
	messages  []agui.Message
}

// admit writes what was decided, if what it was decided on still stands.
func (s *Store) admit(ctx context.Context, w write) error {
	now := attributes{":now": number(s.t.nowSeconds())}
	run, err := s.t.putPart(w.run, absent, now)
	if err != nil {
		return err
	}
	seats, err := s.setQueue(w.desk, false)
	if err != nil {
		return err
	}
	class, used := splitRecentThread(w.thread.Recent)
	recent := recentThread(class, max(w.run.Created, used), w.run.Thread)
	epoch, thread := w.thread.Epoch, s.begin(w.thread, recent)
	if w.thread.ID == "" {
		k := s.threadKey(chat.ThreadID(w.run.Thread))
		epoch = s.t.c.NewID()
		thread, err = s.t.putPart(threadItem{
			PK: k.pk, SK: k.sk, ID: w.run.Thread, Epoch: epoch, Title: w.title,
			Created: w.run.Created, Updated: w.run.Created, Recent: recent,
		}, absent, now)
		if err != nil {
			return err
		}
	}
	ids, err := s.noteMessageIDs(w, chat.Epoch(epoch))
	if err != nil {
		return err
	}
	parts := append([]types.TransactWriteItem{run, seats, thread}, ids.parts...)
	if w.interrupt != "" {
		parts = append(parts, s.t.updatePart(s.cancelRequest(w.interrupt)))
	}
	err = s.t.transact(ctx, parts...)
	if _, known := refusedPart(err, 0); known { // a repeat: its messages are its own
		return err
	}
	return ids.taken(err, 3)
}

// touch makes a thread newer, if it is not deleted and not as new already. Every change of the desk does so: a row of a
// list, whose status the desk says, is newer than another if its Updated is higher.
func (s *Store) touch(was threadItem) types.TransactWriteItem {
	return s.t.updatePart(update{
		key: key{was.PK, was.SK}, change: "SET #updated = :updated", when: standing,
		values: attributes{":updated": number(s.t.after(was.Updated))},
	})
}

// standing is the condition that a thread is not deleted, and older than it is to be.
const standing = "attribute_exists(#pk) AND attribute_not_exists(#deleted) AND #updated < :updated"

// after is the time now, later than was whatever the clocks of its writers say.
func (t *Table) after(was int64) int64 { return max(millis(t.c.Now()), was+1) }

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/engine"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

const (
	reserve         = 10 * time.Second // of the invocation's time, to end the run in
	historyMessages = 200              // what a model is told at most of earlier runs, about
	writeTries      = 3
	writeTime       = 5 * time.Second // one try of the first record or the terminal transaction
	finishTime      = 8 * time.Second // the last posts
)

// turn is one claimed run in one invocation.
type turn struct {
	*handler
	user    chat.User
	store   *store.Store
	held    *store.Lease
	uc      *usercontext.Context
	stop    context.CancelFunc // of the invocation's work time
	emitter *emit.Emitter
	log     *slog.Logger
}

// do carries the run to its end. Its error is a chat.ErrLeaseLost if the run has become somebody else's.
func (t *turn) do(ctx context.Context) error {
	if err := t.startHeartbeat(); err != nil {
		return err
	}
	emitter, err := emit.New(ctx, emit.Config{
		User: t.uc, Epoch: t.held.Thread().Epoch, Log: t.held, Connections: t.store, Poster: t.poster, After: t.after,
		Report: func(err error) { t.log.WarnContext(ctx, "emit events", "err", err) },
		Violation: func(id chat.ConnectionID) {
			t.monitor.Violation(ctx, monitor.ConnectionRecord, t.user, monitor.Request(t.uc.Request()),
				monitor.Connection(id), monitor.Thread(t.uc.Thread()), monitor.Run(t.uc.Run()))
		},
	})
	if err != nil {
		return err
	}
	t.emitter = emitter
	last, err := t.attempt(ctx)
	if err != nil {
		return err
	}
	return t.end(ctx, last)
}

// attempt does the run's work and returns what makes its last record.
func (t *turn) attempt(ctx context.Context) (last func() []agui.Event, err error) {
	if t.held.Deleted() {
		return just(agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled}}), nil
	}
	if err := t.held.Unreadable(); err != nil {
		t.log.ErrorContext(ctx, "the run can only be ended", "err", err)
		return t.unreadable(t.now()), nil
	}
	s, err := t.begin(ctx)
	if err != nil {
		return nil, err
	}
	t.emitter.Broadcast(thread(t.held.Thread(), chat.ThreadRunning))
	terminal, err := t.run(s)
	if err != nil {
		return nil, err
	}
	if terminal.Timestamp == 0 {
		terminal.Timestamp = t.now().UnixMilli()
	}
	if terminal.Type == agui.RunError {
		t.log.WarnContext(ctx, "the run failed", "code", terminal.Code)
	}
	t.held.SetStats(t.uc.Count(chat.RunStats{}))
	return just(terminal), t.emitter.Drain(ctx)
}

// unreadable is the end of a run of which something cannot be read. It is made anew at each try: an earlier attempt may
// have written in between.
func (t *turn) unreadable(at time.Time) func() []agui.Event {
	return func() []agui.Event {
		t.held.SetStats(agui.RunStats(t.held.PreviousEvents()))
		return emit.Unreadable(t.held.HasRecords(), t.held.PreviousEvents(), t.started(at))
	}
}

func just(e agui.Event) func() []agui.Event { return func() []agui.Event { return []agui.Event{e} } }

// run lets the agent work and returns the terminal event.
func (t *turn) run(s start) (agui.Event, error) {
	ctx := t.uc.Context()
	answered, unasked := t.answered(s)
	s.pending = append(s.pending, answered...)
	a, unknown := t.agents.Agent(t.held.Input().Agent)
	tools, unmade := t.dispatcher(s, a.Tools)
	history, unread := t.history(ctx)
	if ctx.Err() != nil {
		unread = nil // the engine tells why the run ends
	}
	if err := errors.Join(unasked, unknown, unmade, unread); err != nil {
		return t.failed(context.WithoutCancel(ctx), s, tools, err)
	}
	return engine.Run(ctx, engine.Config{
		User: t.uc, Agent: a.Name, Model: a.Model, System: a.System, Tools: tools, History: append(history, s.said...), Pending: s.pending,
		Sink: t.emitter, Ready: t.ready,
		Logf: func(format string, args ...any) {
			t.log.WarnContext(ctx, "run the engine", "err", fmt.Errorf(format, args...))
		},
	})
}

// failed is the end of a run that could not begin its work. Its calls are not made, which tools records, if there is one.
func (t *turn) failed(ctx context.Context, s start, tools *tool.Dispatcher, err error) (agui.Event, error) {
	t.log.ErrorContext(ctx, "the run could not begin", "err", err)
	if tools != nil {
		for _, p := range s.pending {
			tools.RecordSkipped(tool.Call{ID: p.Call.ID, Name: p.Call.Function.Name, Arguments: p.Call.Function.Arguments}, tool.NotCalled)
		}
	}
	for _, e := range agui.Close(s.events, t.held.Input().Asked()...) {
		if err := t.emitter.Emit(ctx, e); err != nil {
			return agui.Event{}, err
		}
	}
	return agui.WithStats(agui.Event{
		Type: agui.RunError, Code: engine.CodeInternal, Message: "The agent could not be started. Try again later.",
	}, t.uc.Count(chat.RunStats{})), nil
}

// history is what was said before in the thread, as far as it is told to a model.
func (t *turn) history(ctx context.Context) ([]agui.Message, error) {
	th := t.held.Thread()
	if th.Head == 0 {
		return nil, nil
	}
	runs, _, err := t.store.Transcripts(ctx, th, 0, historyMessages)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var messages []agui.Message
	for _, r := range slices.Backward(runs) {
		messages = append(messages, r.Messages...)
	}
	return messages, nil
}

// end writes the run's end, starts what waited for it and tells the user's windows.
func (t *turn) end(ctx context.Context, last func() []agui.Event) error {
	e, err := t.writeEnd(ctx, last)
	deleted := errors.Is(err, store.ErrDeleted)
	if err != nil && !deleted {
		return err
	}
	t.measureEnd(e.last)
	t.startQueued(ctx)
	if deleted {
		return nil // whoever deleted the thread has told everybody
	}
	t.tellEnd(ctx, e.thread)
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	if err := t.emitter.Finish(ctx, e.seq, e.last); err != nil {
		t.log.WarnContext(ctx, "the last posts", "err", err) // clients find what they lack
	}
	t.measureDelivery()
	return nil
}

// tellEnd tells the user's lists where the thread is now: its next run may have begun, or wait.
func (t *turn) tellEnd(ctx context.Context, th store.Thread) {
	d, err := t.store.RunQueue(ctx)
	if err != nil {
		t.log.WarnContext(ctx, "telling the lists", "err", err) // they learn of it with the next change
		return
	}
	t.monitor.Count(monitor.SlotsInUse, len(d.Slots))
	t.emitter.Broadcast(thread(th, d.Status(th.ID)))
}

// ended is a run's last record as it was written, and its thread after it.
type ended struct {
	seq    chat.Seq
	last   []agui.Event
	thread store.Thread
}

// writeEnd writes the terminal transaction.
func (t *turn) writeEnd(ctx context.Context, last func() []agui.Event) (e ended, err error) {
	err = t.durably(ctx, "ending the run", func(ctx context.Context) (err error) {
		e.last = last()
		e.seq, e.thread, err = t.held.End(ctx, e.last)
		return err
	})
	return e, err
}

// durably writes, again if the failure may be a passing one.
func (t *turn) durably(ctx context.Context, what string, write func(context.Context) error) error {
	for try := 1; ; try++ {
		once, cancel := context.WithTimeout(ctx, writeTime)
		err := write(once)
		cancel()
		if err == nil || errors.Is(err, chat.ErrLeaseLost) || errors.Is(err, store.ErrDeleted) || try == writeTries || ctx.Err() != nil {
			return err
		}
		t.log.WarnContext(ctx, "write to the store", "write", what, "try", try, "err", err)
	}
}

// startQueued starts what may start now. What fails here, sweep does within a minute.
func (t *turn) startQueued(ctx context.Context) {
	runs, err := t.store.StartQueued(ctx)
	if err != nil {
		t.log.ErrorContext(ctx, "starting what waits", "err", err)
	}
	for _, run := range runs {
		if err := t.invoker.Turn(ctx, t.user, run.ID); err != nil {
			t.log.ErrorContext(ctx, "invoking turn", "next", string(run.ID), "err", err)
		}
	}
}

// thread is what the user's lists show.
func thread(t store.Thread, status chat.ThreadStatus) *wire.Thread {
	return &wire.Thread{ThreadInfo: wire.ThreadInfo{
		ThreadID: t.ID, Title: t.Title, Status: status, Head: t.Head,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Interrupted: len(t.Interrupts) > 0,
		Used: t.Used.UnixMilli(), Pinned: t.Pinned, Archived: t.Archived,
	}}
}

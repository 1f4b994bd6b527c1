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
	"carrel/shared/parallel"
	"carrel/shared/runqueue"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

const (
	reserve         = 10 * time.Second // the last part of the invocation's time, kept to end the run
	historyMessages = 200              // about how many messages of earlier runs a model receives at most
	writeTries      = 3
	writeTime       = 5 * time.Second // for one try to write the first record or the terminal transaction
	prepareTime     = 2 * time.Second // to read the run queue before the terminal transaction
	finishTime      = 8 * time.Second // for the last posts
)

// turn is one claimed run in one invocation.
type turn struct {
	*handler
	user  chat.User
	store *store.Store
	lease *store.Lease
	uc    *usercontext.Context
	stop  context.CancelFunc // ends the time in which the run may work
	// handOver says whether the run was handed over to this invocation, and when another one has to continue it
	handOver engine.HandOver
	emitter  *emit.Emitter
	log      *slog.Logger
}

// execute works on the run and ends it. It returns chat.ErrLeaseLost if another worker has taken over the run.
func (t *turn) execute(ctx context.Context) error {
	if err := t.startHeartbeat(); err != nil {
		return err
	}
	emitter, err := emit.New(ctx, emit.Config{
		User: t.uc, Epoch: t.lease.Thread().Epoch, Log: t.lease, Connections: t.store, Poster: t.poster, After: t.after,
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
	if errors.Is(err, engine.ErrHandOver) {
		return t.giveOver(ctx)
	}
	if err != nil {
		return err
	}
	return t.end(ctx, last)
}

// attempt does the run's work and returns a function that makes the events of the run's last record.
func (t *turn) attempt(ctx context.Context) (last func() []agui.Event, err error) {
	if t.lease.Deleted() {
		return just(agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled}}), nil
	}
	if err := t.lease.Unreadable(); err != nil {
		t.log.ErrorContext(ctx, "read the run", "err", err)
		return t.unreadable(t.now()), nil
	}
	var s start
	var h history
	parallel.Do(
		func() { s, err = t.begin(ctx) },
		func() { h = t.history(t.uc.Context()) },
	)
	if err != nil {
		return nil, err
	}
	terminal, err := t.run(s, h)
	if err != nil {
		return nil, err
	}
	if terminal.Timestamp == 0 {
		terminal.Timestamp = t.now().UnixMilli()
	}
	if terminal.Type == agui.RunError {
		t.log.WarnContext(ctx, "the run failed", "code", terminal.Code)
	}
	t.lease.SetStats(t.uc.Count(chat.RunStats{}))
	return just(terminal), t.drain(ctx)
}

// drain writes the pending events. Meanwhile it prepares the end of the run, so that the message of the last record
// can bring the thread's row.
func (t *turn) drain(ctx context.Context) (err error) {
	parallel.Do(
		func() { err = t.emitter.Drain(ctx) },
		func() {
			limited, cancel := context.WithTimeout(ctx, prepareTime)
			defer cancel()
			if err := t.lease.PrepareEnd(limited); err != nil {
				t.log.WarnContext(ctx, "prepare the end of the run", "err", err) // the emitter then sends the row alone
			}
		},
	)
	return err
}

// unreadable ends a run whose input or log cannot be decoded. The events are computed again at each try, because a
// previous attempt may have written a record in between.
func (t *turn) unreadable(at time.Time) func() []agui.Event {
	return func() []agui.Event {
		t.lease.SetStats(agui.RunStats(t.lease.PreviousEvents()))
		return emit.Unreadable(t.lease.HasRecords(), t.lease.PreviousEvents(), t.started(at))
	}
}

// just returns a function that always returns the one event.
func just(e agui.Event) func() []agui.Event { return func() []agui.Event { return []agui.Event{e} } }

// run lets the agent work and returns the terminal event.
func (t *turn) run(s start, h history) (agui.Event, error) {
	ctx := t.uc.Context()
	config, err := t.prepare(ctx, s, h)
	if err != nil {
		return t.fail(context.WithoutCancel(ctx), s, config, err)
	}
	return engine.Run(ctx, config)
}

// prepare collects what the engine needs. It returns all parts that it could make, also with an error: fail records the
// skipped calls through the dispatcher.
func (t *turn) prepare(ctx context.Context, s start, h history) (engine.Config, error) {
	resolved, errResponses := t.resolved(s)
	in := t.lease.Input()
	a, errAgent := t.agents.Agent(in.Agent, in.Grants)
	all := t.startRegistry(ctx, t.patterns(a))()
	tools, errTools := t.dispatcherOf(ctx, s, all, a.Tools)
	messages := append(h.messages, s.messages...)
	if tools != nil {
		tools.Texts = textsOf(messages)
	}
	if ctx.Err() != nil {
		h.err = nil // the engine reports why the run ends
	}
	return engine.Config{
		User: t.uc, Agent: t.agent(a, tools), Open: t.opener(s, all.registry, tools),
		Successor: t.successor(s, all.registry, tools),
		History:   messages, Log: s.events, Pending: append(s.pending, resolved...),
		Sink: t.emitter, HandOver: t.handOver, Ready: t.ready, Failed: t.modelFailed,
		Logf: func(format string, args ...any) {
			t.log.WarnContext(ctx, "run the engine", "err", fmt.Errorf(format, args...))
		},
	}, errors.Join(errResponses, errAgent, errTools, h.err)
}

// textsOf returns what the person wrote.
func textsOf(messages []agui.Message) []string {
	var texts []string
	for _, m := range messages {
		if m.Role == agui.RoleUser {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

// modelFailed reports a failure of a model's provider to the operator.
func (t *turn) modelFailed(model string, try int, e *engine.ModelError) {
	t.log.WarnContext(t.uc.Context(), "call a model", "model", model, "try", try, "kind", string(e.Kind), "err",
		e.Cause)
	switch e.Kind {
	case engine.Refused:
		t.monitor.Count(monitor.ModelRefused, 1)
	case engine.Invalid:
		t.monitor.Count(monitor.ModelInvalid, 1)
	default:
		t.monitor.Count(monitor.ModelFailed, 1)
	}
}

// fail ends a run that could not be prepared. It closes the open calls and records that the pending ones are not made.
func (t *turn) fail(ctx context.Context, s start, config engine.Config, cause error) (agui.Event, error) {
	t.log.ErrorContext(ctx, "prepare the run", "err", cause)
	if config.Tools != nil {
		for _, p := range config.Pending {
			f := p.Call.Function
			config.Tools.RecordSkipped(tool.Call{ID: p.Call.ID, Name: f.Name, Arguments: f.Arguments}, tool.NotCalled)
		}
	}
	for _, e := range agui.Close(s.events, t.lease.Input().AnsweredCalls()...) {
		if err := t.emitter.Emit(ctx, e); err != nil {
			return agui.Event{}, err
		}
	}
	return agui.WithStats(agui.Event{
		Type: agui.RunError, Code: engine.CodeInternal, Message: "The agent could not be started. Try again later.",
	}, t.uc.Count(chat.RunStats{})), nil
}

// history holds the most recent messages of the thread's earlier runs, oldest first, or why they cannot be read.
type history struct {
	messages []agui.Message
	err      error
}

// history reads the history of the thread. The ended runs of a thread do not change, so it may be read at any time
// after the claim.
func (t *turn) history(ctx context.Context) (h history) {
	th := t.lease.Thread()
	if th.Head == 0 {
		return h
	}
	runs, _, err := t.store.Transcripts(ctx, th, 0, historyMessages)
	if err != nil {
		h.err = fmt.Errorf("read the history: %w", err)
	}
	for _, r := range slices.Backward(runs) {
		h.messages = append(h.messages, r.Messages...)
	}
	return h
}

// end writes the run's end. While it posts the last record, with the thread's row, it starts queued runs. If the record
// brings no row, it broadcasts the row after that.
func (t *turn) end(ctx context.Context, last func() []agui.Event) error {
	e, err := t.writeEnd(ctx, last)
	deleted := errors.Is(err, store.ErrDeleted)
	if err != nil && !deleted {
		return err
	}
	t.measureEnd(e.last)
	if deleted {
		t.startQueued(ctx)
		return nil // the deletion has notified the connections already
	}
	sent := e.row()
	t.emitter.Deliver(e.Seq, e.last, sent)
	if queue, ok := t.startQueued(ctx); ok {
		t.monitor.Count(monitor.SlotsInUse, len(queue.Slots))
		if sent == nil {
			t.emitter.Broadcast(&wire.Thread{ThreadInfo: *row(e.Thread, queue.Status(e.Thread.ID))})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	if err := t.emitter.Finish(ctx); err != nil {
		t.log.WarnContext(ctx, "post the last events", "err", err) // clients detect the gap and request the events
	}
	t.measureDelivery()
	return nil
}

// ended is a run's end as it was written, with the events of the last record.
type ended struct {
	store.Ended
	last []agui.Event
}

// row returns the thread's row for the message of the last record. It returns nil if the thread's status is not known,
// and if a run of the thread is queued, which may start at once.
func (e ended) row() *wire.ThreadInfo {
	if e.Status != chat.ThreadIdle {
		return nil
	}
	return row(e.Thread, e.Status)
}

// writeEnd writes the terminal transaction: the last record, the run's status and the freed slot.
func (t *turn) writeEnd(ctx context.Context, last func() []agui.Event) (e ended, err error) {
	err = t.durably(ctx, "end of the run", func(ctx context.Context) (err error) {
		e.last = last()
		e.Ended, err = t.lease.End(ctx, e.last)
		return err
	})
	return e, err
}

// durably calls write up to writeTries times. It does not repeat a write that can no longer succeed, because the lease
// is lost, the thread is deleted or ctx has ended. what names the write in the log.
func (t *turn) durably(ctx context.Context, what string, write func(context.Context) error) error {
	for try := 1; ; try++ {
		once, cancel := context.WithTimeout(ctx, writeTime)
		err := write(once)
		cancel()
		final := errors.Is(err, chat.ErrLeaseLost) || errors.Is(err, store.ErrDeleted)
		if err == nil || final || try == writeTries || ctx.Err() != nil {
			return err
		}
		t.log.WarnContext(ctx, "write to the store", "write", what, "try", try, "err", err)
	}
}

// startQueued starts the queued runs that have a free slot now, and returns the run queue afterwards. If it fails,
// sweep starts them within a minute, and the thread's next change brings its status.
func (t *turn) startQueued(ctx context.Context) (queue runqueue.Queue, ok bool) {
	runs, queue, err := t.store.StartNext(ctx)
	if err != nil {
		t.log.ErrorContext(ctx, "start queued runs", "err", err)
	}
	for _, run := range runs {
		if err := t.invoker.Turn(ctx, t.user, run.ID); err != nil {
			t.log.ErrorContext(ctx, "invoke turn", "next", string(run.ID), "err", err)
		}
	}
	return queue, err == nil
}

// row describes a thread as the user's thread lists show it.
func row(t store.Thread, status chat.ThreadStatus) *wire.ThreadInfo {
	return &wire.ThreadInfo{
		ThreadID: t.ID, Title: t.Title, Status: status, Head: t.Head,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Interrupted: len(t.Interrupts) > 0,
		Used: t.Used.UnixMilli(), Pinned: t.Pinned, Archived: t.Archived,
	}
}

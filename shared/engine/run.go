package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
)

// run is the state of one line of a run. The line belongs to the run's own agent or to a sub-agent. Only one goroutine
// uses it. The tools' goroutines return their results by channel. All lines share one common.
type run struct {
	*common
	c    Config   // of the line: its agent, its user context, its part of the history
	line string   // the subagentRunId; "" for the run's own agent
	path []string // the ids of the calls that led to the line, outermost first

	emitCtx context.Context // does not end with the run's context, because open messages are closed after a cancel
	limits  chat.Limits

	undecided   []agui.ToolCall          // calls that the model began and the dispatcher has not received
	model       int                      // the position of the model in use
	trimmed     *agui.Trimmed            // what the model is not sent; nil: it is sent everything
	untold      bool                     // no mark records trimmed yet
	most        int                      // the budget of the input in tokens after a request was too long; 0: none
	halved      bool                     // a request was too long
	counted     int                      // the input tokens of the last call, 0 if unknown
	countedUpTo int                      // how many messages that call had
	streak      streak                   // equal calls in a row
	paused      time.Duration            // all pauses of the line after failures of models
	marks       []agui.Answer            // of the answers of all attempts
	history     []agui.Message           // what the model receives
	keep        map[string]string        // by message id, for answers of this run
	continued   map[string][]PendingCall // by the call that asks an agent: the calls that the agent continues with
	asked       bool                     // a person must respond before the line can go on
	handing     bool                     // a line below has to be continued by another worker
	outside     bool                     // the model has read a result of this run with text from outside
	tainted     bool                     // the model that asked had read such a text
}

// newRun makes the state of the run's own line.
func newRun(ctx context.Context, c Config) (*run, error) {
	common := &common{log: c.Log, said: c.History, sink: c.Sink, randomID: c.NewID, agent: c.Agent.Name,
		usage: agui.TokensOf(c.Log)}
	for _, e := range c.Log {
		common.open.Add(e)
	}
	c.History = agui.LineMessages(c.History, "")
	for _, name := range handoffsIn(c.Log) {
		if err := common.handOver(&c, name); err != nil {
			return nil, err
		}
	}
	return common.begin(ctx, c, "", nil), nil
}

// begin makes the state of a line. c.Pending are the calls that it makes first, and those of the lines below it.
func (s *common) begin(ctx context.Context, c Config, line string, path []string) *run {
	own := agui.Line(s.log, line)
	r := &run{common: s, c: c, line: line, path: path, emitCtx: context.WithoutCancel(ctx), limits: c.User.Limits(),
		marks: agui.Answers(own), keep: keptIn(own)}
	r.model, r.trimmed = position(c.Models, r.marks), trimmedIn(r.marks)
	r.streak = streakIn(own, r.mayRepeat)
	r.c.Pending, r.continued = r.split(c.Pending)
	c.HandOver.adjust(r.c.Pending)
	for _, p := range r.c.Pending {
		s.addCall(line, p.Call.ID)
		r.undecided = append(r.undecided, p.Call)
	}
	return r
}

// newID makes an id that is unique in the thread.
func (r *run) newID() string {
	if r.randomID == nil {
		return rand.Text()[:16] // 80 bits, short because log records repeat ids
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.randomID()
}

// messageID makes the id of a message. Clients may not use its prefix, so it differs from every id of a client.
func (r *run) messageID() string { return chat.ServerPrefix + r.newID() }

// loop makes the pending calls. Then it calls the model, and the tools that the model requests, until an answer ends
// the run or the run is interrupted. The error is a failure, a sinkError or ErrCancelled.
func (r *run) loop(ctx context.Context) error {
	results, err := r.callTools(ctx, r.c.Pending)
	if err != nil || r.asked {
		return err
	}
	r.worked.CompareAndSwap(false, len(r.c.Pending) > 0)
	r.history = forModel(append(slices.Clone(r.c.History), results...))
	if err := r.succeed(r.history, results); err != nil {
		return err
	}
	r.outside = hasOutside(results)
	for {
		if ended, err := decide(r.marks); ended || err != nil {
			return err
		}
		answer, err := r.askModel(ctx)
		if err != nil {
			return err
		}
		results, err := r.callAnswer(ctx, answer)
		if err != nil || r.asked {
			return err
		}
		r.remember(answer, results)
		if err := r.succeed([]agui.Message{answer.said()}, results); err != nil {
			return err
		}
	}
}

// callAnswer makes the calls of an answer and returns their results.
func (r *run) callAnswer(ctx context.Context, a *answer) ([]agui.Message, error) {
	mark := r.lastMark()
	if len(a.calls) == 0 || mark.Rejected == agui.RejectedMalformed {
		return nil, nil
	}
	if r.mustHandOver(r.callsTime(a.calls)) {
		return nil, ErrHandOver
	}
	if r.c.User.Count(chat.RunStats{ToolCalls: len(a.calls)}).ToolCalls > r.limits.ToolCalls {
		return nil, limitReached(CodeToolCalls, "tool calls", r.limits.ToolCalls)
	}
	return r.callTools(ctx, pendingCalls(mark, a.calls))
}

// remember adds an answer and the results of its calls to the conversation, unless the answer is requested again.
func (r *run) remember(a *answer, results []agui.Message) {
	m := a.said()
	r.outside = r.outside || hasOutside(results)
	rejected := r.lastMark().Rejected
	if rejected == agui.RejectedOutput || rejected == agui.RejectedMalformed || rejected == agui.RejectedEmpty {
		return
	}
	r.history = append(append(r.history, m), results...)
}

// lastMark returns the mark of the last answer.
func (r *run) lastMark() agui.Answer { return r.marks[len(r.marks)-1] }

// request makes the request of the next model call.
func (r *run) request() (Request, error) {
	messages, err := r.window()
	request := Request{
		System: r.c.System, Messages: append(messages, nudge(r.marks)...), Keep: maps.Clone(r.keep),
		Settings: r.c.Settings, UserHash: r.c.UserHash,
	}
	if err == nil {
		request.Settings.MaxTokens, err = r.output()
	}
	request.Tools = r.specs()
	return request, err
}

// cutAnswer returns the events that close the answer that the model is in the middle of, and records that none of its
// calls was made.
func (r *run) cutAnswer() []agui.Event {
	r.skipUndecided()
	return r.closing(func(o *agui.Open) []agui.Event { return o.CutAnswer(r.line) })
}

// skipUndecided records that the calls which the dispatcher has not received are not made.
func (r *run) skipUndecided() {
	for _, c := range r.undecided {
		if r.c.Tools != nil {
			r.c.Tools.RecordSkipped(toCall(c), tool.NotCalled)
		}
	}
	r.undecided = nil
}

// ready returns an error if no model or tool may be called now.
func (r *run) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return stopped(ctx)
	}
	if r.c.Ready == nil {
		return nil
	}
	r.readying.Lock()
	defer r.readying.Unlock()
	if err := r.c.Ready(ctx); err != nil {
		return &sinkError{cause: err}
	}
	return nil
}

// synced waits until all emitted events are durable, and then returns an error if no tool may be called.
func (r *run) synced(ctx context.Context) error {
	if err := r.sink.Sync(ctx); err != nil && ctx.Err() == nil {
		return &sinkError{cause: err}
	}
	return r.ready(ctx)
}

// maxParallel is how many calls of one answer run concurrently. A call that ignores its context frees its place at its
// deadline.
const maxParallel = 10

// callTools makes the calls concurrently and emits their results in the order of the calls. A call that interrupts the
// run has no result.
func (r *run) callTools(ctx context.Context, calls []PendingCall) ([]agui.Message, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	if err := r.synced(ctx); err != nil {
		return nil, err
	}
	r.undecided = nil // calls has all of them
	calls = r.decideHandoffs(calls)
	tools, cancel := context.WithCancel(ctx)
	waiting, reports := make([]chan called, len(calls)), make(chan agui.Event)
	places := make(chan struct{}, maxParallel)
	for i, call := range calls {
		result := make(chan called, 1)
		waiting[i] = result
		go func() {
			places <- struct{}{}
			got := r.callTool(tools, call, reports)
			<-places
			result <- got
		}()
	}
	defer func() { // calls are still running only if emitting failed
		cancel()
		for _, w := range waiting {
			<-w
		}
	}()
	messages := make([]agui.Message, 0, len(calls))
	for _, call := range calls {
		result, err := r.await(waiting[0], reports)
		if err != nil {
			return nil, err
		}
		waiting = waiting[1:]
		m, err := r.result(call, result)
		if err != nil {
			return nil, err
		}
		if m.ID != "" {
			messages = append(messages, m)
		}
	}
	if r.handing { // all other calls have their results
		return nil, ErrHandOver
	}
	if r.asked && ctx.Err() != nil {
		return nil, stopped(ctx) // a stopped run asks no questions
	}
	return messages, nil
}

// called is how a call ended.
type called struct {
	tool.Result
	suspended bool  // the call asked an agent, whose line a person's response continues
	failed    error // nothing more can be written, or ErrHandOver: another worker continues the line
}

// result emits the result of a call and returns its message. The message is zero if the call interrupts the run.
func (r *run) result(p PendingCall, made called) (agui.Message, error) {
	call, result := p.Call, made.Result
	if errors.Is(made.failed, ErrHandOver) {
		r.handing = true
		return agui.Message{}, nil
	}
	if made.suspended || made.failed != nil {
		r.asked = r.asked || made.suspended
		return agui.Message{}, made.failed
	}
	if result.Outcome == tool.Asked {
		refused, err := r.interrupt(p, *result.Question)
		if err != nil || refused == nil {
			return agui.Message{}, err
		}
		result = *refused
		r.c.Tools.RecordSkipped(toCall(call), result.Outcome)
	}
	content, stuck := r.repeats(call, result)
	m := agui.Message{ID: r.messageID(), Role: agui.RoleTool, ToolCallID: call.ID, Content: content,
		Metadata: about(result, p.Edited != "")}
	err := r.emit(agui.Event{
		Type: agui.ToolCallResult, MessageID: m.ID, ToolCallID: call.ID, Role: agui.RoleTool, Content: &m.Content,
		Metadata: m.Metadata,
	})
	if err != nil {
		return agui.Message{}, err
	}
	return m, stuck
}

// callTool makes one call, or returns the result that it has already. reports receives its progress.
func (r *run) callTool(ctx context.Context, p PendingCall, reports chan<- agui.Event) (made called) {
	defer func() { // the dispatcher recovers panics of handlers; this recovers panics of the dispatcher's hooks
		if v := recover(); v != nil {
			text := "The tool " + p.Call.Function.Name + " failed unexpectedly."
			made = called{Result: tool.Result{Outcome: tool.Panicked, Content: text}}
		}
	}()
	if who, ok := r.colleague(p.Call.Function.Name); ok && p.Result == nil {
		return r.ask(ctx, p, who)
	}
	return called{Result: r.useTool(ctx, p, reports)}
}

// useTool makes one call of a tool, or returns the result that it has already.
func (r *run) useTool(ctx context.Context, p PendingCall, reports chan<- agui.Event) tool.Result {
	call := toCall(p.Call)
	call.Approved, call.MayHaveRun, call.Progress = p.Approved, p.MayHaveRun, reporter(ctx, reports)
	call.Before = func() tool.Conversation { return r.before(call.ID) }
	if p.Edited != "" {
		call.Arguments, call.Edited = p.Edited, true
	}
	switch {
	case r.c.Tools == nil && p.Result == nil:
		return tool.Result{Outcome: tool.Unknown, Content: fmt.Sprintf("There is no tool %q.", call.Name)}
	case p.Result == nil:
		return r.c.Tools.Call(ctx, call)
	case r.c.Tools != nil:
		r.c.Tools.RecordSkipped(call, p.Result.Outcome)
	}
	return *p.Result
}

// emit emits the next events in one record of the log, unless they exceed the run's limits. Deltas are counted as the
// model streams them, before the sink joins them.
func (r *run) emit(events ...agui.Event) error {
	after := r.c.User.Count(chat.RunStats{}).Plus(figures(events))
	if after.Events > r.limits.Events {
		return limitReached(CodeEvents, "events", r.limits.Events)
	}
	if after.OutputBytes > int64(r.limits.OutputBytes) {
		return limitReached(CodeOutput, "bytes of output", r.limits.OutputBytes)
	}
	return r.put(events...)
}

func figures(events []agui.Event) chat.RunStats {
	f := chat.RunStats{Events: len(events)}
	for _, e := range events {
		f.OutputBytes += agui.OutputBytes(e)
	}
	return f
}

// put emits events, which enter one record of the log, without checking the limits.
func (r *run) put(events ...agui.Event) error {
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		if events[i].SubagentRunID == "" {
			events[i].SubagentRunID = r.line
		}
	}
	if err := r.write(r.emitCtx, events); err != nil {
		return &sinkError{cause: err}
	}
	r.c.User.Count(figures(events))
	return nil
}

// noResult is the result of a call that has none when the run ends. The call may have been made: the run may have ended
// at a limit after the tool returned and before its result was emitted.
const noResult = "The run ended before this tool call had a result."

// closeOpen closes everything that the loop left open. It ignores the limits, because they bound the agent's work only.
// It marks messages that were cut off, and whether the person stopped them, for the model of the next run. It records
// calls that were never made. It returns a sinkError if the sink fails or panics.
func (r *run) closeOpen(stopped bool) error {
	err := r.guard(func() error {
		r.skipUndecided()
		return r.put(r.closing(func(o *agui.Open) []agui.Event {
			return o.Close(noResult, agui.Marks{Stopped: stopped})
		})...)
	})
	var sink *sinkError
	if err != nil && !errors.As(err, &sink) {
		return &sinkError{cause: err}
	}
	return err
}

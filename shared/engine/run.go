package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
)

// run is the state of one run. Only one goroutine uses it. The tools' goroutines return their results by channel.
type run struct {
	c       Config
	emitCtx context.Context // does not end with the run's context, because open messages are closed after a cancel
	newID   func() string
	limits  chat.Limits

	open           agui.Open
	undecided      []agui.ToolCall // calls that the model began and the dispatcher has not received
	usage          []agui.Usage
	model          int               // the position of the model in use
	trimmed        *agui.Trimmed     // what the model is not sent; nil: it is sent everything
	untold         bool              // no mark records trimmed yet
	most           int               // the budget of the input in tokens after a request was too long; 0: none
	halved         bool              // a request was too long
	counted        int               // the input tokens of the last call, 0 if unknown
	countedUpTo    int               // how many messages that call had
	streak         streak            // equal calls in a row
	outside        bool              // the model has read a result of this run with text from outside
	paused         time.Duration     // all pauses after failures of models
	marks          []agui.Answer     // of the answers of all attempts
	history        []agui.Message    // what the model receives
	keep           map[string]string // by message id, for answers of this run
	interrupts     []agui.Interrupt
	editSchemas    []json.RawMessage // for each interrupt: the response schema that allows edited arguments; may be nil
	interruptBytes int
}

func newRun(ctx context.Context, c Config) *run {
	r := &run{c: c, emitCtx: context.WithoutCancel(ctx), newID: c.NewID, limits: c.User.Limits(),
		usage: agui.TokensOf(c.Log), marks: agui.Answers(c.Log), keep: keptIn(c.Log)}
	r.model, r.trimmed = position(c.Models, r.marks), trimmedIn(r.marks)
	r.streak = streakIn(c.Log, r.mayRepeat)
	if r.newID == nil {
		r.newID = func() string { return rand.Text()[:16] } // 80 bits, short because log records repeat ids
	}
	for _, p := range c.Pending {
		r.open.AddCall(p.Call.ID)
		r.undecided = append(r.undecided, p.Call)
	}
	return r
}

// messageID makes the id of a message. Clients may not use its prefix, so it differs from every id of a client.
func (r *run) messageID() string { return chat.ServerPrefix + r.newID() }

// loop makes the pending calls. Then it calls the model, and the tools that the model requests, until an answer ends
// the run or the run is interrupted. The error is a failure, a sinkError or ErrCancelled.
func (r *run) loop(ctx context.Context) error {
	results, err := r.callTools(ctx, r.c.Pending)
	if err != nil || len(r.interrupts) > 0 {
		return err
	}
	r.history = forModel(append(slices.Clone(r.c.History), results...))
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
		if err != nil || len(r.interrupts) > 0 {
			return err
		}
		r.remember(answer, results)
	}
}

// callAnswer makes the calls of an answer and returns their results.
func (r *run) callAnswer(ctx context.Context, a *answer) ([]agui.Message, error) {
	mark := r.lastMark()
	if len(a.calls) == 0 || mark.Rejected == agui.RejectedMalformed {
		return nil, nil
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
	if r.c.Tools != nil {
		request.Tools = r.c.Tools.Specs()
	}
	return request, err
}

// cutAnswer returns the events that close the answer that the model is in the middle of, and records that none of its
// calls was made.
func (r *run) cutAnswer() []agui.Event {
	r.skipUndecided()
	return r.open.CutAnswer()
}

// skipUndecided records that the calls which the dispatcher has not received are not made.
func (r *run) skipUndecided() {
	for _, c := range r.undecided {
		if r.c.Tools != nil {
			r.c.Tools.RecordSkipped(called(c), tool.NotCalled)
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
	if err := r.c.Ready(ctx); err != nil {
		return &sinkError{cause: err}
	}
	return nil
}

// synced waits until all emitted events are durable, and then returns an error if no tool may be called.
func (r *run) synced(ctx context.Context) error {
	if err := r.c.Sink.Sync(ctx); err != nil && ctx.Err() == nil {
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
	tools, cancel := context.WithCancel(ctx)
	waiting, reports := make([]chan tool.Result, len(calls)), make(chan agui.Event)
	places := make(chan struct{}, maxParallel)
	for i, call := range calls {
		result := make(chan tool.Result, 1)
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
	if len(r.interrupts) > 0 && ctx.Err() != nil {
		return nil, stopped(ctx) // a stopped run asks no questions
	}
	return messages, nil
}

// result emits the result of a call and returns its message. The message is zero if the call interrupts the run.
func (r *run) result(p PendingCall, result tool.Result) (agui.Message, error) {
	call := p.Call
	if result.Outcome == tool.Asked {
		refused, err := r.interrupt(p, *result.Question)
		if err != nil || refused == nil {
			return agui.Message{}, err
		}
		result = *refused
		r.c.Tools.RecordSkipped(called(call), result.Outcome)
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
func (r *run) callTool(ctx context.Context, p PendingCall, reports chan<- agui.Event) (result tool.Result) {
	defer func() { // the dispatcher recovers panics of handlers; this recovers panics of the dispatcher's hooks
		if v := recover(); v != nil {
			text := "The tool " + p.Call.Function.Name + " failed unexpectedly."
			result = tool.Result{Outcome: tool.Panicked, Content: text}
		}
	}()
	call := called(p.Call)
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

func called(c agui.ToolCall) tool.Call {
	return tool.Call{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments}
}

// about returns the metadata of a result, for clients. A successful result of an unedited call has none.
func about(result tool.Result, edited bool) json.RawMessage {
	marks := agui.Marks{Edited: edited, Outside: result.Outside}
	if result.Outcome != tool.OK {
		marks.Outcome = string(result.Outcome)
	}
	return marks.Metadata()
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
	if err := r.c.Sink.Emit(r.emitCtx, events...); err != nil {
		return &sinkError{cause: err}
	}
	r.c.User.Count(figures(events))
	for _, e := range events {
		r.open.Add(e)
	}
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
		if events := r.open.Close(noResult, agui.Marks{Stopped: stopped}); len(events) > 0 {
			return r.put(events...)
		}
		return nil
	})
	var sink *sinkError
	if err != nil && !errors.As(err, &sink) {
		return &sinkError{cause: err}
	}
	return err
}

package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
)

// run is the state of one run. It is for one goroutine; the tools' goroutines give their results back by channel.
type run struct {
	c       Config
	emitCtx context.Context // does not end with the run's: what was opened must be closed after a cancel
	newID   func() string
	limits  chat.Limits

	open       agui.Open
	undecided  []agui.ToolCall // that the model began and the dispatcher has not been given
	usage      []agui.Usage
	asked      []agui.Interrupt
	editable   []json.RawMessage // of each question the schema with which a call's arguments can be edited, if there is one
	askedBytes int
}

func newRun(ctx context.Context, c Config) *run {
	r := &run{c: c, emitCtx: context.WithoutCancel(ctx), newID: c.NewID, limits: c.User.Limits()}
	if r.newID == nil {
		r.newID = func() string { return rand.Text()[:16] } // 80 bits; log records repeat them
	}
	for _, p := range c.Pending {
		r.open.AddCall(p.Call.ID)
		r.undecided = append(r.undecided, p.Call)
	}
	return r
}

// messageID makes the id of a message. The prefix keeps it apart from all ids that clients may give.
func (r *run) messageID() string { return chat.ServerPrefix + r.newID() }

// loop makes the pending calls, and then asks the model and calls the tools that it wants until it has said all, or a
// person is to be asked. The error is a failure, a sinkError or ErrCancelled.
func (r *run) loop(ctx context.Context) error {
	results, err := r.callTools(ctx, r.c.Pending)
	if err != nil || len(r.asked) > 0 {
		return err
	}
	history := forModel(append(slices.Clone(r.c.History), results...))
	if answered(history) {
		return nil
	}
	for {
		said, err := r.askModel(ctx, history)
		if err != nil || len(said.ToolCalls) == 0 {
			return err
		}
		calls := make([]PendingCall, len(said.ToolCalls))
		for i, c := range said.ToolCalls {
			calls[i] = PendingCall{Call: c}
		}
		if r.c.User.Count(chat.RunStats{ToolCalls: len(calls)}).ToolCalls > r.limits.ToolCalls {
			return limitReached(CodeToolCalls, "tool calls", r.limits.ToolCalls)
		}
		results, err := r.callTools(ctx, calls)
		if err != nil || len(r.asked) > 0 {
			return err
		}
		history = append(append(history, said), results...)
	}
}

// askModel makes the next model call, if the run may have one more.
func (r *run) askModel(ctx context.Context, history []agui.Message) (agui.Message, error) {
	if err := r.ready(ctx); err != nil {
		return agui.Message{}, err
	}
	if r.c.User.Count(chat.RunStats{}).ModelCalls >= r.limits.ModelCalls {
		return agui.Message{}, limitReached(CodeModelCalls, "model calls", r.limits.ModelCalls)
	}
	r.c.User.Count(chat.RunStats{ModelCalls: 1})
	return r.stream(ctx, history)
}

// ready reports whether a model or a tool may be called now.
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

// settled waits until the log holds all that was said, and reports whether tools may be called then.
func (r *run) settled(ctx context.Context) error {
	if err := r.c.Sink.Sync(ctx); err != nil && ctx.Err() == nil {
		return &sinkError{cause: err}
	}
	return r.ready(ctx)
}

// atOnce is how many calls of one answer are made at the same time. One that does not heed its context gives its seat back
// at its deadline.
const atOnce = 10

// callTools makes the calls at once and emits their results in the order of the calls. Those that a person is to be asked
// about have none.
func (r *run) callTools(ctx context.Context, calls []PendingCall) ([]agui.Message, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	if err := r.settled(ctx); err != nil {
		return nil, err
	}
	r.undecided = nil // these are all of them
	tools, cancel := context.WithCancel(ctx)
	waiting := make([]chan tool.Result, len(calls))
	seats := make(chan struct{}, atOnce)
	for i, call := range calls {
		result := make(chan tool.Result, 1)
		waiting[i] = result
		go func() {
			seats <- struct{}{}
			came := r.callTool(tools, call)
			<-seats
			result <- came
		}()
	}
	defer func() { // only if emitting failed is one still waiting
		cancel()
		for _, w := range waiting {
			<-w
		}
	}()
	messages := make([]agui.Message, 0, len(calls))
	for _, call := range calls {
		result := <-waiting[0]
		waiting = waiting[1:]
		m, err := r.result(call, result)
		if err != nil {
			return nil, err
		}
		if m.ID != "" {
			messages = append(messages, m)
		}
	}
	if len(r.asked) > 0 && ctx.Err() != nil {
		return nil, stopped(ctx) // nobody is asked by a run that was stopped
	}
	return messages, nil
}

// result emits what came of a call and returns its message: the zero one if a person is to be asked.
func (r *run) result(p PendingCall, result tool.Result) (agui.Message, error) {
	call := p.Call
	if result.Outcome == tool.Asked {
		instead, err := r.ask(p, *result.Question)
		if err != nil || instead == nil {
			return agui.Message{}, err
		}
		result = *instead
		r.c.Tools.RecordSkipped(called(call), result.Outcome)
	}
	m := agui.Message{ID: r.messageID(), Role: agui.RoleTool, ToolCallID: call.ID, Content: result.Content}
	return m, r.emit(agui.Event{
		Type: agui.ToolCallResult, MessageID: m.ID, ToolCallID: call.ID, Role: agui.RoleTool, Content: &m.Content,
		Metadata: about(result.Outcome, p.Edited != ""),
	})
}

func (r *run) callTool(ctx context.Context, p PendingCall) (result tool.Result) {
	defer func() { // the dispatcher guards the handlers; this guards its hooks, on a goroutine of our own
		if v := recover(); v != nil {
			result = tool.Result{Outcome: tool.Panicked, Content: "The tool " + p.Call.Function.Name + " failed unexpectedly."}
		}
	}()
	call := called(p.Call)
	call.Approved, call.MayHaveRun = p.Approved, p.MayHaveRun
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

// about is the metadata of a result, for clients. A good result of an unedited call has none.
func about(o tool.Outcome, edited bool) json.RawMessage {
	marks := agui.Marks{Edited: edited}
	if o != tool.OK {
		marks.Outcome = string(o)
	}
	return marks.Metadata()
}

// emit gives the sink the next event, if the run's limits allow it. Deltas are counted as they come from the model,
// before the sink joins them.
func (r *run) emit(e agui.Event) error {
	after := r.c.User.Count(chat.RunStats{}).Plus(figures(e))
	if after.Events > r.limits.Events {
		return limitReached(CodeEvents, "events", r.limits.Events)
	}
	if after.OutputBytes > int64(r.limits.OutputBytes) {
		return limitReached(CodeOutput, "bytes of output", r.limits.OutputBytes)
	}
	return r.put(e)
}

func figures(e agui.Event) chat.RunStats {
	return chat.RunStats{Events: 1, OutputBytes: agui.OutputBytes(e)}
}

func (r *run) put(e agui.Event) error {
	if err := r.c.Sink.Emit(r.emitCtx, e); err != nil {
		return &sinkError{cause: err}
	}
	r.c.User.Count(figures(e))
	r.open.Add(e)
	return nil
}

// noResult is the result of a call that has none when the run ends. It may have been carried out: the run may have
// ended at a limit between the tool's answer and its event.
const noResult = "The run ended before this tool call had a result."

// closeOpen closes what the loop left open, beyond the limits: they are about the agent's work, and this ends it. What was
// cut off is marked, and also whether the person stopped it: the next run's model is told. It
// fails if the sink does, also by a panic: then it takes no more. Calls that were never made are recorded as such.
func (r *run) closeOpen(stopped bool) error {
	err := r.guard(func() error {
		for _, c := range r.undecided {
			if r.c.Tools != nil {
				r.c.Tools.RecordSkipped(called(c), tool.NotCalled)
			}
		}
		for _, e := range r.open.Close(noResult, agui.Marks{Stopped: stopped}) {
			if err := r.put(e); err != nil {
				return err
			}
		}
		return nil
	})
	var sink *sinkError
	if err != nil && !errors.As(err, &sink) {
		return &sinkError{cause: err}
	}
	return err
}

// count adds what a model call used to the run's usage of that model.
func (r *run) count(u agui.Usage) {
	same := func(have agui.Usage) bool { return have.Provider == u.Provider && have.Model == u.Model }
	if i := slices.IndexFunc(r.usage, same); i >= 0 {
		r.usage[i].InputTokens += u.InputTokens
		r.usage[i].OutputTokens += u.OutputTokens
		return
	}
	r.usage = append(r.usage, u)
}

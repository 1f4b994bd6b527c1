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

	open  agui.Open
	usage []agui.Usage
}

func newRun(ctx context.Context, c Config) *run {
	r := &run{c: c, emitCtx: context.WithoutCancel(ctx), newID: c.NewID, limits: c.User.Limits()}
	if r.newID == nil {
		r.newID = rand.Text
	}
	return r
}

// loop asks the model and calls the tools that it wants until it has said all. The error is a failure, a sinkError or
// ErrCancelled.
func (r *run) loop(ctx context.Context, history []agui.Message) error {
	for {
		if ctx.Err() != nil {
			return stopped(ctx)
		}
		if r.used(chat.Figures{ModelCalls: 1}).ModelCalls > r.limits.ModelCalls {
			return limitReached(CodeModelCalls, "model calls", r.limits.ModelCalls)
		}
		said, err := r.ask(ctx, history)
		if err != nil {
			return err
		}
		if len(said.ToolCalls) == 0 {
			return nil
		}
		results, err := r.callTools(ctx, said.ToolCalls)
		if err != nil {
			return err
		}
		history = append(append(history, said), results...)
	}
}

// callTools calls the tools at once and emits their results in the order of the calls.
func (r *run) callTools(ctx context.Context, calls []agui.ToolCall) ([]agui.Message, error) {
	if r.used(chat.Figures{ToolCalls: len(calls)}).ToolCalls > r.limits.ToolCalls {
		return nil, limitReached(CodeToolCalls, "tool calls", r.limits.ToolCalls)
	}
	ctx, cancel := context.WithCancel(ctx)
	waiting := make([]chan tool.Result, len(calls))
	for i, call := range calls {
		result := make(chan tool.Result, 1)
		waiting[i] = result
		go func() { result <- r.callTool(ctx, call.Function) }()
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
		m := agui.Message{ID: r.newID(), Role: agui.RoleTool, ToolCallID: call.ID, Content: result.Content}
		e := agui.Event{
			Type: agui.ToolCallResult, MessageID: m.ID, ToolCallID: call.ID, Role: agui.RoleTool, Content: &m.Content,
			Metadata: outcome(result.Outcome),
		}
		if err := r.emit(e); err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func (r *run) callTool(ctx context.Context, f agui.FunctionCall) (result tool.Result) {
	defer func() { // the dispatcher guards the handlers; this guards its hooks, on a goroutine of our own
		if v := recover(); v != nil {
			result = tool.Result{Outcome: tool.Panicked, Content: "The tool " + f.Name + " failed unexpectedly."}
		}
	}()
	if r.c.Tools == nil {
		return tool.Result{Outcome: tool.Unknown, Content: fmt.Sprintf("There is no tool %q.", f.Name)}
	}
	return r.c.Tools.Call(ctx, f.Name, f.Arguments)
}

// outcome is the metadata of a result, for who shows it: none for a good one.
func outcome(o tool.Outcome) json.RawMessage {
	if o == tool.OK {
		return nil
	}
	return json.RawMessage(fmt.Sprintf(`{"carrel":{"outcome":%q}}`, o))
}

// emit gives the sink the next event, if the run's limits allow it.
func (r *run) emit(e agui.Event) error {
	size := len(e.Delta)
	if e.Content != nil {
		size += len(*e.Content)
	}
	used := r.used(chat.Figures{Events: 1, OutputBytes: int64(size)})
	if used.Events > r.limits.Events {
		return limitReached(CodeEvents, "events", r.limits.Events)
	}
	if used.OutputBytes > int64(r.limits.OutputBytes) {
		return limitReached(CodeOutput, "bytes of output", r.limits.OutputBytes)
	}
	return r.put(e)
}

// used is what the whole run has used, with this.
func (r *run) used(more chat.Figures) chat.Figures { return r.c.User.Count(more) }

func (r *run) put(e agui.Event) error {
	if err := r.c.Sink.Emit(r.emitCtx, e); err != nil {
		return &sinkError{cause: err}
	}
	r.open.Add(e)
	return nil
}

// noResult is the result of a call that has none when the run ends. It may have been carried out: the run may have
// ended at a limit between the tool's answer and its event.
const noResult = "The run ended before this tool call had a result."

// closeOpen closes what the loop left open, beyond the limits: they are about the agent's work, and this ends it. It
// fails if the sink does, also by a panic: then it takes no more.
func (r *run) closeOpen() error {
	err := r.guard(func() error {
		for _, e := range r.open.Close(noResult) {
			if err := r.c.Sink.Emit(r.emitCtx, e); err != nil {
				return &sinkError{cause: err}
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

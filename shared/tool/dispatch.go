package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

// callTimeError is the cancel cause of a call that took too long.
type callTimeError struct{}

func (callTimeError) Error() string { return "tool: the call took too long" }

// Dispatcher calls tools for one run. It is made from one user context and makes no calls after the context's Close.
// Its hooks must be set before the first call, and they may be called concurrently.
type Dispatcher struct {
	Record func(Decision)                   // receives every call's outcome; may be nil
	Logf   func(format string, args ...any) // receives failures that the model does not see; may be nil
	Texts  []string                         // what the person wrote in this thread: handlers read it with UserTexts

	user     *usercontext.Context
	tools    map[string]Tool
	registry *Registry // only for records of calls

	counts *counts // shared by the dispatchers of one run
}

// counts counts the calls of a run.
type counts struct {
	mu      sync.Mutex
	calls   map[string]int  // by tool
	counted map[string]bool // counted calls, by id
}

// NewDispatcher makes the dispatcher of one run with the named tools. A name that the registry lacks is an error,
// because the agent's definition is wrong. The dispatcher of a cancelled run makes no calls, and records that.
func NewDispatcher(uc *usercontext.Context, r *Registry, names []string) (*Dispatcher, error) {
	if uc == nil {
		return nil, errors.New("make a tool dispatcher: no user context")
	}
	if p := uc.Phase(); p != usercontext.Active && p != usercontext.Executing {
		return nil, fmt.Errorf("make a tool dispatcher: the user context is %w", chat.ErrClosed)
	}
	d := &Dispatcher{user: uc, registry: r, tools: make(map[string]Tool, len(names)),
		counts: &counts{calls: map[string]int{}, counted: map[string]bool{}}}
	for _, name := range names {
		t, ok := r.tools[name]
		if !ok {
			return nil, fmt.Errorf("make a tool dispatcher: there is no tool %q", name)
		}
		d.tools[name] = t
	}
	return d, nil
}

// For returns a dispatcher for another agent of the run, with the named tools and a child of the run's user context. It
// has the hooks of d, and the limits of calls per run count the calls of both.
func (d *Dispatcher) For(child *usercontext.Context, names []string) (*Dispatcher, error) {
	other, err := NewDispatcher(child, d.registry, names)
	if err != nil {
		return nil, err
	}
	other.Record, other.Logf, other.Texts, other.counts = d.Record, d.Logf, d.Texts, d.counts
	return other, nil
}

// Specs returns the tools that the run's grants allow, sorted by name.
func (d *Dispatcher) Specs() []Spec {
	specs := make([]Spec, 0, len(d.tools))
	for _, name := range slices.Sorted(maps.Keys(d.tools)) {
		if t := d.tools[name]; d.user.Granted(t.grant) {
			specs = append(specs, t.spec.clone())
		}
	}
	return specs
}

// Call makes a call that a model requested. It always returns a result: at the latest when ctx or the run's context
// ends, or at the call's deadline. If the handler has not returned by then, the user context's Close waits for it. The
// checks are, in this order: the tool exists, the run's grants allow it, the arguments fit, the run may call it once
// more, a person has approved. Checks stop at the first failure, and only that failure is reported. Call is safe for
// concurrent use.
func (d *Dispatcher) Call(ctx context.Context, c Call) Result {
	began := d.user.Now()
	result := d.decide(ctx, c)
	if c.Edited {
		result.Content = EditedResult(c.Arguments, result.Content)
	}
	if !result.cut || c.Edited {
		result.Content, result.cut = bound(result.Content, MaxResult)
	}
	d.record(c, result, d.user.Now().Sub(began))
	return result
}

// RecordSkipped records the outcome of a call that the dispatcher does not make: a person refused it or gave its
// result, or the run ended first.
func (d *Dispatcher) RecordSkipped(c Call, o Outcome) { d.record(c, Result{Outcome: o}, 0) }

// RecordAgent records a call that asks another agent, which the engine makes. The agent needs this grant.
func (d *Dispatcher) RecordAgent(c Call, grant string, o Outcome, took time.Duration) {
	if d.Record != nil {
		d.Record(Decision{Run: d.user.Run(), Call: c.ID, Tool: c.Name, Grant: grant, Outcome: o, Took: took,
			ArgumentBytes: len(c.Arguments)})
	}
}

// record passes the record of one call to the Record hook.
func (d *Dispatcher) record(c Call, r Result, took time.Duration) {
	if d.Record == nil {
		return
	}
	t := d.registry.tools[c.Name] // also names a tool that the registry has and the agent lacks
	d.Record(Decision{
		Run: d.user.Run(), Call: c.ID, Tool: t.spec.Name, Grant: t.grant, Outcome: r.Outcome, Took: took,
		ArgumentBytes: len(c.Arguments), Edited: c.Edited, Cut: r.cut,
	})
}

// decide makes the checks of Call, and then the call. A panic in a check fails the call.
func (d *Dispatcher) decide(ctx context.Context, c Call) (r Result) {
	defer d.recovered(c.Name, &r)
	t, ok := d.tools[c.Name]
	switch {
	case !ok && c.MayHaveRun: // its source was there when the call began
		return Result{Outcome: UnknownCall, Content: agui.UnknownOutcome}
	case !ok && c.Approved:
		return Result{Outcome: Unknown, Content: fmt.Sprintf(
			"A person approved the call, but the tool %q is not available now. The call was not made.", c.Name)}
	case !ok:
		return Result{Outcome: Unknown, Content: fmt.Sprintf("There is no tool %q. %s", c.Name, d.offer())}
	}
	if !d.user.Granted(t.grant) {
		return Result{Outcome: Denied, Content: fmt.Sprintf("This user is not permitted to use the tool %q. %s", c.Name,
			d.offer())}
	}
	if strings.TrimSpace(c.Arguments) == "" {
		c.Arguments = "{}"
	}
	if err := t.check(json.RawMessage(c.Arguments)); err != nil {
		return Result{Outcome: BadArguments, Content: fmt.Sprintf(
			"The arguments of %s are wrong: %v. Send one JSON object that fits this schema: %s", c.Name, err,
			t.spec.Schema)}
	}
	question := ""
	if !c.Approved {
		question = t.asks(c)
	}
	switch {
	case !d.count(t, c.ID):
		return Result{Outcome: Limited, Content: fmt.Sprintf(
			"The tool %s may be called %d times in one run, and it was. Go on without it.", c.Name, t.limits.calls)}
	case question != "": // without approval the call cannot have run, whatever MayHaveRun says
		return ask(c, Question{Reason: agui.ReasonToolCall, Message: question, Schema: approval(t.spec.Schema)})
	case c.MayHaveRun && !t.effects.repeatable():
		return Result{Outcome: UnknownCall, Content: agui.UnknownOutcome}
	}
	return d.call(ctx, t, c)
}

// CountPrevious counts the calls that previous attempts at the run began, because a tool's call limit is for the whole
// run. events are the run's. It must be called before the first call.
func (d *Dispatcher) CountPrevious(events []agui.Event) {
	for _, e := range events {
		if t, ok := d.tools[e.ToolCallName]; ok && e.Type == agui.ToolCallStart {
			d.count(t, e.ToolCallID)
		}
	}
}

// count counts a call and reports whether the run may make it. A call that is counted already was within the limit
// then, and may be made.
func (d *Dispatcher) count(t Tool, id string) bool {
	c := d.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted[id] {
		return true
	}
	c.counted[id] = id != ""
	c.calls[t.spec.Name]++
	return c.calls[t.spec.Name] <= t.limits.calls
}

// offer lists the tools that the model can call instead.
func (d *Dispatcher) offer() string {
	var names []string
	for _, s := range d.Specs() {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return "There are no tools in this conversation."
	}
	return "There are: " + strings.Join(names, ", ") + "."
}

// call runs the handler in a goroutine of the user context. The goroutine outlives the call if the handler ignores its
// deadline.
func (d *Dispatcher) call(ctx context.Context, t Tool, c Call) Result {
	ctx = context.WithValue(ctx, keyOf{}, d.user.User().Hash()+":"+string(d.user.Run())+":"+c.ID)
	ctx = context.WithValue(ctx, textsOf{}, d.Texts)
	if c.Progress != nil {
		p := &progress{call: c.ID, send: c.Progress, now: d.user.Now}
		defer p.end()
		ctx = context.WithValue(ctx, progressOf{}, p)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.user.Context(), func() { cancel(context.Cause(d.user.Context())) })()
	ctx, stop := context.WithTimeoutCause(ctx, t.limits.time, callTimeError{})
	defer stop()
	if ctx.Err() != nil || d.user.Context().Err() != nil {
		return d.ended(ctx, t)
	}
	results := make(chan Result, 1)
	err := d.user.Go("tool "+t.spec.Name, func(context.Context) { results <- d.handle(ctx, t, c) })
	if err != nil {
		return d.ended(ctx, t)
	}
	select {
	case r := <-results:
		return r
	case <-ctx.Done():
		return d.ended(ctx, t)
	}
}

// handle calls the handler and turns its errors and panics into results.
func (d *Dispatcher) handle(ctx context.Context, t Tool, c Call) (r Result) {
	defer d.recovered(t.spec.Name, &r)
	out, err := t.call(ctx, json.RawMessage(c.Arguments))
	if err == nil {
		return t.result(OK, out.content())
	}
	var forModel *Error
	var input *InputError
	switch {
	case errors.As(err, &input):
		return d.input(t, c, input)
	case errors.As(err, &forModel):
		if forModel.Cause != nil {
			d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, forModel.Cause)
		}
		return t.result(Failed, forModel.Text)
	case ctx.Err() != nil:
		return d.ended(ctx, t)
	}
	d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
	return Result{Outcome: Failed, Content: "The tool " + t.spec.Name + " failed."}
}

// recovered is deferred by a function that calls a tool's code. It turns a panic into the function's result.
func (d *Dispatcher) recovered(name string, r *Result) {
	if v := recover(); v != nil {
		d.logf("run %s: tool %s panicked: %v", d.user.Run(), name, v)
		*r = Result{Outcome: Panicked, Content: "The tool " + name + " failed unexpectedly."}
	}
}

// input returns the result of a call whose handler requests input from a person. An invalid response schema is a fault
// of the tool: the call fails, and the person is not asked.
func (d *Dispatcher) input(t Tool, c Call, e *InputError) Result {
	q := Question{Reason: agui.ReasonInputRequired, Message: e.Message, Schema: e.Schema}
	result := ask(c, q)
	if result.Outcome != Asked || len(q.Schema) == 0 {
		return result
	}
	if _, err := resolve(q.Schema); err != nil {
		d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
		return Result{Outcome: Failed, Content: "The tool " + t.spec.Name + " failed."}
	}
	return result
}

// ended returns the result of a call whose context ended before the handler returned.
func (d *Dispatcher) ended(ctx context.Context, t Tool) Result {
	if errors.Is(context.Cause(ctx), callTimeError{}) {
		return Result{Outcome: TimedOut, Content: fmt.Sprintf("The tool %s did not answer within %v.", t.spec.Name,
			t.limits.time)}
	}
	return Result{Outcome: Stopped, Content: fmt.Sprintf("The run was stopped before the tool %s answered.",
		t.spec.Name)}
}

func (d *Dispatcher) logf(format string, args ...any) {
	if d.Logf != nil {
		d.Logf(format, args...)
	}
}

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

// Dispatcher calls tools for one run. It is made from one user context and refuses after its Close. Its hooks are set
// before the first call; they may be called concurrently.
type Dispatcher struct {
	Record func(Decision)                   // gets every call's outcome; nil: nobody
	Logf   func(format string, args ...any) // gets failures that are not told to the model; nil: nobody

	user     *usercontext.Context
	tools    map[string]Tool
	registry *Registry // for the record only

	mu      sync.Mutex
	calls   map[string]int  // of each tool in this run; nil before the first
	counted map[string]bool // by their ids
}

// NewDispatcher makes the dispatcher of one run with those of the named tools that exist in the registry; a name that
// does not is an error of the agent's definition. That of a run which is cancelled calls nothing, and records that.
func NewDispatcher(uc *usercontext.Context, r *Registry, names []string) (*Dispatcher, error) {
	if uc == nil {
		return nil, errors.New("make a tool dispatcher: no user context")
	}
	if p := uc.Phase(); p != usercontext.Active && p != usercontext.Executing {
		return nil, fmt.Errorf("make a tool dispatcher: the user context is %w", chat.ErrClosed)
	}
	d := &Dispatcher{user: uc, registry: r, tools: make(map[string]Tool, len(names))}
	for _, name := range names {
		t, ok := r.tools[name]
		if !ok {
			return nil, fmt.Errorf("make a tool dispatcher: there is no tool %q", name)
		}
		d.tools[name] = t
	}
	return d, nil
}

// Specs are the tools that this run may call, sorted by name: those that its grants allow.
func (d *Dispatcher) Specs() []Spec {
	specs := make([]Spec, 0, len(d.tools))
	for _, name := range slices.Sorted(maps.Keys(d.tools)) {
		if t := d.tools[name]; d.user.Granted(t.grant) {
			specs = append(specs, t.spec.clone())
		}
	}
	return specs
}

// Call makes a call that a model asked for. It always gives a result, at the latest when ctx or the run's context ends
// or the call's time is over, also if the handler does not return: the user context's Close then waits for it. What is
// looked at, in this order: does the tool exist, is it granted, does it take these arguments, was it called too often, is
// a person to be asked. The first that is wrong is told, and nothing behind it. Concurrent calls are fine.
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

// RecordSkipped records a call that is not made because what came of it is known: a person refused it or answered it, or the run
// ended before.
func (d *Dispatcher) RecordSkipped(c Call, o Outcome) { d.record(c, Result{Outcome: o}, 0) }

func (d *Dispatcher) record(c Call, r Result, took time.Duration) {
	if d.Record == nil {
		return
	}
	t := d.registry.tools[c.Name] // one that the agent does not have is named too
	d.Record(Decision{
		Run: d.user.Run(), Call: c.ID, Tool: t.spec.Name, Grant: t.grant, Outcome: r.Outcome, Took: took,
		ArgumentBytes: len(c.Arguments), Edited: c.Edited, Cut: r.cut,
	})
}

func (d *Dispatcher) decide(ctx context.Context, c Call) Result {
	t, ok := d.tools[c.Name]
	if !ok {
		return Result{Outcome: Unknown, Content: fmt.Sprintf("There is no tool %q. %s", c.Name, d.offer())}
	}
	if !d.user.Granted(t.grant) {
		return Result{Outcome: Denied, Content: fmt.Sprintf("This user is not permitted to use the tool %q. %s", c.Name, d.offer())}
	}
	if strings.TrimSpace(c.Arguments) == "" {
		c.Arguments = "{}"
	}
	if err := t.check(json.RawMessage(c.Arguments)); err != nil {
		return Result{Outcome: BadArguments, Content: fmt.Sprintf(
			"The arguments of %s are wrong: %v. Send one JSON object that fits this schema: %s", c.Name, err, t.spec.Schema)}
	}
	switch {
	case !d.count(t, c.ID):
		return Result{Outcome: Limited, Content: fmt.Sprintf(
			"The tool %s may be called %d times in one run, and it was. Go on without it.", c.Name, t.limits.calls)}
	case t.asks() != "" && !c.Approved: // it was not made before either, whatever Again says
		return ask(c, Question{Reason: agui.ReasonToolCall, Message: t.asks(), Schema: approval(t.spec.Schema)})
	case c.MayHaveRun && !t.effects.repeatable():
		return Result{Outcome: UnknownCall, Content: agui.UnknownOutcome}
	}
	return d.call(ctx, t, c)
}

// CountPrevious counts the calls that earlier attempts at the run began, by the run's events: a tool's limit is the run's. It
// comes before the first call.
func (d *Dispatcher) CountPrevious(events []agui.Event) {
	for _, e := range events {
		if t, ok := d.tools[e.ToolCallName]; ok && e.Type == agui.ToolCallStart {
			d.count(t, e.ToolCallID)
		}
	}
}

// count counts a call and reports whether the run may make it. One that is counted already may go on: it was let in when
// it was.
func (d *Dispatcher) count(t Tool, id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counted[id] {
		return true
	}
	if d.calls == nil {
		d.calls, d.counted = map[string]int{}, map[string]bool{}
	}
	d.counted[id] = id != ""
	d.calls[t.spec.Name]++
	return d.calls[t.spec.Name] <= t.limits.calls
}

// offer says what can be called instead.
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

// call runs the handler in a goroutine of the user context, which outlives this call if the handler ignores its
// deadline.
func (d *Dispatcher) call(ctx context.Context, t Tool, c Call) Result {
	ctx = context.WithValue(ctx, keyOf{}, d.user.User().Hash()+":"+string(d.user.Run())+":"+c.ID)
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

func (d *Dispatcher) handle(ctx context.Context, t Tool, c Call) (r Result) {
	defer func() {
		if v := recover(); v != nil {
			d.logf("run %s: tool %s panicked: %v", d.user.Run(), t.spec.Name, v)
			r = Result{Outcome: Panicked, Content: "The tool " + t.spec.Name + " failed unexpectedly."}
		}
	}()
	text, err := t.call(ctx, json.RawMessage(c.Arguments))
	if err == nil {
		return t.result(OK, text)
	}
	var told *Error
	var input *InputError
	switch {
	case errors.As(err, &input):
		return d.input(t, c, input)
	case errors.As(err, &told):
		return t.result(Failed, told.Text)
	case ctx.Err() != nil:
		return d.ended(ctx, t)
	}
	d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
	return Result{Outcome: Failed, Content: "The tool " + t.spec.Name + " failed."}
}

// input is the result of a call whose handler wants something of a person. A schema that no answer could be held against
// is the tool's fault, and nobody is asked.
func (d *Dispatcher) input(t Tool, c Call, e *InputError) Result {
	q := Question{Reason: agui.ReasonInputRequired, Message: e.Message, Schema: e.Schema}
	asked := ask(c, q)
	if asked.Outcome != Asked || len(q.Schema) == 0 {
		return asked
	}
	if _, err := resolve(q.Schema); err != nil {
		d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
		return Result{Outcome: Failed, Content: "The tool " + t.spec.Name + " failed."}
	}
	return asked
}

// ended is the result of a call whose context ended before the handler did.
func (d *Dispatcher) ended(ctx context.Context, t Tool) Result {
	if errors.Is(context.Cause(ctx), callTimeError{}) {
		return Result{Outcome: TimedOut, Content: fmt.Sprintf("The tool %s did not answer within %v.", t.spec.Name, t.limits.time)}
	}
	return Result{Outcome: Stopped, Content: fmt.Sprintf("The run was stopped before the tool %s answered.", t.spec.Name)}
}

func (d *Dispatcher) logf(format string, args ...any) {
	if d.Logf != nil {
		d.Logf(format, args...)
	}
}

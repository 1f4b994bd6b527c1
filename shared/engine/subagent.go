package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// Colleague is an agent that another agent may ask, by a call of the tool ask_<name>. The call's line has the call's
// id: a stream of answers of its own, which the asking agent's model does not see. The asked agent sees the question
// only. Its last answer is the call's result.
type Colleague struct {
	Name, Description string
	Grant             string // the grant that the user needs; "" opens the agent to every user
}

// AskPrefix begins the names of the tools that ask another agent.
const AskPrefix = "ask_"

// MaxDepth is how many agents may wait for each other's answers, the run's own agent not counted.
const MaxDepth = 4

// maxQuestion bounds the bytes of a question to an agent.
const maxQuestion = 64 << 10

// askSchema is the JSON Schema of the arguments of a tool that asks another agent.
const askSchema = `{"type":"object","properties":{"question":{"type":"string","minLength":1,` +
	`"description":"Everything that the agent needs to know. It does not see this conversation."}},` +
	`"required":["question"],"additionalProperties":false}`

// mayAsk reports whether the user may have the agent asked.
func (w Colleague) mayAsk(uc *usercontext.Context) bool { return w.Grant == "" || uc.Granted(w.Grant) }

// specs returns the tools that the line's model is offered, sorted by name: those of the dispatcher, and one for each
// agent that the user may have asked.
func (r *run) specs() (all []tool.Spec) {
	if r.c.Tools != nil {
		all = r.c.Tools.Specs()
	}
	for _, w := range r.c.Asks {
		if w.mayAsk(r.c.User) && len(r.path) < MaxDepth {
			all = append(all, tool.Spec{Name: AskPrefix + w.Name, Schema: json.RawMessage(askSchema),
				Description: "Asks another agent and returns its answer. " + w.Description})
		}
	}
	all = append(all, r.handoffSpecs()...)
	slices.SortFunc(all, func(a, b tool.Spec) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// colleague returns the agent that a call of this tool asks.
func (r *run) colleague(name string) (Colleague, bool) {
	for _, w := range r.c.Asks {
		if name == AskPrefix+w.Name {
			return w, true
		}
	}
	return Colleague{}, false
}

// split returns the calls of a line that are to be made, and for each of them that asks an agent, the calls that its
// line continues with. A call that has its result in the log is left out.
func (r *run) split(pending []PendingCall) (own []PendingCall, below map[string][]PendingCall) {
	below = map[string][]PendingCall{}
	var asking []string
	for _, p := range pending {
		switch {
		case len(p.Path) == 0 && !agui.HasResult(r.log, p.Call.ID):
			own = append(own, p)
		case len(p.Path) > 0:
			id := p.Path[0]
			if below[id] == nil && !agui.HasResult(r.log, id) {
				asking = append(asking, id)
			}
			p.Path = p.Path[1:]
			below[id] = append(below[id], p)
		}
	}
	for _, id := range asking {
		if !slices.ContainsFunc(own, func(p PendingCall) bool { return p.Call.ID == id }) {
			own = append(own, r.asking(id))
		}
	}
	return own, below
}

// asking returns the call of an earlier run that asked an agent.
func (r *run) asking(id string) PendingCall {
	if c, ok := callIn(r.c.History, id); ok {
		return PendingCall{Call: c}
	}
	gone := lineGone()
	return PendingCall{Call: agui.ToolCall{ID: id, Type: "function"}, Result: &gone}
}

// lineGone is the result of a call whose line cannot continue.
func lineGone() tool.Result {
	return tool.Result{Outcome: tool.Failed,
		Content: "The agent that was asked cannot continue, because its messages are no longer stored."}
}

// callIn returns the call of this id in a conversation.
func callIn(messages []agui.Message, id string) (agui.ToolCall, bool) {
	for _, m := range messages {
		for _, c := range m.ToolCalls {
			if c.ID == id {
				return c, true
			}
		}
	}
	return agui.ToolCall{}, false
}

// ask makes one call that asks an agent: it begins the agent's line, or continues it, and runs it to its end.
func (r *run) ask(ctx context.Context, p PendingCall, who Colleague) (made called) {
	began := r.c.User.Now()
	defer func() {
		if r.c.Tools != nil && !made.suspended && made.failed == nil {
			r.c.Tools.RecordAgent(toCall(p.Call), who.Grant, made.Outcome, r.c.User.Now().Sub(began))
		}
	}()
	question, err := questionIn(p.Call.Function.Arguments)
	switch {
	case !who.mayAsk(r.c.User):
		return refused(tool.Denied, fmt.Sprintf("This user is not permitted to use the agent %q.", who.Name))
	case len(r.path) >= MaxDepth:
		return refused(tool.Limited, fmt.Sprintf("At most %d agents may wait for each other. Answer yourself.",
			MaxDepth))
	case err != nil:
		return refused(tool.BadArguments,
			fmt.Sprintf("The arguments are wrong: %v. Send one JSON object that fits this "+
				"schema: %s", err, askSchema))
	}
	child, closeChild, err := r.openLine(ctx, p.Call.ID, who, question)
	if err != nil {
		r.logf("run %s: open the agent %s: %v", r.c.User.Run(), who.Name, err)
		return refused(tool.Failed, fmt.Sprintf("The agent %q is not available.", who.Name))
	}
	defer closeChild()
	if child.gone() {
		return called{Result: lineGone()}
	}
	return child.answerQuestion(ctx, who, r.line)
}

func refused(o tool.Outcome, why string) called {
	return called{Result: tool.Result{Outcome: o, Content: why}}
}

// questionIn reads the arguments of a call that asks an agent.
func questionIn(arguments string) (string, error) {
	var in struct {
		Question string `json:"question"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(arguments)))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return "", errors.New("they are not a JSON object with a question")
	}
	if strings.TrimSpace(in.Question) == "" || len(in.Question) > maxQuestion {
		return "", fmt.Errorf("the question is empty or has more than %d bytes", maxQuestion)
	}
	return in.Question, nil
}

// openLine makes the state of the line of a call. The caller calls the returned function when the line has ended.
func (r *run) openLine(ctx context.Context, line string, who Colleague, question string) (*run, func(), error) {
	if r.c.Open == nil {
		return nil, nil, errors.New("Config.Open is missing")
	}
	agent, uc, err := r.c.Open(r.c.User, line, who.Name)
	if err != nil {
		return nil, nil, err
	}
	executed, err := uc.Execute()
	if err != nil {
		return nil, nil, err
	}
	c := r.c
	c.Agent, c.User = agent, uc
	c.History = append([]agui.Message{{ID: chat.ServerPrefix + line, Role: agui.RoleUser, Content: question}},
		agui.LineMessages(r.said, line)...)
	own := agui.Line(r.log, line)
	c.Pending = append(UnfinishedCalls(own, agui.Unfinished(own, line)), r.continued[line]...)
	path := append(slices.Clone(r.path), line)
	child := r.begin(ctx, c, line, path)
	child.tainted = r.before(line).Outside
	return child, func() {
		executed(nil)
		if err := uc.Close(context.WithoutCancel(ctx)); err != nil {
			r.logf("run %s: close the user context of the agent %s: %v", r.c.User.Run(), who.Name, err)
		}
	}, nil
}

// gone reports whether the line is to continue with a call that its conversation does not have.
func (r *run) gone() bool {
	return slices.ContainsFunc(r.c.Pending, func(p PendingCall) bool {
		_, ok := callIn(r.c.History, p.Call.ID)
		return !ok
	})
}

// answerQuestion runs a sub-agent's line and returns the result of the call that began it.
func (r *run) answerQuestion(ctx context.Context, who Colleague, parent string) called {
	own := agui.Line(r.log, r.line)
	if end, ok := lineEnd(own); ok { // the worker died before the call's result was written
		r.history = forModel(r.c.History)
		return called{Result: r.lineResult(who.Name, end.Message)}
	}
	started := slices.ContainsFunc(own, func(e agui.Event) bool { return e.Type == agui.SubagentStarted })
	end := r.guard(func() error {
		if !started {
			err := r.emit(agui.Event{Type: agui.SubagentStarted, SubagentRunID: r.line, Name: who.Name,
				Description: who.Description, ParentSubagentRunID: parent, ParentToolCallID: r.line})
			if err != nil {
				return err
			}
		}
		return r.loop(ctx)
	})
	if sink := (*sinkError)(nil); errors.As(end, &sink) {
		return called{failed: sink}
	}
	if errors.Is(end, ErrHandOver) {
		return called{failed: end}
	}
	if end == nil && r.asked {
		return called{suspended: true}
	}
	failed := r.endLine(ctx, end, who)
	if sink := (*sinkError)(nil); errors.As(failed, &sink) {
		return called{failed: sink}
	}
	why := ""
	if end != nil {
		why = failureOf(end).message
	}
	result := r.lineResult(who.Name, why)
	if ctx.Err() != nil {
		result.Outcome = tool.Stopped
	}
	return called{Result: result}
}

// endLine closes a line that has ended with this error, or nil.
func (r *run) endLine(ctx context.Context, end error, who Colleague) error {
	r.dropInterrupts()
	return r.guard(func() error {
		r.skipUndecided()
		stopped := agui.Marks{Stopped: errors.Is(end, ErrCancelled)}
		events := r.closing(func(o *agui.Open) []agui.Event { return o.CloseLine(r.line, noResult, stopped) })
		last := agui.Event{Type: agui.SubagentFinished, SubagentRunID: r.line,
			Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}}
		switch f := failureOf(end); {
		case ctx.Err() != nil:
			last = agui.StoppedLine(r.line)
		case end != nil:
			r.logf("run %s: the agent %s failed with %s: %v", r.c.User.Run(), who.Name, f.code, f.cause)
			last = agui.Event{Type: agui.SubagentError, SubagentRunID: r.line, Message: f.message, Code: f.code}
		}
		return r.put(append(events, last)...)
	})
}

// lineEnd returns the event that ended a line, if there is one.
func lineEnd(own []agui.Event) (agui.Event, bool) {
	for _, e := range slices.Backward(own) {
		if e.Type == agui.SubagentFinished || e.Type == agui.SubagentError {
			return e, true
		}
	}
	return agui.Event{}, false
}

// lineResult makes the result of a call from the line's last answer, or from the reason why it failed.
func (r *run) lineResult(name, why string) tool.Result {
	text := ""
	if n := len(r.history); n > 0 && r.history[n-1].Role == agui.RoleAssistant {
		text = r.history[n-1].Content
	}
	switch {
	case why != "":
		return tool.Result{Outcome: tool.Failed, Content: fmt.Sprintf("The agent %q failed: %s", name, why)}
	case strings.TrimSpace(text) == "":
		return tool.Result{Outcome: tool.Failed, Content: fmt.Sprintf("The agent %q gave no answer.", name)}
	}
	result := tool.ResponseResult(text)
	result.Outside = r.outside || hasOutside(r.c.History)
	return result
}

// suspend ends the open lines of a run that ends with interrupts. The run with the responses continues them.
func (r *run) suspend() error {
	return r.put(r.closing(func(o *agui.Open) []agui.Event { return o.Suspend(r.finalInterrupts()) })...)
}

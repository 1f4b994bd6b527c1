package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
)

// Pending is a tool call that a run begins with, before it asks the model anything: one that a worker which died has
// left of the same run, or one that a person was asked about and has answered. Its start, arguments and end are in the
// log already; the run adds the result.
type Pending struct {
	Call     agui.ToolCall
	Result   *tool.Result // what came of it, if that is known; nil: the call is made
	Approved bool         // a person has agreed to it
	Again    bool         // it may have been made before
}

// expiry is how long a person may take to answer, and most how many bytes of questions one run may end with: they are
// kept with the thread, which every run of it reads. mostAsked is how many one frame can answer (wire).
const (
	expiry    = 24 * time.Hour
	most      = 32 << 10
	mostAsked = 20
)

// asked is an Interrupt's metadata: what is needed to make the call once the person has answered.
type asked struct {
	Carrel struct {
		RunID     chat.RunID `json:"runId"`
		Tool      string     `json:"tool"`
		Arguments string     `json:"arguments"`       // JSON text, as the model wrote it
		Agent     string     `json:"agent,omitempty"` // that goes on
	} `json:"carrel"`
}

// interrupt is the question about a call, as the run's end tells it.
func (r *run) interrupt(call agui.ToolCall, q tool.Question) (agui.Interrupt, error) {
	var about asked
	about.Carrel.RunID, about.Carrel.Agent = r.c.User.Run(), r.c.Agent
	about.Carrel.Tool, about.Carrel.Arguments = call.Function.Name, call.Function.Arguments
	metadata, err := json.Marshal(about)
	return agui.Interrupt{
		ID: chat.InterruptID(r.newID()), Reason: q.Reason, Message: q.Message, ToolCallID: call.ID, ResponseSchema: q.Schema,
		ExpiresAt: r.c.User.Now().Add(expiry).UTC().Format(time.RFC3339), Metadata: metadata,
	}, err
}

// ask notes the question about a call, for the run's end. If the run asks too much already there is a result instead.
func (r *run) ask(call agui.ToolCall, q tool.Question) (*tool.Result, error) {
	i, err := r.interrupt(call, q)
	if err != nil {
		return nil, fmt.Errorf("ask a person: %w", err)
	}
	size := len(i.Metadata) + len(i.ResponseSchema) + len(i.Message)
	if r.askedBytes+size > most || len(r.asked) == mostAsked {
		return &tool.Result{Outcome: tool.Refused, Content: "A person has to be asked about this call, and there are too many such calls at once. Make fewer."}, nil
	}
	r.askedBytes += size
	r.asked = append(r.asked, i)
	return nil, nil
}

// Answered is the call that a person was asked about, with the answer. Agreed to, it is made; the payload
// {"approved": false} refuses as cancelled does. What was asked for as input is the result. The error is about an
// Interrupt that this package has not made.
func Answered(question agui.Interrupt, answer agui.Resume) (Pending, error) {
	var about asked
	if err := json.Unmarshal(question.Metadata, &about); err != nil {
		return Pending{}, fmt.Errorf("read the question %q: %w", question.ID, err)
	}
	if question.ToolCallID == "" || about.Carrel.Tool == "" {
		return Pending{}, fmt.Errorf("the question %q is not about a tool call", question.ID)
	}
	p := Pending{Call: agui.ToolCall{
		ID: question.ToolCallID, Type: "function",
		Function: agui.FunctionCall{Name: about.Carrel.Tool, Arguments: about.Carrel.Arguments},
	}}
	switch {
	case answer.Status != agui.ResumeResolved || refuses(answer.Payload):
		p.Result = &tool.Result{Outcome: tool.Refused, Content: "The person was asked and refused. The tool was not called."}
	case question.Reason == agui.ReasonInputRequired:
		given := tool.Given(text(answer.Payload))
		p.Result = &given
	default:
		p.Approved = true
	}
	return p, nil
}

// maxWrong is how many bytes are said about an answer that does not fit.
const maxWrong = 500

// Wrong says to a person what is wrong with an answer and what to do; "" if it can be gone on with. It may hold a part of
// the answer.
func Wrong(question agui.Interrupt, answer agui.Resume) string {
	if answer.Status != agui.ResumeResolved || refuses(answer.Payload) {
		return ""
	}
	what := ""
	switch err := tool.Fits(question.ResponseSchema, answer.Payload); {
	case question.Reason != agui.ReasonInputRequired:
		if !agrees(answer.Payload) {
			what = `"approved" is neither true nor false`
		}
	case len(answer.Payload) == 0:
		what = "there is no payload"
	case err != nil:
		what = prefix(err.Error(), maxWrong)
	}
	if what == "" {
		return ""
	}
	return fmt.Sprintf("The answer to “%s” does not fit: %s. The question is still open: answer it again, or refuse it.", question.Message, what)
}

// Asker is the agent that asks a question, and goes on with its answer; "" if the question does not say.
func Asker(question agui.Interrupt) string {
	var about asked
	if json.Unmarshal(question.Metadata, &about) != nil {
		return ""
	}
	return about.Carrel.Agent
}

// refuses reports whether a payload says no: some clients tell refusal so.
func refuses(payload json.RawMessage) bool {
	var said struct {
		Approved *bool `json:"approved"`
	}
	return json.Unmarshal(payload, &said) == nil && said.Approved != nil && !*said.Approved
}

// agrees reports whether a payload does not say something of approval that is no yes: "false", 0 and null are not
// one either.
func agrees(payload json.RawMessage) bool {
	var said struct {
		Approved json.RawMessage `json:"approved"`
	}
	return json.Unmarshal(payload, &said) != nil || said.Approved == nil || string(said.Approved) == "true"
}

// text is a payload as a model reads it: a string as it is, all else as JSON.
func text(payload json.RawMessage) string {
	var s string
	if json.Unmarshal(payload, &s) == nil {
		return s
	}
	return string(payload)
}

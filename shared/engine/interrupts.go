package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/tool"
	"carrel/shared/visible"
)

// PendingCall is a tool call that a run begins with, before it asks the model anything: one that a worker which died has
// left of the same run, or one that a person was asked about and has answered. Its start, arguments and end are in the
// log already; the run adds the result.
type PendingCall struct {
	Call       agui.ToolCall
	Result     *tool.Result // what came of it, if that is known; nil: the call is made
	Approved   bool         // a person has agreed to it
	Edited     string       // the arguments that the person changed it to, JSON text; "": those of Call
	MayHaveRun bool         // it may have been made before
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
		Arguments string     `json:"arguments"`        // the JSON text of the model, with hidden characters as escapes
		Edited    string     `json:"edited,omitempty"` // the arguments that a person changed them to, before the tool asked
		Agent     string     `json:"agent,omitempty"`  // that goes on
	} `json:"carrel"`
}

// interrupt is the question about a call, as the run's end tells it.
func (r *run) interrupt(p PendingCall, q tool.Question) (agui.Interrupt, error) {
	var about asked
	call := p.Call
	about.Carrel.RunID, about.Carrel.Agent = r.c.User.Run(), r.c.Agent
	about.Carrel.Tool, about.Carrel.Arguments = call.Function.Name, string(visible.JSON([]byte(call.Function.Arguments)))
	about.Carrel.Edited = p.Edited
	metadata, err := json.Marshal(about)
	return agui.Interrupt{
		ID: chat.InterruptID(r.newID()), Reason: q.Reason, Message: q.Message, ToolCallID: call.ID, ResponseSchema: q.Schema,
		ExpiresAt: r.c.User.Now().Add(expiry).UTC().Format(time.RFC3339), Metadata: metadata,
	}, err
}

// ask notes the question about a call, for the run's end. If the run asks too much already there is a result instead.
func (r *run) ask(p PendingCall, q tool.Question) (*tool.Result, error) {
	i, err := r.interrupt(p, q)
	if err != nil {
		return nil, fmt.Errorf("ask a person: %w", err)
	}
	var whole json.RawMessage // the schema with which the arguments can be edited
	if q.Reason == agui.ReasonToolCall {
		whole, i.ResponseSchema = q.Schema, json.RawMessage(tool.PlainApproval)
	}
	size := len(i.Metadata) + len(i.ResponseSchema) + len(i.Message)
	if r.askedBytes+size > most || len(r.asked) == mostAsked {
		return &tool.Result{Outcome: tool.Refused, Content: "A person has to be asked about this call, and there are too many such calls at once. Make fewer."}, nil
	}
	r.askedBytes += size
	r.asked, r.editable = append(r.asked, i), append(r.editable, whole)
	return nil, nil
}

// interrupts are the run's questions. Those about calls get the schema with which the arguments can be edited, as long as
// there is room: a schema never takes the place of a question.
func (r *run) interrupts() []agui.Interrupt {
	size := r.askedBytes
	for i, whole := range r.editable {
		if more := len(whole) - len(r.asked[i].ResponseSchema); len(whole) > 0 && size+more <= most {
			size += more
			r.asked[i].ResponseSchema = whole
		}
	}
	return r.asked
}

// Resolve is the call that a person was asked about, with the answer. An approved call is made, with the arguments that the
// person changed it to, if any; an answer that cannot be acted on refuses it. What was asked for as input is the result.
// The error is about an Interrupt that this package has not made.
func Resolve(question agui.Interrupt, answer agui.Resume) (PendingCall, error) {
	var about asked
	if err := json.Unmarshal(question.Metadata, &about); err != nil {
		return PendingCall{}, fmt.Errorf("read the question %q: %w", question.ID, err)
	}
	if question.ToolCallID == "" || about.Carrel.Tool == "" {
		return PendingCall{}, fmt.Errorf("the question %q is not about a tool call", question.ID)
	}
	p := PendingCall{Call: agui.ToolCall{
		ID: question.ToolCallID, Type: "function",
		Function: agui.FunctionCall{Name: about.Carrel.Tool, Arguments: about.Carrel.Arguments},
	}}
	switch {
	case answer.Status != agui.ResumeResolved || refuses(question, answer.Payload):
		p.Result = &tool.Result{Outcome: tool.Refused, Content: "The person was asked and refused. The tool was not called."}
	case question.Reason == agui.ReasonInputRequired:
		said := text(tool.MatchChoice(question.ResponseSchema, answer.Payload))
		if p.Edited = about.Carrel.Edited; p.Edited != "" {
			said = tool.EditedResult(p.Edited, said)
		}
		given := tool.ResponseResult(said)
		p.Result = &given
	case question.Reason == agui.ReasonToolCall:
		p.approve(question, answer.Payload)
	default:
		p.Result = &tool.Result{Outcome: tool.Refused, Content: notUnderstood}
	}
	return p, nil
}

// notUnderstood is the result of a call about which a person gave an answer that is neither yes nor no.
const notUnderstood = "The person was asked, and the answer was not understood. The tool was not called."

// approve notes that a person agreed to the call. The answer was checked when the run was admitted; it is checked again,
// because a call must not depend on one check alone.
func (p *PendingCall) approve(question agui.Interrupt, payload json.RawMessage) {
	given, invalid := checkApproval(question, payload)
	if invalid != nil || !given.approved {
		p.Result = &tool.Result{Outcome: tool.Refused, Content: notUnderstood}
		return
	}
	p.Approved = true
	if given.arguments != "" && !sameJSON(given.arguments, p.Call.Function.Arguments) {
		p.Edited = given.arguments
	}
}

// maxWrong is how many bytes are said about an answer that does not fit.
const maxWrong = 500

// CheckResponse explains to a person why an answer cannot be acted on, and what to do. It is nil for an answer that can.
func CheckResponse(question agui.Interrupt, answer agui.Resume) *InvalidResponse {
	if answer.Status != agui.ResumeResolved || refuses(question, answer.Payload) {
		return nil
	}
	invalid := unfit(question, answer.Payload)
	if invalid == nil {
		return nil
	}
	return &InvalidResponse{Field: visible.Line(invalid.Field), Text: visible.Text(fmt.Sprintf(
		"The answer to “%s” does not fit: %s. The question is still open: answer it again, or refuse it.", question.Message, invalid.Text))}
}

func unfit(question agui.Interrupt, payload json.RawMessage) *InvalidResponse {
	if question.Reason != agui.ReasonInputRequired {
		_, invalid := checkApproval(question, payload)
		return invalid
	}
	if len(payload) == 0 {
		return &InvalidResponse{fieldPayload, "the payload is missing"}
	}
	if err := tool.CheckResponse(question.ResponseSchema, tool.MatchChoice(question.ResponseSchema, payload)); err != nil {
		return &InvalidResponse{fieldPayload, chars.Head(err.Error(), maxWrong)}
	}
	return nil
}

// InterruptAgent is the agent that asks a question, and goes on with its answer; "" if the question does not say.
func InterruptAgent(question agui.Interrupt) string {
	var about asked
	if json.Unmarshal(question.Metadata, &about) != nil {
		return ""
	}
	return about.Carrel.Agent
}

// refuses reports whether a payload is {"approved": false}, by which some clients refuse. Input that fits a schema of its
// tool is an answer.
func refuses(question agui.Interrupt, payload json.RawMessage) bool {
	given, invalid := readApproval(payload)
	if invalid != nil || given.approved {
		return false
	}
	isInput := question.Reason == agui.ReasonInputRequired && len(question.ResponseSchema) > 0
	return !isInput || tool.CheckResponse(question.ResponseSchema, payload) != nil
}

// text is a payload as a model reads it: a string as it is, all else as JSON.
func text(payload json.RawMessage) string {
	var s string
	if json.Unmarshal(payload, &s) == nil {
		return s
	}
	return string(payload)
}

package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/tool"
	"carrel/shared/visible"
)

// PendingCall is a tool call that a run makes before its first model call. Either a worker died before the call had a
// result, or the call interrupted an earlier run and a person has responded. The call's start, arguments and end are in
// the log already, and the run adds the result.
type PendingCall struct {
	Call       agui.ToolCall
	Result     *tool.Result // the result if it is known; nil if the call is to be made
	Approved   bool         // a person has approved the call
	Edited     string       // the person's edited arguments, JSON text; "" if they are those of Call
	MayHaveRun bool         // a worker that died may have made the call
	// Path has the calls that asked the agents in whose line the call is, outermost first; empty: it is a call of the
	// run's own agent. The call may have its result in the run's log already, and then only the lines continue.
	Path []string
}

// The bounds of a run's interrupts. They are stored with the thread, which each of its runs reads.
const (
	expiry            = 24 * time.Hour // how long a person may take to respond
	maxInterruptBytes = 32 << 10
	maxInterrupts     = 20 // one frame can respond to so many (shared/wire)
)

// callMetadata is an Interrupt's metadata. It has everything that is needed to make the call after the response.
type callMetadata struct {
	Carrel struct {
		RunID     chat.RunID `json:"runId"`
		Tool      string     `json:"tool"`
		Arguments string     `json:"arguments"` // the model's JSON text, with hidden characters escaped
		// the person's edited arguments, if the call was edited before the tool requested input
		Edited string `json:"edited,omitempty"`
		Agent  string `json:"agent,omitempty"` // the agent that continues
		// the calls that asked the agents in whose line the call is, outermost first
		Path []string `json:"path,omitempty"`
	} `json:"carrel"`
}

// newInterrupt makes the interrupt for a call whose tool asks a question.
func (r *run) newInterrupt(p PendingCall, q tool.Question) (agui.Interrupt, error) {
	var about callMetadata
	call := p.Call
	about.Carrel.RunID, about.Carrel.Agent = r.c.User.Run(), r.agentName()
	about.Carrel.Path = r.path
	about.Carrel.Tool, about.Carrel.Arguments = call.Function.Name,
		string(visible.JSON([]byte(call.Function.Arguments)))
	about.Carrel.Edited = p.Edited
	metadata, err := json.Marshal(about)
	return agui.Interrupt{
		ID: chat.InterruptID(r.newID()), Reason: q.Reason, Message: q.Message, ToolCallID: call.ID,
		SubagentRunID: r.line, ResponseSchema: q.Schema,
		ExpiresAt: r.c.User.Now().Add(expiry).UTC().Format(time.RFC3339), Metadata: metadata,
	}, err
}

// interrupt adds an interrupt for the call, and the run ends with it. If the run's interrupts exceed their bounds, it
// returns the result of a refused call instead.
func (r *run) interrupt(p PendingCall, q tool.Question) (*tool.Result, error) {
	i, err := r.newInterrupt(p, q)
	if err != nil {
		return nil, fmt.Errorf("make an interrupt: %w", err)
	}
	var editSchema json.RawMessage // allows edited arguments
	if q.Reason == agui.ReasonToolCall {
		editSchema, i.ResponseSchema = q.Schema, json.RawMessage(tool.PlainApproval)
	}
	if !r.addInterrupt(i, editSchema) {
		return &tool.Result{Outcome: tool.Refused, Content: "A person has to be asked about this call, " +
			"and there are too many such calls at once. Make fewer."}, nil
	}
	r.asked = true
	return nil, nil
}

// addInterrupt adds an interrupt of the line, unless the run's interrupts exceed their bounds with it.
func (r *run) addInterrupt(i agui.Interrupt, editSchema json.RawMessage) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := len(i.Metadata) + len(i.ResponseSchema) + len(i.Message)
	if r.interruptBytes+size > maxInterruptBytes || len(r.interrupts) == maxInterrupts {
		return false
	}
	r.interruptBytes += size
	r.interrupts = append(r.interrupts, openInterrupt{i, editSchema, r.path})
	return true
}

// openInterrupt is an interrupt with which the run is to end.
type openInterrupt struct {
	agui.Interrupt
	editSchema json.RawMessage // the response schema that allows edited arguments; may be nil
	path       []string
}

// dropInterrupts drops the interrupts of a line that has failed, and of the lines below it.
func (r *run) dropInterrupts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupts = slices.DeleteFunc(r.interrupts, func(i openInterrupt) bool {
		return slices.Contains(i.path,
			r.line)
	})
}

// finalInterrupts returns the run's interrupts. Interrupts about calls get the schema that allows edited arguments, as
// long as the bound allows it. All interrupts are counted first, so a schema never displaces an interrupt.
func (r *run) finalInterrupts() (all []agui.Interrupt) {
	size := r.interruptBytes
	for _, i := range r.interrupts {
		more := len(i.editSchema) - len(i.ResponseSchema)
		if len(i.editSchema) > 0 && size+more <= maxInterruptBytes {
			size += more
			i.ResponseSchema = i.editSchema
		}
		all = append(all, i.Interrupt)
	}
	return all
}

// Resolve returns the call that an interrupt is about, as the response decides it. An approved call is to be made, with
// the person's edited arguments if there are any. Requested input becomes the call's result. Any other response refuses
// the call. The error means that another package made the Interrupt.
func Resolve(interrupt agui.Interrupt, response agui.Resume) (PendingCall, error) {
	var about callMetadata
	if err := json.Unmarshal(interrupt.Metadata, &about); err != nil {
		return PendingCall{}, fmt.Errorf("decode the metadata of the interrupt %q: %w", interrupt.ID, err)
	}
	if interrupt.ToolCallID == "" || about.Carrel.Tool == "" {
		return PendingCall{}, fmt.Errorf("the interrupt %q is not about a tool call", interrupt.ID)
	}
	p := PendingCall{Path: about.Carrel.Path, Call: agui.ToolCall{
		ID: interrupt.ToolCallID, Type: "function",
		Function: agui.FunctionCall{Name: about.Carrel.Tool, Arguments: about.Carrel.Arguments},
	}}
	switch {
	case response.Status != agui.ResumeResolved || refuses(interrupt, response.Payload):
		p.Result = &tool.Result{Outcome: tool.Refused,
			Content: "The person was asked and refused. The tool was not called."}
	case interrupt.Reason == agui.ReasonInputRequired:
		input := text(tool.MatchChoice(interrupt.ResponseSchema, response.Payload))
		if p.Edited = about.Carrel.Edited; p.Edited != "" {
			input = tool.EditedResult(p.Edited, input)
		}
		result := tool.ResponseResult(input)
		p.Result = &result
	case interrupt.Reason == agui.ReasonToolCall:
		p.approve(interrupt, response.Payload)
	default:
		p.Result = &tool.Result{Outcome: tool.Refused, Content: notUnderstood}
	}
	return p, nil
}

// notUnderstood is the result of a call if the response neither approves nor refuses it.
const notUnderstood = "The person was asked, and the answer was not understood. The tool was not called."

// approve marks the call as approved if the payload approves it. The payload was checked when the run was admitted. It
// is checked again, because a call must not depend on one check alone.
func (p *PendingCall) approve(interrupt agui.Interrupt, payload json.RawMessage) {
	a, invalid := checkApproval(interrupt, payload)
	if invalid != nil || !a.approved {
		p.Result = &tool.Result{Outcome: tool.Refused, Content: notUnderstood}
		return
	}
	p.Approved = true
	if a.arguments != "" && !sameJSON(a.arguments, p.Call.Function.Arguments) {
		p.Edited = a.arguments
	}
}

// maxReason bounds the bytes of the text that explains why a response does not fit.
const maxReason = 500

// CheckResponse returns nil if a response refuses the interrupt or fits it. Otherwise it explains the
// fault to the person, and what to do.
func CheckResponse(interrupt agui.Interrupt, response agui.Resume) *InvalidResponse {
	if response.Status != agui.ResumeResolved || refuses(interrupt, response.Payload) {
		return nil
	}
	invalid := checkPayload(interrupt, response.Payload)
	if invalid == nil {
		return nil
	}
	return &InvalidResponse{Field: visible.Line(invalid.Field), Text: visible.Text(fmt.Sprintf(
		"The answer to “%s” does not fit: %s. The question is still open: answer it again, or refuse it.",
		interrupt.Message, invalid.Text))}
}

// checkPayload returns why the payload of a response does not fit, or nil.
func checkPayload(interrupt agui.Interrupt, payload json.RawMessage) *InvalidResponse {
	if interrupt.Reason != agui.ReasonInputRequired {
		_, invalid := checkApproval(interrupt, payload)
		return invalid
	}
	if len(payload) == 0 {
		return &InvalidResponse{fieldPayload, "the payload is missing"}
	}
	choice := tool.MatchChoice(interrupt.ResponseSchema, payload)
	if err := tool.CheckResponse(interrupt.ResponseSchema, choice); err != nil {
		return &InvalidResponse{fieldPayload, chars.Head(err.Error(), maxReason)}
	}
	return nil
}

// InterruptAgent returns the agent that raised an interrupt and continues after the response. It returns "" if the
// interrupt does not name one.
func InterruptAgent(interrupt agui.Interrupt) string {
	var about callMetadata
	if json.Unmarshal(interrupt.Metadata, &about) != nil {
		return ""
	}
	return about.Carrel.Agent
}

// refuses reports whether a payload is {"approved": false}, which some clients send instead of the status cancelled.
// The same text does not refuse if it fits the schema of requested input.
func refuses(interrupt agui.Interrupt, payload json.RawMessage) bool {
	a, invalid := readApproval(payload)
	if invalid != nil || a.approved {
		return false
	}
	isInput := interrupt.Reason == agui.ReasonInputRequired && len(interrupt.ResponseSchema) > 0
	return !isInput || tool.CheckResponse(interrupt.ResponseSchema, payload) != nil
}

// text returns a payload as a model reads it: the value of a JSON string, or else the JSON text.
func text(payload json.RawMessage) string {
	var s string
	if json.Unmarshal(payload, &s) == nil {
		return s
	}
	return string(payload)
}

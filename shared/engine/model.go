package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// Model streams one answer to a conversation. All runs share it, so it holds no user's data and is safe for concurrent
// use. A complete sequence ends with the call's usage and then the Stop. A sequence without a Stop was cut. A
// failure ends the sequence with an error. A provider's failure is a *ModelError; any other error ends the run. When
// ctx ends, the implementation aborts the provider's call and ends the sequence with ctx's error. A Model makes one
// try: the engine repeats failed calls.
type Model interface {
	Stream(ctx context.Context, r Request) iter.Seq2[Delta, error]
}

// Request is the input of one model call. The model must not keep or change it.
type Request struct {
	System   []Part // stable parts first
	Messages []agui.Message
	// Keep has the values of Delta.Keep, by the id of the answer's message, for answers since the last user message.
	// A model uses only the values that it made itself.
	Keep     map[string]string
	Tools    []tool.Spec // in a fixed order, so that a provider can cache them
	Choice   string      // ChoiceAuto, ChoiceNone, ChoiceAny, or the name of the tool to call
	Settings Settings
	UserHash string // identifies the user to the provider's abuse detection and cache; it reveals no user id
}

// The values of Request.Choice that are not the name of a tool.
const (
	ChoiceAuto = ""     // the model decides whether it calls a tool
	ChoiceNone = "none" // the model calls no tool
	ChoiceAny  = "any"  // the model calls at least one tool
)

// Part is one part of the system prompt.
type Part struct {
	Text string
	// Stable means that all conversations of the agent have the same part. A provider's cache may end after the last
	// stable part, so a stable part must not contain a user's data.
	Stable bool
}

// Settings change how a model answers. The zero value leaves everything to the model's defaults.
type Settings struct {
	MaxTokens   int             // the most output tokens of one answer; 0: the model's default
	Temperature *float64        // nil: the model's default
	Effort      string          // how much the model thinks: "", "low", "medium" or "high"; "": it does not
	Stop        []string        // texts that end the answer
	Output      json.RawMessage // the JSON Schema of the answer; nil: free text
	Guardrail   string          // the provider's content policy to apply; "": none
	Extra       json.RawMessage // an object that is added to the provider's request, applied last
}

// Delta is one piece of an answer. At most one of its members is set. An empty Delta is a sign of life: the provider
// has sent something that is not shown.
type Delta struct {
	Text      string      // a piece of the answer's text
	Reasoning string      // a piece of thinking
	ToolStart *ToolStart  // a tool call begins; its arguments follow
	ToolArgs  string      // a piece of the arguments of the call that began last, as JSON text
	Keep      string      // data that the provider needs again in later calls of the run; opaque ASCII, once
	Usage     *agui.Usage // the tokens of this call so far; the last value counts
	Stop      StopReason  // ends the answer; only in the last delta
}

// ToolStart begins a tool call. ID is the provider's. The run gives the call another id, which is unique in the thread,
// and later requests carry that one.
type ToolStart struct{ ID, Name string }

// StopReason says why a model stopped. A provider's reason that has no constant here is passed on as the provider
// writes it.
type StopReason string

// The reasons to stop.
const (
	StopEnd       StopReason = "end"        // the answer is complete
	StopTools     StopReason = "tools"      // it needs the results of its tool calls
	StopMaxTokens StopReason = "max_tokens" // the answer was cut at the output limit
	StopSequence  StopReason = "sequence"   // the model wrote one of Settings.Stop
	StopFiltered  StopReason = "filtered"   // a content policy withheld the answer
	StopRefusal   StopReason = "refusal"    // the model refused; its text may say why
	StopPause     StopReason = "pause"      // the provider paused a long answer, which another call continues
	StopMalformed StopReason = "malformed"  // the model wrote a call or an output that the provider could not read
	StopContext   StopReason = "context"    // the conversation does not fit the model
)

// ModelError is a failure of a model's provider.
type ModelError struct {
	Kind  Kind
	After time.Duration // the provider asks to wait this long before the next try; 0: it does not say
	Cause error         // for the operator: status, the provider's code and request id; never a prompt or a key
}

// Error is for the operator.
func (e *ModelError) Error() string {
	return fmt.Sprintf("the model's provider failed (%s): %v", e.Kind, e.Cause)
}

func (e *ModelError) Unwrap() error { return e.Cause }

// Kind classifies a provider's failure by what helps.
type Kind string

// The kinds of failures.
const (
	Throttled  Kind = "throttled"  // 429: the provider accepts no more requests now
	Overloaded Kind = "overloaded" // 5xx, HTML or broken JSON: the provider fails now
	Cut        Kind = "cut"        // a stall, a lost connection, or a stream without a stop
	TooLong    Kind = "too_long"   // the input does not fit the model
	Refused    Kind = "refused"    // 401, 403, 404, quota used up, model retired: the operator must act
	Invalid    Kind = "invalid"    // any other 4xx: the request was wrong
)

// Candidate is a model that may answer a run, with the facts that the engine needs.
type Candidate struct {
	Model
	Name      string // "provider:model", as the log names it
	Context   int    // how many tokens of input and output it accepts together; 0: unknown
	MaxOutput int    // how many tokens one answer may have; 0: 4,096
	Silent    bool   // it may think for minutes without a sign of life
}

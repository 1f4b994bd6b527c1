// Package agui provides the events and messages of AG-UI 1.0 that Carrel produces and reads. It also checks the order
// of events (Order), folds events into messages (Folder), and closes what a run left open (Open).
package agui

import (
	"encoding/json"

	"carrel/shared/chat"
)

// EventType is the type field of an event.
type EventType string

// The event types that Carrel produces. It does not produce the *_CHUNK forms, shared state and activities.
const (
	RunStarted              EventType = "RUN_STARTED"
	RunFinished             EventType = "RUN_FINISHED"
	RunError                EventType = "RUN_ERROR"
	StepStarted             EventType = "STEP_STARTED"
	StepFinished            EventType = "STEP_FINISHED"
	TextMessageStart        EventType = "TEXT_MESSAGE_START"
	TextMessageContent      EventType = "TEXT_MESSAGE_CONTENT"
	TextMessageEnd          EventType = "TEXT_MESSAGE_END"
	ToolCallStart           EventType = "TOOL_CALL_START"
	ToolCallArgs            EventType = "TOOL_CALL_ARGS"
	ToolCallEnd             EventType = "TOOL_CALL_END"
	ToolCallResult          EventType = "TOOL_CALL_RESULT"
	ReasoningStart          EventType = "REASONING_START"
	ReasoningMessageStart   EventType = "REASONING_MESSAGE_START"
	ReasoningMessageContent EventType = "REASONING_MESSAGE_CONTENT"
	ReasoningMessageEnd     EventType = "REASONING_MESSAGE_END"
	ReasoningEnd            EventType = "REASONING_END"
	ReasoningEncryptedValue EventType = "REASONING_ENCRYPTED_VALUE"
	Custom                  EventType = "CUSTOM"
	SubagentStarted         EventType = "SUBAGENT_STARTED"
	SubagentFinished        EventType = "SUBAGENT_FINISHED"
	SubagentError           EventType = "SUBAGENT_ERROR"
)

// Event is one AG-UI event. It is a flat union: the fields that its Type requires are set and all others are zero. An
// Event must not be changed once it has been passed on.
type Event struct {
	Type      EventType       `json:"type"`
	Timestamp int64           `json:"timestamp,omitempty"` // ms since the epoch; the emitter sets it
	Metadata  json.RawMessage `json:"metadata,omitempty"`  // an object
	// SubagentRunID names the line of the event: one call of another agent. "" is the line of the run's own agent.
	SubagentRunID string `json:"subagentRunId,omitempty"`

	ThreadID        chat.ThreadID `json:"threadId,omitempty"`        // RUN_STARTED, RUN_FINISHED
	RunID           chat.RunID    `json:"runId,omitempty"`           // RUN_STARTED, RUN_FINISHED
	ProtocolVersion string        `json:"protocolVersion,omitempty"` // RUN_STARTED
	Input           *RunInput     `json:"input,omitempty"`           // RUN_STARTED
	Outcome         *Outcome      `json:"outcome,omitempty"`         // RUN_FINISHED, SUBAGENT_FINISHED
	Usage           []Usage       `json:"usage,omitempty"`           // RUN_FINISHED, RUN_ERROR
	Message         string        `json:"message,omitempty"`         // RUN_ERROR, SUBAGENT_ERROR
	Code            string        `json:"code,omitempty"`            // RUN_ERROR, SUBAGENT_ERROR

	MessageID       string  `json:"messageId,omitempty"`       // TEXT_*, REASONING_*, TOOL_CALL_RESULT
	Role            Role    `json:"role,omitempty"`            // the *_START of messages, TOOL_CALL_RESULT
	Delta           string  `json:"delta,omitempty"`           // *_CONTENT, TOOL_CALL_ARGS; never empty there
	ToolCallID      string  `json:"toolCallId,omitempty"`      // TOOL_CALL_*
	ToolCallName    string  `json:"toolCallName,omitempty"`    // TOOL_CALL_START
	ParentMessageID string  `json:"parentMessageId,omitempty"` // TOOL_CALL_START
	Content         *string `json:"content,omitempty"`         // TOOL_CALL_RESULT; may be ""

	Subtype        string  `json:"subtype,omitempty"`        // REASONING_ENCRYPTED_VALUE: always "message"
	EntityID       string  `json:"entityId,omitempty"`       // REASONING_ENCRYPTED_VALUE: a message
	EncryptedValue *string `json:"encryptedValue,omitempty"` // REASONING_ENCRYPTED_VALUE; only the log has it

	StepName string          `json:"stepName,omitempty"` // STEP_*
	Name     string          `json:"name,omitempty"`     // CUSTOM, SUBAGENT_STARTED
	Value    json.RawMessage `json:"value,omitempty"`    // CUSTOM; any JSON

	Description         string `json:"description,omitempty"`         // SUBAGENT_STARTED
	ParentSubagentRunID string `json:"parentSubagentRunId,omitempty"` // SUBAGENT_STARTED
	ParentToolCallID    string `json:"parentToolCallId,omitempty"`    // SUBAGENT_STARTED
}

// Terminal reports whether e ends its run.
func (e Event) Terminal() bool { return e.Type == RunFinished || e.Type == RunError }

// Role names the author of a message.
type Role string

// The roles of messages.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
	RoleReasoning Role = "reasoning"
)

// Message is one message of a thread's transcript. Content is text. The edge rejects user messages in the form of
// parts.
type Message struct {
	ID         string          `json:"id"`
	Role       Role            `json:"role"`
	Content    string          `json:"content"`
	ToolCalls  []ToolCall      `json:"toolCalls,omitempty"`  // assistant
	ToolCallID string          `json:"toolCallId,omitempty"` // tool
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	// SubagentRunID names the line of the message, as in Event. Only messages of line "" are the thread's conversation.
	SubagentRunID string `json:"subagentRunId,omitempty"`
}

// ToolCall is one tool call of an assistant message.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // always "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall names the tool and has its arguments as JSON text, exactly as the model wrote them.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// RunInput is the input of a run: AG-UI's RunAgentInput with the members that Carrel accepts.
type RunInput struct {
	ThreadID chat.ThreadID `json:"threadId"`
	RunID    chat.RunID    `json:"runId"`
	Messages []Message     `json:"messages"`
	Resume   []Resume      `json:"resume,omitempty"`
}

// Outcome says how a run finished.
type Outcome struct {
	Type       OutcomeType `json:"type"`
	Interrupts []Interrupt `json:"interrupts,omitempty"` // one or more, only with OutcomeInterrupt
	// InterruptIDs are the interrupts of a line's own calls, only with OutcomeSuspended
	InterruptIDs []chat.InterruptID `json:"interruptIds,omitempty"`
}

// OutcomeType is success, cancelled or interrupt, and of a SUBAGENT_FINISHED success or suspended.
type OutcomeType string

// The outcomes of RUN_FINISHED and SUBAGENT_FINISHED.
const (
	OutcomeSuccess   OutcomeType = "success"
	OutcomeCancelled OutcomeType = "cancelled"
	OutcomeInterrupt OutcomeType = "interrupt" // a person must respond, which starts a later run
	OutcomeSuspended OutcomeType = "suspended" // the line continues in the run that brings a person's response
)

// Interrupt is one question to a person with which a run ended. A run with a Resume for each open interrupt of the
// thread continues.
type Interrupt struct {
	ID             chat.InterruptID `json:"id"`
	Reason         string           `json:"reason"` // ReasonToolCall or ReasonInputRequired
	Message        string           `json:"message,omitempty"`
	ToolCallID     string           `json:"toolCallId,omitempty"`
	SubagentRunID  string           `json:"subagentRunId,omitempty"` // the line of the call
	ResponseSchema json.RawMessage  `json:"responseSchema,omitempty"`
	ExpiresAt      string           `json:"expiresAt,omitempty"` // RFC 3339; an expired interrupt counts as refused
	Metadata       json.RawMessage  `json:"metadata,omitempty"`  // carrel: {runId, tool, arguments, agent, path}
}

// The reasons of an Interrupt.
const (
	ReasonToolCall      = "tool_call"      // asks whether the tool may be called with these arguments
	ReasonInputRequired = "input_required" // requests input for a tool, which is the payload of the response
)

// Resume is a person's response to one Interrupt.
type Resume struct {
	InterruptID chat.InterruptID `json:"interruptId"`
	Status      ResumeStatus     `json:"status"`
	Payload     json.RawMessage  `json:"payload,omitempty"`
}

// ResumeStatus is resolved or cancelled.
type ResumeStatus string

// The statuses of a response.
const (
	ResumeResolved  ResumeStatus = "resolved"
	ResumeCancelled ResumeStatus = "cancelled" // the person refuses
)

// Usage counts the tokens of one model. The input includes the tokens that the provider read from its cache or wrote
// to it, and the output includes those of reasoning.
type Usage struct {
	Provider     string `json:"provider,omitempty"`
	Model        string `json:"model,omitempty"`
	InputTokens  int    `json:"inputTokens"`
	OutputTokens int    `json:"outputTokens"`

	ReasoningTokens       int `json:"reasoningTokens,omitempty"`       // part of OutputTokens
	CachedInputTokens     int `json:"cachedInputTokens,omitempty"`     // part of InputTokens
	CacheWriteInputTokens int `json:"cacheWriteInputTokens,omitempty"` // part of InputTokens
}

// Plus returns the sum of the counts, with the names of u.
func (u Usage) Plus(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.CachedInputTokens += v.CachedInputTokens
	u.CacheWriteInputTokens += v.CacheWriteInputTokens
	return u
}

package modeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// chatWire is Chat Completions. It has the rules of OpenAI, and of the servers whose prompt templates demand that roles
// alternate.
type chatWire struct{}

func (chatWire) path(path string) bool { return strings.HasSuffix(path, "/chat/completions") }

func (chatWire) contentType() string { return "text/event-stream" }

func (chatWire) raw(data string) frame { return frame("data: " + data + "\n\n") }

func (chatWire) failure(code, message string) frame {
	return frame("data: " + object(m{"error": m{"message": message, "type": code, "code": code}}) + "\n\n")
}

func (chatWire) errorBody(err *refusal) string {
	var code any
	if err.code != "" {
		code = err.code
	}
	return object(m{"error": m{"message": err.message, "type": err.kind, "param": nil, "code": code}})
}

func (chatWire) frames(a Answer) []frame {
	var all []frame
	chunk := func(delta m, finish any) {
		all = append(all, frame("data: "+object(m{"id": "chatcmpl-1", "object": "chat.completion.chunk",
			"model": Model, "choices": []m{{"index": 0, "delta": delta, "finish_reason": finish}}})+"\n\n"))
	}
	chunk(m{"role": "assistant", "content": ""}, nil)
	calls := 0
	for _, p := range a.Parts {
		for _, piece := range pieces(p.Reasoning) {
			chunk(m{"reasoning_content": piece}, nil)
		}
		for _, piece := range pieces(p.Text) {
			chunk(m{"content": piece}, nil)
		}
		if p.Call == nil {
			continue
		}
		call := m{"index": calls, "id": p.Call.ID, "type": "function",
			"function": m{"name": p.Call.Name, "arguments": ""}}
		if p.Signature != "" {
			call["extra_content"] = m{"google": m{"thought_signature": p.Signature}}
		}
		chunk(m{"tool_calls": []m{call}}, nil)
		for _, piece := range pieces(p.Call.Arguments) {
			chunk(m{"tool_calls": []m{{"index": calls, "function": m{"arguments": piece}}}}, nil)
		}
		calls++
	}
	chunk(m{}, map[Stop]string{StopEnd: "stop", StopTools: "tool_calls", StopMaxTokens: "length",
		StopFiltered: "content_filter", StopUnknown: string(StopUnknown)}[a.stop()])
	all = append(all, frame("data: "+object(m{"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": Model,
		"choices": []m{}, "usage": m{"prompt_tokens": a.Usage.Input, "completion_tokens": a.Usage.Output,
			"total_tokens":              a.Usage.Input + a.Usage.Output,
			"prompt_tokens_details":     m{"cached_tokens": a.Usage.CacheRead},
			"completion_tokens_details": m{"reasoning_tokens": a.Usage.Reasoning}}})+"\n\n"))
	return append(all, frame("data: [DONE]\n\n"))
}

type chatRequest struct {
	Model         string
	Messages      []chatMessage
	Stream        bool
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools               *[]chatTool
	ToolChoice          json.RawMessage `json:"tool_choice"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Temperature         *float64
	Stop                []string
	ResponseFormat      json.RawMessage `json:"response_format"`
	ReasoningEffort     string          `json:"reasoning_effort"`
	Think               any             // Ollama
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	SafetyIdentifier    string          `json:"safety_identifier"`
	PromptCacheKey      string          `json:"prompt_cache_key"`
	TopP                *float64        `json:"top_p"` // as an example of Settings.Extra
}

type chatMessage struct {
	Role       string
	Content    content
	ToolCalls  []chatCall `json:"tool_calls"`
	ToolCallID string     `json:"tool_call_id"`
}

type chatCall struct {
	ID, Type     string
	Function     struct{ Name, Arguments string }
	ExtraContent json.RawMessage `json:"extra_content"`
}

type chatTool struct {
	Type     string
	Function struct {
		Name, Description string
		Parameters        json.RawMessage
		Strict            *bool
	}
}

const invalid = "invalid_request_error"

func (chatWire) check(r *http.Request, body []byte) (last string, _ *refusal) {
	var c chatRequest
	if err := strict(body, &c); err != nil {
		return "", refuse(invalid, "Unrecognized request argument supplied: %s", unknown(err))
	}
	for _, x := range c.Messages {
		if x.Role == "user" {
			last = x.Content.all()
		}
	}
	if c.Model == "" {
		return last, refuse(invalid, "you must provide a model parameter")
	}
	if no := chatTools(c.Tools, c.ToolChoice); no != nil {
		return last, no
	}
	if len(c.Messages) == 0 {
		return last, refuse(invalid, "Invalid 'messages': empty array. Expected an array with minimum length 1")
	}
	if c.ReasoningEffort != "" && c.Temperature != nil {
		return last, refuse(invalid, "Unsupported value: 'temperature' does not support %v with this model. "+
			"Only the default (1) value is supported.", *c.Temperature)
	}
	return last, chatHistory(c.Messages)
}

func chatTools(tools *[]chatTool, choice json.RawMessage) *refusal {
	if tools == nil {
		if choice != nil {
			return refuse(invalid, "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' "+
				"are specified.")
		}
		return nil
	}
	if len(*tools) == 0 {
		return refuse(invalid, "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an "+
			"empty array instead.")
	}
	for i, t := range *tools {
		if !validName(t.Function.Name) {
			return refuse(invalid, "Invalid 'tools[%d].function.name': string does not match pattern. Expected a "+
				"string that matches the pattern '^[a-zA-Z0-9_-]+$'.", i)
		}
		if why := badSchema(t.Function.Parameters); why != "" {
			return refuse(invalid, "Invalid schema for function '%s': %s.", t.Function.Name, why)
		}
	}
	return nil
}

// chatHistory checks the messages.
func chatHistory(all []chatMessage) *refusal {
	var open []string // calls without a result
	var expect string // the role that must come next, in a server with a strict template
	for i, x := range all {
		if len(open) > 0 && x.Role != "tool" {
			return noResponse(open)
		}
		no := (*refusal)(nil)
		switch x.Role {
		case "system", "developer":
			if i > 0 {
				no = refuse("BadRequestError", "System message must be at the beginning.")
			}
		case "user", "assistant":
			if expect == "" {
				expect = "user"
			}
			if x.Role != expect {
				return refuse("BadRequestError", "Conversation roles must alternate user/assistant/user/assistant/...")
			}
			expect = map[string]string{"user": "assistant", "assistant": "user"}[x.Role]
			if x.Role == "assistant" {
				open, no = chatAnswer(i, x)
				if len(open) > 0 {
					expect = "assistant"
				}
			} else if x.Content.null || x.Content.all() == "" {
				no = refuse(invalid, "Invalid value for 'content': expected a string, got null.")
			}
		case "tool":
			open, no = chatResult(i, x, open)
		default:
			no = refuse(invalid, "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'tool'.",
				x.Role)
		}
		if no != nil {
			return no
		}
	}
	if len(open) > 0 {
		return noResponse(open)
	}
	if expect != "assistant" {
		return refuse("BadRequestError", "The last message must be a user message or a tool's result.")
	}
	return nil
}

func noResponse(open []string) *refusal {
	return refuse(invalid,
		"An assistant message with 'tool_calls' must be followed by tool messages responding to each "+
			"'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(open, ", "))
}

// chatAnswer checks an assistant message and returns the ids of its calls.
func chatAnswer(i int, x chatMessage) (open []string, _ *refusal) {
	if len(x.ToolCalls) == 0 && x.Content.all() == "" {
		return nil, refuse(invalid, "Invalid value for 'content': expected a string, got null.")
	}
	if x.ToolCalls != nil && len(x.ToolCalls) == 0 {
		return nil, refuse(invalid, "Invalid 'messages[%d].tool_calls': empty array.", i)
	}
	for k, c := range x.ToolCalls {
		at := fmt.Sprintf("messages[%d].tool_calls[%d]", i, k)
		if !validName(c.Function.Name) {
			return nil, refuse(invalid, "Invalid '%s.function.name': string does not match pattern.", at)
		}
		if !isObject([]byte(c.Function.Arguments)) {
			return nil, refuse("BadRequestError", "Value error, %s.function.arguments is not a JSON object", at)
		}
		if c.Type != "function" || c.ID == "" || len(c.ID) > 64 {
			return nil, refuse(invalid, "Invalid '%s.id': string too long or empty.", at)
		}
		if len(missing([]string{c.ID}, open)) == 0 {
			return nil, refuse(invalid, "Duplicate value for 'tool_call_id' of '%s'", c.ID)
		}
		open = append(open, c.ID)
	}
	return open, nil
}

// chatResult checks a tool message and returns the calls that still lack a result.
func chatResult(i int, x chatMessage, open []string) ([]string, *refusal) {
	left := missing(open, []string{x.ToolCallID})
	if len(left) == len(open) {
		return nil, refuse(invalid, "Invalid parameter: messages with role 'tool' must be a response to a preceeding "+
			"message with 'tool_calls'.")
	}
	if x.Content.null || x.Content.all() == "" {
		return nil, refuse(invalid, "Invalid value for 'messages[%d].content': expected a string, got null.", i)
	}
	return left, nil
}

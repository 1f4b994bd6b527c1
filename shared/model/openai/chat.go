package openai

import (
	"encoding/json"
	"strings"

	"carrel/shared/engine"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/calls"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
	"carrel/shared/model/internal/sse"
)

// noAnswer stands between a tool's result and a user's message. Some servers accept no user message there.
const noAnswer = "[The answer is missing.]"

// chat makes a request of Chat Completions.
func (m *Model) chat(r engine.Request, s conv.Settled) map[string]any {
	q := m.c.Quirks
	request := map[string]any{"model": m.c.Model, "stream": true, "messages": m.chatMessages(r, s)}
	if !q.NoUsage {
		request["stream_options"] = map[string]any{"include_usage": true}
	}
	tokens := q.TokensField
	if tokens == "" {
		tokens = "max_tokens"
	}
	request[tokens] = s.MaxTokens
	if s.Temperature != nil {
		request["temperature"] = *s.Temperature
	}
	if s.Effort != "" && q.EffortField != "" {
		request[q.EffortField] = s.Effort
	}
	if len(r.Settings.Stop) > 0 {
		request["stop"] = r.Settings.Stop
	}
	if s.Schema {
		request["response_format"] = map[string]any{"type": "json_schema",
			"json_schema": map[string]any{"name": "answer", "schema": r.Settings.Output}}
	}
	if q.UserIdentifier && r.UserHash != "" {
		request["safety_identifier"], request["prompt_cache_key"] = r.UserHash, r.UserHash
	}
	if len(r.Tools) > 0 {
		m.chatTools(request, r, s)
	}
	return request
}

func (m *Model) chatTools(request map[string]any, r engine.Request, s conv.Settled) {
	var tools []any
	for _, t := range r.Tools {
		tools = append(tools, map[string]any{"type": "function", "function": map[string]any{
			"name": t.Name, "description": t.Description, "parameters": t.Schema}})
	}
	request["tools"] = tools
	if m.c.Quirks.SerialCalls {
		request["parallel_tool_calls"] = false
	}
	switch {
	case r.Choice == engine.ChoiceNone:
		request["tool_choice"] = "none"
	case !s.Forced:
	case r.Choice == engine.ChoiceAny:
		request["tool_choice"] = "required"
	default:
		request["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": r.Choice}}
	}
}

// chatMessages makes the messages of a request: a result is a message of its own, directly behind its call.
func (m *Model) chatMessages(r engine.Request, s conv.Settled) []any {
	var out []any
	role := m.c.Quirks.SystemRole
	if role == "" {
		role = "system"
	}
	if system := systemText(r, s); system != "" {
		out = append(out, map[string]any{"role": role, "content": system})
	}
	for _, x := range conv.History(r, conv.Options{Prefix: m.Prefix, Thinking: m.c.Quirks.Signatures && s.Thinking}) {
		if x.Assistant {
			out = append(out, chatAnswer(x))
			continue
		}
		results := false
		for _, b := range x.Blocks {
			if b.Result != nil {
				results = true
				out = append(out, map[string]any{"role": "tool", "tool_call_id": b.Result.ID, "content": b.Result.Text})
				continue
			}
			if results {
				out = append(out, map[string]any{"role": "assistant", "content": noAnswer})
			}
			out = append(out, map[string]any{"role": "user", "content": b.Text})
		}
	}
	return out
}

// chatAnswer makes the message of an answer.
func chatAnswer(x conv.Message) map[string]any {
	var texts []string
	var called []any
	for _, b := range x.Blocks {
		switch {
		case b.Call != nil:
			call := map[string]any{"id": b.Call.ID, "type": "function",
				"function": map[string]any{"name": b.Call.Name, "arguments": string(b.Call.Args)}}
			if b.Call.Kept != nil {
				call["extra_content"] = b.Call.Kept
			}
			called = append(called, call)
		case b.Kept == nil && b.Text != "":
			texts = append(texts, b.Text)
		}
	}
	out := map[string]any{"role": "assistant", "content": strings.Join(texts, "\n\n")}
	if len(called) > 0 {
		out["tool_calls"] = called
	}
	return out
}

// chatStream reads the stream of Chat Completions.
type chatStream struct {
	m       *Model
	a       *answer.Answer
	stop    engine.StopReason
	refused bool // the text is a refusal
}

type chatChunk struct {
	Choices []struct {
		Delta struct {
			Content          json.RawMessage `json:"content"`
			ReasoningContent string          `json:"reasoning_content"` // DeepSeek, vLLM, llama.cpp
			Reasoning        string          `json:"reasoning"`         // Ollama, OpenRouter, newer vLLM
			Refusal          string          `json:"refusal"`
			ToolCalls        []chatCall      `json:"tool_calls"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
		PromptDetails    struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionDetails struct {
			ReasoningTokens int `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type chatCall struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
	ExtraContent json.RawMessage `json:"extra_content"`
}

// Event implements adapter.Reader.
func (s *chatStream) Event(e sse.Event) (done bool, err error) {
	if e.Data == "" {
		return false, s.a.Life()
	}
	if e.Data == "[DONE]" {
		return true, nil
	}
	var c chatChunk
	if json.Unmarshal([]byte(e.Data), &c) != nil {
		return false, s.m.Broken()
	}
	if e.Name == "error" || len(c.Error) > 0 && string(c.Error) != "null" {
		return false, s.m.Endpoint.InStream(exchange.Read([]byte(e.Data)))
	}
	if u := c.Usage; u != nil {
		s.a.Usage.InputTokens, s.a.Usage.OutputTokens = u.PromptTokens, u.CompletionTokens
		s.a.Usage.CachedInputTokens = u.PromptDetails.CachedTokens
		s.a.Usage.ReasoningTokens = u.CompletionDetails.ReasoningTokens
	}
	if len(c.Choices) == 0 {
		return false, s.a.Life()
	}
	d := c.Choices[0].Delta
	if err := s.a.Reasoning(d.ReasoningContent + d.Reasoning); err != nil {
		return false, err
	}
	if text := contentText(d.Content) + d.Refusal; text != "" {
		s.refused = s.refused || d.Refusal != ""
		if err := s.a.Text(text); err != nil {
			return false, err
		}
	}
	for _, call := range d.ToolCalls {
		p := calls.Piece{Index: call.Index, ID: call.ID, Name: call.Function.Name,
			Args: argsText(call.Function.Arguments)}
		add := s.a.Call
		if s.m.c.Quirks.Signatures { // such a server sends a call in one piece
			add = func(p calls.Piece) error { return s.a.StartCall(p, call.ExtraContent) }
		}
		if err := add(p); err != nil {
			return false, err
		}
	}
	if reason := c.Choices[0].FinishReason; reason != "" {
		s.stop = chatStop(reason)
	}
	return false, nil
}

// contentText returns the text of a delta's content, which some servers send as a list of parts.
func contentText(content json.RawMessage) string {
	var text string
	if len(content) == 0 || json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &parts) == nil {
		for _, p := range parts {
			text += p.Text
		}
	}
	return text
}

// argsText returns the arguments of a delta as JSON text. Some servers send an object in place of the text.
func argsText(args json.RawMessage) string {
	var text string
	if len(args) == 0 || string(args) == "null" || json.Unmarshal(args, &text) == nil {
		return text
	}
	return string(args)
}

func chatStop(reason string) engine.StopReason {
	switch reason {
	case "stop", "eos", "end_turn":
		return engine.StopEnd
	case "tool_calls", "function_call":
		return engine.StopTools
	case "length":
		return engine.StopMaxTokens
	case "content_filter":
		return engine.StopFiltered
	}
	return engine.StopReason(reason)
}

// End implements adapter.Reader.
func (s *chatStream) End() error {
	if s.stop == "" {
		return s.m.Cut()
	}
	if s.refused && s.stop == engine.StopEnd {
		s.stop = engine.StopRefusal
	}
	return s.a.Finish(s.stop, s.m.Prefix, s.m.c.Quirks.Signatures)
}

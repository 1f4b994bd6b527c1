package openai

import (
	"encoding/json"

	"carrel/shared/engine"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/calls"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
	"carrel/shared/model/internal/sse"
)

// object is a JSON object of a request.
type object = map[string]any

// responses makes a request of Responses. OpenAI stores nothing of it, so the request has the whole conversation, and
// reasoning comes back encrypted.
func (m *Model) responses(r engine.Request, s conv.Settled) object {
	request := object{"model": m.c.Model, "stream": true, "store": false, "max_output_tokens": s.MaxTokens,
		"input": m.items(r, s)}
	if system := systemText(r, s); system != "" {
		request["instructions"] = system
	}
	if s.Thinking {
		request["include"] = []string{"reasoning.encrypted_content"}
	}
	if s.Effort != "" {
		request["reasoning"] = object{"effort": s.Effort}
	}
	if s.Temperature != nil {
		request["temperature"] = *s.Temperature
	}
	if s.Schema {
		request["text"] = object{"format": object{"type": "json_schema", "name": "answer", "schema": r.Settings.Output}}
	}
	if m.c.Quirks.UserIdentifier && r.UserHash != "" {
		request["safety_identifier"], request["prompt_cache_key"] = r.UserHash, r.UserHash
	}
	if len(r.Tools) == 0 {
		return request
	}
	var tools []object
	for _, t := range r.Tools {
		tools = append(tools, object{"type": "function", "name": t.Name, "description": t.Description,
			"parameters": t.Schema, "strict": false})
	}
	request["tools"] = tools
	switch {
	case r.Choice == engine.ChoiceNone:
		request["tool_choice"] = "none"
	case !s.Forced:
	case r.Choice == engine.ChoiceAny:
		request["tool_choice"] = "required"
	default:
		request["tool_choice"] = object{"type": "function", "name": r.Choice}
	}
	return request
}

// items makes the input of a request: one item for each text, call, result and piece of reasoning.
func (m *Model) items(r engine.Request, s conv.Settled) []any {
	var out []any
	for _, x := range conv.History(r, conv.Options{Prefix: m.Prefix, Thinking: s.Thinking, NoKeep: !s.Thinking}) {
		for _, b := range x.Blocks {
			switch {
			case b.Kept != nil:
				out = append(out, b.Kept)
			case b.Call != nil:
				out = append(out, object{"type": "function_call", "call_id": b.Call.ID, "name": b.Call.Name,
					"arguments": string(b.Call.Args)})
			case b.Result != nil:
				out = append(out, object{"type": "function_call_output", "call_id": b.Result.ID,
					"output": b.Result.Text})
			case b.Text == "":
			case x.Assistant:
				out = append(out, object{"role": "assistant", "content": b.Text})
			default:
				out = append(out, object{"role": "user", "content": b.Text})
			}
		}
	}
	return out
}

// responsesStream reads the stream of Responses.
type responsesStream struct {
	m        *Model
	a        *answer.Answer
	thinking bool
	stop     engine.StopReason
	refused  bool         // the text is a refusal
	args     map[int]bool // the calls, by output index, whose arguments were streamed
}

type responsesEvent struct {
	Type        string `json:"type"`
	Delta       string `json:"delta"`
	OutputIndex int    `json:"output_index"`
	SummaryPart int    `json:"summary_index"`
	Item        struct {
		Type      string          `json:"type"`
		CallID    string          `json:"call_id"`
		Name      string          `json:"name"`
		Arguments string          `json:"arguments"`
		Summary   json.RawMessage `json:"summary"`
		Encrypted string          `json:"encrypted_content"`
	} `json:"item"`
	Response struct {
		Error             json.RawMessage `json:"error"`
		IncompleteDetails struct {
			Reason string `json:"reason"`
		} `json:"incomplete_details"`
		Usage *struct {
			InputTokens  int `json:"input_tokens"`
			OutputTokens int `json:"output_tokens"`
			InputDetails struct {
				CachedTokens int `json:"cached_tokens"`
			} `json:"input_tokens_details"`
			OutputDetails struct {
				ReasoningTokens int `json:"reasoning_tokens"`
			} `json:"output_tokens_details"`
		} `json:"usage"`
	} `json:"response"`
}

// Event implements adapter.Reader.
func (s *responsesStream) Event(e sse.Event) (done bool, err error) {
	if e.Data == "" || e.Data == "[DONE]" {
		return false, s.a.Life()
	}
	var v responsesEvent
	if json.Unmarshal([]byte(e.Data), &v) != nil {
		return false, s.m.Broken()
	}
	switch v.Type {
	case "response.output_text.delta":
		return false, s.a.Text(v.Delta)
	case "response.refusal.delta":
		s.refused = true
		return false, s.a.Text(v.Delta)
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		return false, s.a.Reasoning(v.Delta)
	case "response.reasoning_summary_part.added":
		if v.SummaryPart > 0 {
			return false, s.a.Reasoning("\n\n")
		}
	case "response.output_item.added":
		return false, s.started(v)
	case "response.function_call_arguments.delta":
		s.args[v.OutputIndex] = true
		return false, s.a.Call(calls.Piece{Index: &v.OutputIndex, Args: v.Delta})
	case "response.output_item.done":
		return false, s.ended(v)
	case "response.completed", "response.incomplete":
		s.finished(v)
		return true, nil
	case "response.failed":
		return false, s.m.Endpoint.InStream(exchange.Read([]byte(`{"error":` + string(v.Response.Error) + `}`)))
	case "error":
		return false, s.m.Endpoint.InStream(exchange.Read([]byte(e.Data)))
	}
	return false, s.a.Life()
}

// started begins a call.
func (s *responsesStream) started(v responsesEvent) error {
	if v.Item.Type != "function_call" {
		return s.a.Life()
	}
	return s.a.StartCall(calls.Piece{Index: &v.OutputIndex, ID: v.Item.CallID, Name: v.Item.Name}, nil)
}

// ended ends a call, or keeps an item of reasoning. Its id is left out: nothing is stored under it.
func (s *responsesStream) ended(v responsesEvent) error {
	switch {
	case v.Item.Type == "reasoning" && v.Item.Encrypted != "":
		summary := v.Item.Summary
		if len(summary) == 0 {
			summary = json.RawMessage("[]")
		}
		s.a.Notes.Keep(conv.Object(object{"type": "reasoning", "summary": summary,
			"encrypted_content": v.Item.Encrypted}))
	case v.Item.Type == "function_call":
		if !s.args[v.OutputIndex] { // some servers send the arguments with the end only
			if err := s.a.Call(calls.Piece{Index: &v.OutputIndex, ID: v.Item.CallID,
				Args: v.Item.Arguments}); err != nil {
				return err
			}
		}
		return s.a.EndCall(v.OutputIndex)
	}
	return s.a.Life()
}

// finished takes the usage and the stop reason.
func (s *responsesStream) finished(v responsesEvent) {
	if u := v.Response.Usage; u != nil {
		s.a.Usage.InputTokens, s.a.Usage.OutputTokens = u.InputTokens, u.OutputTokens
		s.a.Usage.CachedInputTokens, s.a.Usage.ReasoningTokens = u.InputDetails.CachedTokens,
			u.OutputDetails.ReasoningTokens
	}
	switch reason := v.Response.IncompleteDetails.Reason; {
	case v.Type == "response.completed" && s.refused:
		s.stop = engine.StopRefusal
	case v.Type == "response.completed":
		s.stop = engine.StopEnd
	case reason == "max_output_tokens":
		s.stop = engine.StopMaxTokens
	case reason == "content_filter":
		s.stop = engine.StopFiltered
	case reason == "":
		s.stop = "incomplete"
	default:
		s.stop = engine.StopReason(reason)
	}
}

// End implements adapter.Reader.
func (s *responsesStream) End() error {
	if s.stop == "" {
		return s.m.Cut()
	}
	return s.a.Finish(s.stop, s.m.Prefix, s.thinking)
}

package anthropic

import (
	"encoding/json"

	"carrel/shared/engine"
	"carrel/shared/model/internal/conv"
)

// object is a JSON object of a request.
type object = map[string]any

// request makes the request of a call. Tools and the stable parts of the system prompt end with a cache point.
func (m *Model) request(r engine.Request, s conv.Settled) object {
	messages, called := m.messages(r, s)
	request := object{"model": m.Model, "stream": true, "max_tokens": s.MaxTokens, "messages": messages}
	if system := m.system(r, s); len(system) > 0 {
		request["system"] = system
	}
	if s.Temperature != nil {
		request["temperature"] = *s.Temperature
	}
	if s.Thinking && s.Budget > 0 {
		request["thinking"] = object{"type": "enabled", "budget_tokens": s.Budget}
	}
	if len(r.Settings.Stop) > 0 {
		request["stop_sequences"] = r.Settings.Stop
	}
	if s.Schema {
		request["output_config"] = object{"format": object{"type": "json_schema", "schema": r.Settings.Output}}
	}
	if r.UserHash != "" {
		request["metadata"] = object{"user_id": r.UserHash}
	}
	switch {
	case len(r.Tools) > 0:
		m.tools(request, r, s)
	case called: // the API demands tools if the history has calls
		request["tools"] = []object{{"name": conv.Unavailable, "description": conv.UnavailableText,
			"input_schema": json.RawMessage(conv.EmptySchema)}}
		request["tool_choice"] = object{"type": "none"}
	}
	conv.Extend(request, r.Settings.Extra)
	return request
}

// cachePoint marks the end of the provider's cache.
func cachePoint() object { return object{"type": "ephemeral"} }

func (m *Model) system(r engine.Request, s conv.Settled) []object {
	var out []object
	last := -1
	for i, p := range conv.System(r, s) {
		out = append(out, object{"type": "text", "text": p.Text})
		if p.Stable {
			last = i
		}
	}
	if m.Facts.Cache && last >= 0 {
		out[last]["cache_control"] = cachePoint()
	}
	return out
}

func (m *Model) tools(request object, r engine.Request, s conv.Settled) {
	var tools []object
	for _, t := range r.Tools {
		tools = append(tools, object{"name": t.Name, "description": t.Description, "input_schema": t.Schema})
	}
	if m.Facts.Cache {
		tools[len(tools)-1]["cache_control"] = cachePoint()
	}
	request["tools"] = tools
	switch {
	case r.Choice == engine.ChoiceNone:
		request["tool_choice"] = object{"type": "none"}
	case !s.Forced:
	case r.Choice == engine.ChoiceAny:
		request["tool_choice"] = object{"type": "any"}
	default:
		request["tool_choice"] = object{"type": "tool", "name": r.Choice}
	}
}

// messages makes the messages of a request. called reports whether one of them has a call.
func (m *Model) messages(r engine.Request, s conv.Settled) (out []object, called bool) {
	for _, x := range conv.History(r, conv.Options{Prefix: m.Prefix, Thinking: s.Thinking, NoKeep: !s.Thinking}) {
		var blocks []any
		for _, b := range x.Blocks {
			switch {
			case b.Kept != nil:
				blocks = append(blocks, b.Kept)
			case b.Call != nil:
				called = true
				blocks = append(blocks, object{"type": "tool_use", "id": b.Call.ID, "name": b.Call.Name,
					"input": b.Call.Args})
			case b.Result != nil:
				result := object{"type": "tool_result", "tool_use_id": b.Result.ID, "content": b.Result.Text}
				if b.Result.Failed {
					result["is_error"] = true
				}
				blocks = append(blocks, result)
			default:
				blocks = append(blocks, object{"type": "text", "text": b.Text})
			}
		}
		role := "user"
		if x.Assistant {
			role = "assistant"
		}
		out = append(out, object{"role": role, "content": blocks})
	}
	return out, called
}

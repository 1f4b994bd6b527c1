package modeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// responsesWire is OpenAI's Responses without stored conversations.
type responsesWire struct{}

func (responsesWire) path(path string) bool { return strings.HasSuffix(path, "/responses") }

func (responsesWire) contentType() string { return "text/event-stream" }

func (responsesWire) raw(data string) frame {
	var v struct{ Type string }
	if json.Unmarshal([]byte(data), &v) != nil {
		return frame("data: " + data + "\n\n")
	}
	return frame("event: " + v.Type + "\ndata: " + data + "\n\n")
}

func (w responsesWire) failure(code, message string) frame {
	return w.raw(object(m{"type": "response.failed", "response": m{"status": "failed",
		"error": m{"code": code, "message": message}}}))
}

func (responsesWire) errorBody(err *refusal) string { return chatWire{}.errorBody(err) }

func (w responsesWire) frames(a Answer) []frame {
	var all []frame
	add := func(kind string, v m) {
		v["type"], v["sequence_number"] = kind, len(all)
		all = append(all, w.raw(object(v)))
	}
	add("response.created", m{"response": m{"id": "resp_1", "status": "in_progress"}})
	add("response.in_progress", m{"response": m{"id": "resp_1", "status": "in_progress"}})
	for i, p := range a.Parts {
		w.item(i, p, add)
	}
	usage := m{"input_tokens": a.Usage.Input, "output_tokens": a.Usage.Output,
		"input_tokens_details":  m{"cached_tokens": a.Usage.CacheRead},
		"output_tokens_details": m{"reasoning_tokens": a.Usage.Reasoning}}
	switch a.stop() {
	case StopEnd, StopTools:
		add("response.completed", m{"response": m{"status": "completed", "usage": usage}})
	default:
		reason := map[Stop]string{StopMaxTokens: "max_output_tokens", StopFiltered: "content_filter"}[a.stop()]
		if reason == "" {
			reason = string(a.stop())
		}
		add("response.incomplete", m{"response": m{"status": "incomplete", "usage": usage,
			"incomplete_details": m{"reason": reason}}})
	}
	return all
}

// item sends one output item.
func (responsesWire) item(i int, p Part, add func(kind string, v m)) {
	id := fmt.Sprintf("item_%d", i)
	switch {
	case p.Call != nil:
		item := m{"id": id, "type": "function_call", "call_id": p.Call.ID, "name": p.Call.Name, "arguments": ""}
		add("response.output_item.added", m{"output_index": i, "item": item})
		for _, piece := range pieces(p.Call.Arguments) {
			add("response.function_call_arguments.delta", m{"output_index": i, "item_id": id, "delta": piece})
		}
		done := m{"id": id, "type": "function_call", "call_id": p.Call.ID, "name": p.Call.Name,
			"arguments": p.Call.Arguments}
		add("response.output_item.done", m{"output_index": i, "item": done})
	case p.Text != "":
		add("response.output_item.added", m{"output_index": i, "item": m{"id": id, "type": "message"}})
		for _, piece := range pieces(p.Text) {
			add("response.output_text.delta", m{"output_index": i, "item_id": id, "delta": piece})
		}
		add("response.output_item.done", m{"output_index": i, "item": m{"id": id, "type": "message"}})
	default:
		sealed := p.Redacted
		if sealed == "" && p.Signature != "" {
			sealed = Sealed(Model, p.Reasoning)
		}
		add("response.output_item.added", m{"output_index": i, "item": m{"id": id, "type": "reasoning"}})
		for _, piece := range pieces(p.Reasoning) {
			add("response.reasoning_summary_text.delta", m{"output_index": i, "summary_index": 0, "delta": piece})
		}
		add("response.output_item.done", m{"output_index": i, "item": m{"id": id, "type": "reasoning",
			"summary":           []m{{"type": "summary_text", "text": p.Reasoning}},
			"encrypted_content": sealed}})
	}
}

type responsesRequest struct {
	Model, Instructions string
	Stream              bool
	Store               *bool
	Input               []responsesItem
	Tools               *[]struct {
		Type, Name, Description string
		Parameters              json.RawMessage
		Strict                  *bool
	}
	ToolChoice       json.RawMessage `json:"tool_choice"`
	MaxOutputTokens  int             `json:"max_output_tokens"`
	Temperature      *float64
	Include          []string
	Reasoning        *struct{ Effort, Summary string }
	Text             json.RawMessage
	SafetyIdentifier string   `json:"safety_identifier"`
	PromptCacheKey   string   `json:"prompt_cache_key"`
	TopP             *float64 `json:"top_p"`
}

type responsesItem struct {
	Type, Role, ID, Name, Arguments, Output string
	Content                                 content
	CallID                                  string `json:"call_id"`
	Summary                                 *json.RawMessage
	EncryptedContent                        string `json:"encrypted_content"`
}

func (responsesWire) check(_ *http.Request, body []byte) (last string, _ *refusal) {
	var c responsesRequest
	if err := strict(body, &c); err != nil {
		return "", refuse(invalid, "Unknown parameter: '%s'.", unknown(err))
	}
	for _, x := range c.Input {
		if x.Role == "user" {
			last = x.Content.all()
		}
	}
	if c.Model == "" {
		return last, refuse(invalid, "Missing required parameter: 'model'.")
	}
	if c.Store == nil || *c.Store {
		return last, refuse(invalid, "This organization keeps no data: set 'store' to false.")
	}
	if c.Tools == nil && c.ToolChoice != nil {
		return last, refuse(invalid, "Tool choices other than 'auto' require 'tools'.")
	}
	if c.Tools != nil {
		for i, t := range *c.Tools {
			if !validName(t.Name) {
				return last, refuse(invalid, "Invalid 'tools[%d].name': string does not match pattern.", i)
			}
			if why := badSchema(t.Parameters); why != "" {
				return last, refuse(invalid, "Invalid schema for function '%s': %s.", t.Name, why)
			}
		}
	}
	thinks := slices.Contains(c.Include, "reasoning.encrypted_content")
	if thinks && c.Temperature != nil {
		return last, refuse(invalid, "Unsupported parameter: 'temperature' is not supported with this model.")
	}
	return last, responsesItems(c.Input, thinks)
}

// responsesItems checks the conversation.
func responsesItems(all []responsesItem, thinks bool) *refusal {
	if len(all) == 0 {
		return refuse(invalid, "Missing required parameter: 'input'.")
	}
	var open []string
	reasoned := false // an item of reasoning came after the last user message
	for i, x := range all {
		switch {
		case x.Type == "reasoning":
			reasoned = true
			if no := responsesReasoning(all, i); no != nil {
				return no
			}
		case x.Type == "function_call":
			at := fmt.Sprintf("input[%d]", i)
			if !validName(x.Name) || !isObject([]byte(x.Arguments)) || x.CallID == "" || len(x.CallID) > 64 {
				return refuse(invalid, "Invalid '%s.name', '%s.arguments' or '%s.call_id'.", at, at, at)
			}
			if thinks && !reasoned && inLoop(all[i:]) {
				return refuse(invalid,
					"Item '%s' of type 'function_call' was provided without its required 'reasoning' "+
						"item.", x.CallID)
			}
			open = append(open, x.CallID)
		case x.Type == "function_call_output":
			left := missing(open, []string{x.CallID})
			if len(left) == len(open) {
				return refuse(invalid, "No tool call found for function call output with call_id %s.", x.CallID)
			}
			if x.Output == "" {
				return refuse(invalid, "Invalid 'input[%d].output': empty string.", i)
			}
			open = left
		case len(open) > 0:
			return refuse(invalid, "No tool output found for function call %s.", open[0])
		case x.Role == "user" || x.Role == "assistant":
			reasoned = reasoned && x.Role != "user"
			if x.Content.all() == "" {
				return refuse(invalid, "Invalid 'input[%d].content': empty string.", i)
			}
		default:
			return refuse(invalid, "Invalid value: '%s'. Supported values are: 'user', 'assistant'.", x.Role)
		}
	}
	if len(open) > 0 {
		return refuse(invalid, "No tool output found for function call %s.", open[0])
	}
	return nil
}

// inLoop reports whether no user message follows.
func inLoop(rest []responsesItem) bool {
	return !slices.ContainsFunc(rest, func(x responsesItem) bool { return x.Role == "user" })
}

// responsesReasoning checks an item of reasoning.
func responsesReasoning(all []responsesItem, i int) *refusal {
	x := all[i]
	switch {
	case x.ID != "":
		return refuse(invalid,
			"Item with id '%s' not found. Items are not persisted when `store` is set to false. Try "+
				"again with `store` set to true, or remove this item from your input.", x.ID)
	case x.Summary == nil:
		return refuse(invalid, "Missing required parameter: 'input[%d].summary'.", i)
	case !sealedBy(Model, x.EncryptedContent):
		return refuse(invalid,
			"The encrypted content for item %d could not be verified. Reason: Encrypted content could "+
				"not be decrypted or parsed.", i)
	case i+1 == len(all) || all[i+1].Role == "user" || all[i+1].Type == "function_call_output":
		return refuse(invalid, "Item %d of type 'reasoning' was provided without its required following item.", i)
	}
	return nil
}

package modeltest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// messagesWire is Anthropic's Messages.
type messagesWire struct{}

func (messagesWire) path(path string) bool { return strings.HasSuffix(path, "/messages") }

func (messagesWire) contentType() string { return "text/event-stream; charset=utf-8" }

func (messagesWire) raw(data string) frame { return responsesWire{}.raw(data) }

func (w messagesWire) failure(code, message string) frame {
	return w.raw(object(m{"type": "error", "error": m{"type": code, "message": message}}))
}

func (messagesWire) errorBody(err *refusal) string {
	return object(m{"type": "error", "error": m{"type": err.kind, "message": err.message}, "request_id": "req_1"})
}

func (w messagesWire) frames(a Answer) []frame {
	var all []frame
	add := func(kind string, v m) {
		v["type"] = kind
		all = append(all, w.raw(object(v)))
	}
	add("message_start", m{"message": m{"id": "msg_1", "role": "assistant", "content": []m{}, "usage": m{
		"input_tokens":                a.Usage.Input - a.Usage.CacheRead - a.Usage.CacheWrite,
		"cache_read_input_tokens":     a.Usage.CacheRead,
		"cache_creation_input_tokens": a.Usage.CacheWrite, "output_tokens": 1}}})
	add("ping", m{})
	for i, p := range a.Parts {
		w.block(i, p, add)
	}
	reason := map[Stop]string{StopEnd: "end_turn", StopTools: "tool_use", StopMaxTokens: "max_tokens",
		StopFiltered: "refusal", StopPause: "pause_turn", StopTooLong: "model_context_window_exceeded"}[a.stop()]
	if reason == "" {
		reason = string(a.stop())
	}
	add("message_delta", m{"delta": m{"stop_reason": reason}, "usage": m{"output_tokens": a.Usage.Output}})
	add("message_stop", m{})
	return all
}

func (messagesWire) block(i int, p Part, add func(kind string, v m)) {
	start := func(v m) { add("content_block_start", m{"index": i, "content_block": v}) }
	delta := func(kind, name, value string) {
		add("content_block_delta", m{"index": i, "delta": m{"type": kind, name: value}})
	}
	switch {
	case p.Call != nil:
		start(m{"type": "tool_use", "id": p.Call.ID, "name": p.Call.Name, "input": m{}})
		delta("input_json_delta", "partial_json", "")
		for _, piece := range pieces(p.Call.Arguments) {
			delta("input_json_delta", "partial_json", piece)
		}
	case p.Redacted != "":
		start(m{"type": "redacted_thinking", "data": p.Redacted})
	case p.Reasoning != "" || p.Signature != "":
		start(m{"type": "thinking", "thinking": "", "signature": ""})
		for _, piece := range pieces(p.Reasoning) {
			delta("thinking_delta", "thinking", piece)
		}
		delta("signature_delta", "signature", p.Signature)
	default:
		start(m{"type": "text", "text": ""})
		for _, piece := range pieces(p.Text) {
			delta("text_delta", "text", piece)
		}
	}
	add("content_block_stop", m{"index": i})
}

type messagesRequest struct {
	Model     string
	MaxTokens int `json:"max_tokens"`
	Stream    bool
	System    content
	Messages  []struct {
		Role    string
		Content content
	}
	Tools []struct {
		Name, Description string
		InputSchema       json.RawMessage `json:"input_schema"`
		CacheControl      *m              `json:"cache_control"`
	}
	ToolChoice  *struct{ Type, Name string } `json:"tool_choice"`
	Temperature *float64
	Thinking    *struct {
		Type         string
		BudgetTokens int `json:"budget_tokens"`
	}
	StopSequences []string        `json:"stop_sequences"`
	OutputConfig  json.RawMessage `json:"output_config"`
	Metadata      *struct {
		UserID string `json:"user_id"`
	}
	TopK int `json:"top_k"` // as an example of Settings.Extra
}

func (messagesWire) check(r *http.Request, body []byte) (last string, _ *refusal) {
	var c messagesRequest
	if err := strict(body, &c); err != nil {
		return "", refuse(invalid, "%s: Extra inputs are not permitted", unknown(err))
	}
	for _, x := range c.Messages {
		if x.Role == "user" {
			last += x.Content.all()
		}
	}
	if r.Header.Get("Anthropic-Version") == "" {
		return last, refuse(invalid, "anthropic-version: header is required")
	}
	if c.MaxTokens < 1 {
		return last, refuse(invalid, "max_tokens: Field required")
	}
	for i, t := range c.Tools {
		if !validName(t.Name) {
			return last, refuse(invalid, "tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
				i)
		}
		if why := badSchema(t.InputSchema); why != "" {
			return last, refuse(invalid, "tools.%d.custom.input_schema: %s", i, why)
		}
	}
	if no := messagesThinking(c); no != nil {
		return last, no
	}
	for _, b := range c.System.blocks {
		if strings.TrimSpace(*b.Text) == "" {
			return last, refuse(invalid, "system: text content blocks must be non-empty")
		}
	}
	return last, c.conversation()
}

func messagesThinking(c messagesRequest) *refusal {
	if c.ToolChoice != nil && len(c.Tools) == 0 {
		return refuse(invalid, "tool_choice may only be specified while providing tools.")
	}
	if c.Thinking == nil {
		return nil
	}
	switch {
	case c.Thinking.BudgetTokens < 1024:
		return refuse(invalid, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
	case c.Thinking.BudgetTokens >= c.MaxTokens:
		return refuse(invalid, "`max_tokens` must be greater than `thinking.budget_tokens`.")
	case c.Temperature != nil && *c.Temperature != 1:
		return refuse(invalid, "`temperature` may only be set to 1 when thinking is enabled.")
	case c.ToolChoice != nil && (c.ToolChoice.Type == "any" || c.ToolChoice.Type == "tool"):
		return refuse(invalid, "Thinking may not be enabled when tool_choice forces tool use.")
	}
	return nil
}

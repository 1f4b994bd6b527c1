package modeltest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strings"
)

// converseWire is Bedrock's ConverseStream, in AWS's event stream.
type converseWire struct{}

func (converseWire) path(path string) bool {
	return strings.HasPrefix(path, "/model/") && strings.HasSuffix(path, "/converse-stream")
}

func (converseWire) contentType() string { return "application/vnd.amazon.eventstream" }

// raw encodes {"name": payload} as the event of that name.
func (converseWire) raw(data string) frame {
	var v map[string]json.RawMessage
	if json.Unmarshal([]byte(data), &v) == nil {
		for name, payload := range v {
			return eventFrame(payload, ":message-type", "event", ":event-type", name, ":content-type",
				"application/json")
		}
	}
	return frame(data)
}

func (converseWire) failure(code, message string) frame {
	return eventFrame([]byte(object(m{"message": message})), ":message-type", "exception", ":exception-type", code,
		":content-type", "application/json")
}

func (converseWire) errorBody(err *refusal) string { return object(m{"message": err.message}) }

// eventFrame encodes one message of AWS's event stream: lengths, a checksum, headers, payload and a checksum.
func eventFrame(payload []byte, headers ...string) frame {
	var h []byte
	for i := 0; i < len(headers); i += 2 {
		h = append(h, byte(len(headers[i])))
		h = append(h, headers[i]...)
		h = append(h, 7) // a text
		h = binary.BigEndian.AppendUint16(h, uint16(len(headers[i+1])))
		h = append(h, headers[i+1]...)
	}
	var f []byte
	f = binary.BigEndian.AppendUint32(f, uint32(16+len(h)+len(payload)))
	f = binary.BigEndian.AppendUint32(f, uint32(len(h)))
	f = binary.BigEndian.AppendUint32(f, crc32.ChecksumIEEE(f))
	f = append(append(f, h...), payload...)
	return binary.BigEndian.AppendUint32(f, crc32.ChecksumIEEE(f))
}

func (w converseWire) frames(a Answer) []frame {
	var all []frame
	add := func(name string, v m) { all = append(all, w.raw(object(m{name: v}))) }
	add("messageStart", m{"role": "assistant"})
	for i, p := range a.Parts {
		w.block(i, p, add)
	}
	reason := map[Stop]string{StopEnd: "end_turn", StopTools: "tool_use", StopMaxTokens: "max_tokens",
		StopFiltered: "guardrail_intervened", StopTooLong: "model_context_window_exceeded",
		StopMalformed: "malformed_tool_use"}[a.stop()]
	if reason == "" {
		reason = string(a.stop())
	}
	add("messageStop", m{"stopReason": reason})
	add("metadata", m{"metrics": m{"latencyMs": 1}, "usage": m{
		"inputTokens":  a.Usage.Input - a.Usage.CacheRead - a.Usage.CacheWrite,
		"outputTokens": a.Usage.Output, "totalTokens": a.Usage.Input + a.Usage.Output,
		"cacheReadInputTokens": a.Usage.CacheRead, "cacheWriteInputTokens": a.Usage.CacheWrite}})
	return all
}

// block sends one block. As most models, it sends a start for a call only.
func (converseWire) block(i int, p Part, add func(name string, v m)) {
	delta := func(v m) { add("contentBlockDelta", m{"contentBlockIndex": i, "delta": v}) }
	switch {
	case p.Call != nil:
		add("contentBlockStart", m{"contentBlockIndex": i,
			"start": m{"toolUse": m{"toolUseId": p.Call.ID, "name": p.Call.Name}}})
		for _, piece := range pieces(p.Call.Arguments) {
			delta(m{"toolUse": m{"input": piece}})
		}
	case p.Redacted != "":
		delta(m{"reasoningContent": m{"redactedContent": base64.StdEncoding.EncodeToString([]byte(p.Redacted))}})
	case p.Reasoning != "" || p.Signature != "":
		for _, piece := range pieces(p.Reasoning) {
			delta(m{"reasoningContent": m{"text": piece}})
		}
		delta(m{"reasoningContent": m{"signature": p.Signature}})
	default:
		for _, piece := range pieces(p.Text) {
			delta(m{"text": piece})
		}
	}
	add("contentBlockStop", m{"contentBlockIndex": i})
}

type converseRequest struct {
	Messages []struct {
		Role    string
		Content []converseBlock
	}
	System []struct {
		Text       *string
		CachePoint *m
	}
	InferenceConfig struct {
		MaxTokens     *int
		Temperature   *float64
		StopSequences []string
	}
	ToolConfig *struct {
		Tools []struct {
			ToolSpec *struct {
				Name        string
				Description *string
				InputSchema struct{ JSON json.RawMessage }
			}
			CachePoint *m
		}
		ToolChoice *struct {
			Auto, Any *m
			Tool      *struct{ Name string }
		}
	}
	AdditionalModelRequestFields *struct {
		Thinking *struct {
			Type         string
			BudgetTokens int `json:"budget_tokens"`
		}
		TopK          *int     `json:"top_k"`
		AnthropicBeta []string `json:"anthropic_beta"`
	}
	GuardrailConfig *struct{ GuardrailIdentifier, GuardrailVersion string }
	RequestMetadata map[string]string
}

type converseBlock struct {
	Text    *string
	ToolUse *struct {
		ToolUseID string `json:"toolUseId"`
		Name      string
		Input     json.RawMessage
	}
	ToolResult *struct {
		ToolUseID string `json:"toolUseId"`
		Content   []struct{ Text *string }
		Status    string
	}
	ReasoningContent *struct {
		ReasoningText *struct {
			Text, Signature *string
		}
		RedactedContent []byte
	}
	CachePoint *m
}

// validation is how Bedrock names an error of the request.
const validation = "ValidationException"

func (converseWire) check(r *http.Request, body []byte) (last string, _ *refusal) {
	var c converseRequest
	if err := strict(body, &c); err != nil {
		return "", refuse("SerializationException", "unknown member %s", unknown(err))
	}
	for _, x := range c.Messages {
		for _, b := range x.Content {
			if x.Role == "user" && b.Text != nil {
				last += *b.Text
			}
		}
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		return last, &refusal{status: http.StatusForbidden, kind: "AccessDeniedException", message: "Not signed"}
	}
	no := c.problem()
	if no != nil {
		no.kind = validation
	}
	return last, no
}

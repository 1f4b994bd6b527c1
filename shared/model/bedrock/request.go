package bedrock

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"carrel/shared/engine"
	"carrel/shared/model/internal/conv"
	"carrel/shared/tool"
)

// request makes the request of a call. Tools and the stable parts of the system prompt end with a cache point.
func (m *Model) request(r engine.Request, s conv.Settled) *bedrockruntime.ConverseStreamInput {
	messages, called := m.messages(r, s)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(m.c.Model), Messages: messages,
		System: m.system(r, s),
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(int32(s.MaxTokens)),
			StopSequences: r.Settings.Stop}}
	if s.Temperature != nil {
		in.InferenceConfig.Temperature = aws.Float32(float32(*s.Temperature))
	}
	if more := m.more(r, s); len(more) > 0 {
		in.AdditionalModelRequestFields = document.NewLazyDocument(more)
	}
	if r.UserHash != "" {
		in.RequestMetadata = map[string]string{"user": r.UserHash}
	}
	if g := r.Settings.Guardrail; g != "" {
		id, version := g, "DRAFT"
		if i := strings.LastIndex(g, ":"); i > 0 && !strings.Contains(g[i:], "/") {
			id, version = g[:i], g[i+1:]
		}
		in.GuardrailConfig = &types.GuardrailStreamConfiguration{GuardrailIdentifier: aws.String(id),
			GuardrailVersion: aws.String(version)}
	}
	specs := r.Tools
	if len(specs) == 0 && called { // the service demands tools if the history has calls
		specs = []tool.Spec{{Name: conv.Unavailable, Description: conv.UnavailableText,
			Schema: json.RawMessage(conv.EmptySchema)}}
	}
	if len(specs) > 0 {
		in.ToolConfig = m.tools(specs, r.Choice, s)
	}
	return in
}

// more returns the fields that belong to the model and not to ConverseStream.
func (m *Model) more(r engine.Request, s conv.Settled) map[string]any {
	more := map[string]any{}
	if s.Thinking && s.Budget > 0 {
		more["thinking"] = map[string]any{"type": "enabled", "budget_tokens": s.Budget}
	}
	if len(m.c.Facts.Beta) > 0 {
		more["anthropic_beta"] = m.c.Facts.Beta
	}
	raw := map[string]any{}
	conv.Extend(raw, r.Settings.Extra)
	for name, value := range raw {
		if text, ok := value.(json.RawMessage); ok {
			more[name] = decode(text)
		}
	}
	return more
}

func cachePoint() types.CachePointBlock {
	return types.CachePointBlock{Type: types.CachePointTypeDefault}
}

func (m *Model) system(r engine.Request, s conv.Settled) []types.SystemContentBlock {
	var out []types.SystemContentBlock
	parts := conv.System(r, s)
	for i, p := range parts {
		out = append(out, &types.SystemContentBlockMemberText{Value: p.Text})
		if m.c.Facts.Cache && p.Stable && (i+1 == len(parts) || !parts[i+1].Stable) {
			out = append(out, &types.SystemContentBlockMemberCachePoint{Value: cachePoint()})
		}
	}
	return out
}

func (m *Model) tools(specs []tool.Spec, choice string, s conv.Settled) *types.ToolConfiguration {
	c := &types.ToolConfiguration{}
	for _, t := range specs {
		spec := types.ToolSpecification{Name: aws.String(t.Name),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(decode(t.Schema))}}
		if t.Description != "" { // an empty one is refused
			spec.Description = aws.String(t.Description)
		}
		c.Tools = append(c.Tools, &types.ToolMemberToolSpec{Value: spec})
	}
	if m.c.Facts.Cache {
		c.Tools = append(c.Tools, &types.ToolMemberCachePoint{Value: cachePoint()})
	}
	switch {
	case !s.Forced:
	case choice == engine.ChoiceAny:
		c.ToolChoice = &types.ToolChoiceMemberAny{}
	default:
		c.ToolChoice = &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(choice)}}
	}
	return c
}

// messages makes the messages of a request. called reports whether one of them has a call.
func (m *Model) messages(r engine.Request, s conv.Settled) (out []types.Message, called bool) {
	for _, x := range conv.History(r, conv.Options{Prefix: m.prefix, Thinking: s.Thinking, NoKeep: !s.Thinking}) {
		message := types.Message{Role: types.ConversationRoleUser}
		if x.Assistant {
			message.Role = types.ConversationRoleAssistant
		}
		for _, b := range x.Blocks {
			switch {
			case b.Kept != nil:
				message.Content = append(message.Content, reasoning(b.Kept)...)
			case b.Call != nil:
				called = true
				message.Content = append(message.Content, &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{
					ToolUseId: aws.String(b.Call.ID), Name: aws.String(b.Call.Name),
					Input: document.NewLazyDocument(decode(b.Call.Args))}})
			case b.Result != nil:
				message.Content = append(message.Content, result(b.Result))
			case strings.TrimSpace(b.Text) != "": // the service refuses an empty one, even beside reasoning
				message.Content = append(message.Content, &types.ContentBlockMemberText{Value: b.Text})
			}
		}
		out = append(out, message)
	}
	return out, called
}

func result(r *conv.Result) types.ContentBlock {
	block := types.ToolResultBlock{ToolUseId: aws.String(r.ID),
		Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: r.Text}}}
	if r.Failed {
		block.Status = types.ToolResultStatusError
	}
	return &types.ContentBlockMemberToolResult{Value: block}
}

// kept is a block of reasoning in Keep.
type kept struct {
	Text      string `json:"text,omitempty"`
	Signature string `json:"signature,omitempty"`
	Redacted  []byte `json:"redacted,omitempty"`
}

// reasoning returns the block that Keep has.
func reasoning(text json.RawMessage) []types.ContentBlock {
	var k kept
	if json.Unmarshal(text, &k) != nil {
		return nil
	}
	if len(k.Redacted) > 0 {
		return []types.ContentBlock{&types.ContentBlockMemberReasoningContent{
			Value: &types.ReasoningContentBlockMemberRedactedContent{Value: k.Redacted}}}
	}
	return []types.ContentBlock{&types.ContentBlockMemberReasoningContent{
		Value: &types.ReasoningContentBlockMemberReasoningText{Value: types.ReasoningTextBlock{
			Text: aws.String(k.Text), Signature: aws.String(k.Signature)}}}}
}

// decode returns JSON as the values that the SDK encodes. Whole numbers stay exact.
func decode(text json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return map[string]any{}
	}
	return exact(v)
}

func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			v[name] = exact(x)
		}
	case []any:
		for i, x := range v {
			v[i] = exact(x)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return v
}

package modeltest

import (
	"slices"
	"strings"
)

// blockMessage is a message of blocks, as Messages and Converse have it.
type blockMessage struct {
	assistant bool
	blocks    []block
}

func (c messagesRequest) conversation() *refusal {
	var all []blockMessage
	for i, x := range c.Messages {
		if x.Role != "user" && x.Role != "assistant" {
			return refuse(invalid, "messages.%d.role: Input should be 'user' or 'assistant'", i)
		}
		blocks := x.Content.blocks
		if x.Content.text != "" {
			blocks = []block{{Type: "text", Text: &x.Content.text}}
		}
		all = append(all, blockMessage{x.Role == "assistant", blocks})
	}
	if no := alternate(all); no != nil {
		return no
	}
	called := false
	for i, x := range all {
		if no := messagesBlocks(i, x); no != nil {
			return no
		}
		for _, b := range x.blocks {
			called = called || b.Type == "tool_use"
		}
	}
	if called && len(c.Tools) == 0 {
		return refuse(invalid,
			"Requests which have `tool_use` or `tool_result` blocks in their `messages` must define "+
				"tools.")
	}
	if no := paired(all); no != nil {
		return no
	}
	return thought(all, c.Thinking != nil)
}

// alternate checks the roles.
func alternate(all []blockMessage) *refusal {
	if len(all) == 0 {
		return refuse(invalid, "messages: at least one message is required")
	}
	for i, x := range all {
		if x.assistant != (i%2 == 1) {
			return refuse(invalid,
				"messages: roles must alternate between \"user\" and \"assistant\", but found multiple "+
					"in a row, or the first is not \"user\"")
		}
		if len(x.blocks) == 0 {
			return refuse(invalid, "messages.%d: all messages must have non-empty content", i)
		}
	}
	if all[len(all)-1].assistant {
		return refuse(invalid,
			"This model does not support assistant message prefill. The conversation must end with a "+
				"user message.")
	}
	return nil
}

// messagesBlocks checks the blocks of one message for themselves.
func messagesBlocks(i int, x blockMessage) *refusal {
	signed := slices.ContainsFunc(x.blocks, func(b block) bool {
		return b.Type == "thinking" || b.Type == "redacted_thinking"
	})
	for k, b := range x.blocks {
		switch b.Type {
		case "text":
			if b.Text == nil || strings.TrimSpace(*b.Text) == "" && !signed {
				return refuse(invalid, "messages.%d.content.%d: text content blocks must contain non-whitespace text",
					i, k)
			}
		case "thinking":
			if b.Signature == nil || b.Thinking == nil || *b.Signature != Sign(Model, *b.Thinking) {
				return refuse(invalid, "messages.%d.content.%d: Invalid `signature` in `thinking` block", i, k)
			}
		case "redacted_thinking":
			if !sealedBy(Model, b.Data) {
				return refuse(invalid, "messages.%d.content.%d: Invalid `data` in `redacted_thinking` block", i, k)
			}
		case "tool_use":
			if !validName(b.Name) || !validName(b.ID) || !isObject(b.Input) {
				return refuse(invalid,
					"messages.%d.content.%d.tool_use.input: Input should be a valid dictionary, and id "+
						"and name should match pattern '^[a-zA-Z0-9_-]+$'", i, k)
			}
		case "tool_result":
			if b.Content.null {
				return refuse(invalid, "messages.%d.content.%d.tool_result.content: Input should be a valid list", i, k)
			}
		default:
			return refuse(invalid,
				"messages.%d.content.%d: Input tag '%s' found using 'type' does not match any of the "+
					"expected tags", i, k, b.Type)
		}
		if x.assistant && b.Type == "tool_result" || !x.assistant && b.Type != "text" && b.Type != "tool_result" {
			return refuse(invalid, "messages.%d: `%s` blocks are not allowed in this message", i, b.Type)
		}
	}
	return nil
}

// paired checks that the results of an answer's calls directly follow it, one each, and that calls end the answer.
func paired(all []blockMessage) *refusal {
	seen := map[string]bool{}
	for i := 0; i < len(all); i += 2 {
		var open []string
		if i > 0 {
			for _, b := range all[i-1].blocks {
				switch {
				case b.Type == "tool_use" && seen[b.ID]:
					return refuse(invalid, "messages: `tool_use` ids must be unique")
				case b.Type == "tool_use":
					seen[b.ID] = true
					open = append(open, b.ID)
				case b.Type == "text" && len(open) > 0:
					return refuse(invalid,
						"messages.%d: `tool_use` ids were found without `tool_result` blocks immediately "+
							"after: %s", i-1, open[0])
				}
			}
		}
		for _, b := range all[i].blocks {
			if b.Type != "tool_result" {
				break
			}
			left := missing(open, []string{b.ToolUseID})
			if len(left) == len(open) {
				return refuse(invalid,
					"messages.%d.content: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each "+
						"`tool_result` block must have a corresponding `tool_use` block in the previous message.", i,
					b.ToolUseID)
			}
			open = left
		}
		if len(open) > 0 {
			return refuse(invalid,
				"messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: "+
					"%s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i,
				strings.Join(open, ", "))
		}
	}
	return nil
}

// thought checks that the answers since the last question begin with reasoning if the model thinks, and have none if
// it does not.
func thought(all []blockMessage, thinks bool) *refusal {
	start := len(all) - 1
	for start > 0 && !slices.ContainsFunc(all[start].blocks, func(b block) bool { return b.Type == "text" }) {
		start -= 2
	}
	i := max(start, 0) + 1 // only the first answer must begin with reasoning
	if i >= len(all) {
		return nil
	}
	first := all[i].blocks[0].Type
	reasons := first == "thinking" || first == "redacted_thinking"
	if thinks && !reasons {
		return refuse(invalid,
			"messages.%d.content.0.type: Expected `thinking` or `redacted_thinking`, but found `%s`. "+
				"When `thinking` is enabled, a final "+
				"`assistant` message must start with a thinking block.", i, first)
	}
	if !thinks && reasons {
		return refuse(invalid,
			"messages.%d.content.0.type: When `thinking` is disabled, an `assistant` message in the "+
				"final position cannot contain `thinking`.", i)
	}
	return nil
}

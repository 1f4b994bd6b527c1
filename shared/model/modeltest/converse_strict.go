package modeltest

import "strings"

// problem returns why the service refuses a request, or nil.
func (c converseRequest) problem() *refusal {
	for _, p := range c.System {
		if p.Text != nil && strings.TrimSpace(*p.Text) == "" {
			return refuse(validation, "The text field in the SystemContentBlock object is blank. Add text to the text "+
				"field, and try again.")
		}
	}
	if no := c.tools(); no != nil {
		return no
	}
	all, called, no := c.blocks()
	if no != nil {
		return no
	}
	if called && c.ToolConfig == nil {
		return refuse(validation,
			"The toolConfig field must be defined when using toolUse and toolResult content blocks.")
	}
	if no := alternate(all); no != nil {
		return no
	}
	if no := paired(all); no != nil {
		return no
	}
	thinks := c.AdditionalModelRequestFields != nil && c.AdditionalModelRequestFields.Thinking != nil
	if thinks && c.InferenceConfig.Temperature != nil {
		return refuse(validation, "`temperature` may only be set to 1 when thinking is enabled.")
	}
	if thinks && c.ToolConfig != nil && c.ToolConfig.ToolChoice != nil && c.ToolConfig.ToolChoice.Auto == nil {
		return refuse(validation, "Thinking may not be enabled when tool_choice forces tool use.")
	}
	return thought(all, thinks)
}

func (c converseRequest) tools() *refusal {
	if c.ToolConfig == nil {
		return nil
	}
	if len(c.ToolConfig.Tools) == 0 {
		return refuse(validation, "Value at 'toolConfig.tools' failed to satisfy constraint: Member must have length "+
			"greater than or equal to 1")
	}
	for _, t := range c.ToolConfig.Tools {
		switch {
		case t.CachePoint != nil:
		case t.ToolSpec == nil || !validName(t.ToolSpec.Name):
			return refuse(validation,
				"Value at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: "+
					"Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
		case t.ToolSpec.Description != nil && *t.ToolSpec.Description == "":
			return refuse(validation, "Value at 'toolConfig.tools.1.member.toolSpec.description' failed to satisfy "+
				"constraint: Member must have length greater than or equal to 1")
		default:
			if why := badSchema(t.ToolSpec.InputSchema.JSON); why != "" {
				return refuse(validation,
					"The JSON schema defined at toolConfig.tools.0.toolSpec.inputSchema is invalid: %s",
					why)
			}
		}
	}
	return nil
}

// blocks checks the blocks for themselves and returns them in the form of the Messages API.
func (c converseRequest) blocks() (all []blockMessage, called bool, _ *refusal) {
	for i, x := range c.Messages {
		message := blockMessage{assistant: x.Role == "assistant"}
		for k, b := range x.Content {
			converted, no := converseOne(b)
			if no != nil {
				return nil, false, no
			}
			if converted.Type == "" {
				continue
			}
			called = called || b.ToolUse != nil
			message.blocks = append(message.blocks, converted)
			if message.assistant && b.ToolResult != nil || !message.assistant &&
				(b.ToolUse != nil || b.ReasoningContent != nil) {
				return nil, false, refuse(validation,
					"messages.%d.content.%d: this block is not allowed for the role %s", i,
					k, x.Role)
			}
		}
		all = append(all, message)
	}
	return all, called, nil
}

func converseOne(b converseBlock) (block, *refusal) {
	switch {
	case b.Text != nil:
		if strings.TrimSpace(*b.Text) == "" {
			return block{}, refuse(validation,
				"The text field in the ContentBlock object is blank. Add text to the text "+
					"field, and try again.")
		}
		return block{Type: "text", Text: b.Text}, nil
	case b.ToolUse != nil:
		if !validName(b.ToolUse.Name) || !validName(b.ToolUse.ToolUseID) || !isObject(b.ToolUse.Input) {
			return block{}, refuse(validation,
				"The format of the value at messages.1.content.0.toolUse.input is invalid. "+
					"Provide a json object for the field and try again.")
		}
		return block{Type: "tool_use", ID: b.ToolUse.ToolUseID, Name: b.ToolUse.Name}, nil
	case b.ToolResult != nil:
		if len(b.ToolResult.Content) == 0 || b.ToolResult.Content[0].Text == nil ||
			strings.TrimSpace(*b.ToolResult.Content[0].Text) == "" {
			return block{}, refuse(validation, "The content field in the ToolResultBlock object is blank.")
		}
		return block{Type: "tool_result", ToolUseID: b.ToolResult.ToolUseID}, nil
	case b.ReasoningContent != nil && b.ReasoningContent.ReasoningText != nil:
		r := b.ReasoningContent.ReasoningText
		if r.Text == nil || r.Signature == nil || *r.Signature != Sign(Model, *r.Text) {
			return block{}, refuse(validation, "messages.1.content.0: Invalid `signature` in `thinking` block")
		}
		return block{Type: "thinking"}, nil
	case b.ReasoningContent != nil:
		if !sealedBy(Model, string(b.ReasoningContent.RedactedContent)) {
			return block{}, refuse(validation, "messages.1.content.0: Invalid `data` in `redacted_thinking` block")
		}
		return block{Type: "redacted_thinking"}, nil
	case b.CachePoint != nil:
		return block{}, nil
	}
	return block{}, refuse(validation, "The ContentBlock object has no member.")
}

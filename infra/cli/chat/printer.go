package main

import (
	"fmt"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/visible"
)

// printer prints the new parts of a growing view: text as it streams, a tool call once it has its result.
type printer struct {
	out    *visible.Writer
	colour bool
	thread chat.ThreadID
	shown  map[string]int  // message id → bytes printed
	own    map[string]bool // messages that were typed here, which the terminal already shows
	open   string          // the message whose line is not complete
}

// reset prepares the printer for another thread.
func (p *printer) reset() {
	p.endLine()
	p.shown = map[string]int{}
}

func (p *printer) endLine() {
	if p.open != "" {
		fmt.Fprintln(p.out)
		p.open = ""
	}
}

func (p *printer) show(s client.State) {
	if p.shown == nil || s.ThreadID != p.thread {
		p.reset()
		p.thread = s.ThreadID
	}
	calls := map[string]agui.FunctionCall{}
	for _, m := range s.Messages {
		for _, c := range m.ToolCalls {
			calls[c.ID] = c.Function
		}
	}
	for _, m := range s.Messages {
		if m.SubagentRunID != "" {
			continue
		}
		switch m.Role {
		case agui.RoleAssistant:
			p.text(m)
		case agui.RoleUser:
			if !p.own[m.ID] {
				p.line(m.ID, "> "+m.Content)
			}
		case agui.RoleReasoning:
			if p.colour {
				p.text(m)
			}
		case agui.RoleTool:
			p.lines(s.Messages, calls, m.ToolCallID, "  ")
			c := calls[m.ToolCallID]
			p.line(m.ID, fmt.Sprintf("%s(%s) → %s", visible.Line(c.Name), c.Arguments, m.Content))
		}
	}
}

// lines prints what agents did that other agents asked, indented, once the call that asked has its result. Several
// agents may work at the same time, so their words are not printed while they stream.
func (p *printer) lines(all []agui.Message, calls map[string]agui.FunctionCall, line, indent string) {
	name := strings.TrimPrefix(visible.Line(calls[line].Name), "ask_")
	for _, m := range agui.LineMessages(all, line) {
		switch {
		case m.Role == agui.RoleTool:
			p.lines(all, calls, m.ToolCallID, indent+"  ")
			c := calls[m.ToolCallID]
			p.line(m.ID, fmt.Sprintf("%s%s: %s(%s) → %s", indent, name, visible.Line(c.Name), c.Arguments, m.Content))
		case m.Role == agui.RoleAssistant && m.Content != "":
			p.line(m.ID, fmt.Sprintf("%s%s: %s", indent, name, m.Content))
		}
	}
}

// line prints a complete message.
func (p *printer) line(id, text string) {
	if p.shown[id] > 0 {
		return
	}
	p.endLine()
	fmt.Fprintln(p.out, text)
	p.shown[id] = len(text)
}

// text prints the new part of a growing message.
func (p *printer) text(m agui.Message) {
	from := p.shown[m.ID]
	if from >= len(m.Content) {
		return
	}
	if p.open != m.ID {
		p.endLine()
		p.open = m.ID
	}
	dim := m.Role == agui.RoleReasoning
	p.style(dim, "\x1b[2m")
	fmt.Fprint(p.out, m.Content[from:])
	p.style(dim, "\x1b[22m")
	p.shown[m.ID] = len(m.Content)
}

// style writes an escape sequence of this program, which the writer would otherwise spell out. A write error is
// reported by the next print.
func (p *printer) style(wanted bool, sequence string) {
	if wanted {
		_ = p.out.Raw(sequence)
	}
}

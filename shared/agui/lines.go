package agui

import (
	"encoding/json"
	"fmt"
)

// A line is one stream of answers, with its own marks and calls. The line of the run's own agent has the id "". The
// line of a sub-agent has the id of the call that asked it, which is the SubagentRunID of its events.

// Line returns the events of one line, in order.
func Line(events []Event, line string) (own []Event) {
	for _, e := range events {
		if e.SubagentRunID == line {
			own = append(own, e)
		}
	}
	return own
}

// LineMessages returns the messages of one line, in order.
func LineMessages(messages []Message, line string) (own []Message) {
	for _, m := range messages {
		if m.SubagentRunID == line {
			own = append(own, m)
		}
	}
	return own
}

// LineCall is a tool call of a line.
type LineCall struct{ Line, ID string }

// Calls returns the calls that have no result until a person has responded: the calls that asked the agents in whose
// line the interrupted call is, outermost first, and then that call.
func (i Interrupt) Calls() (calls []LineCall) {
	var metadata struct {
		Carrel struct {
			Path []string `json:"path"`
		} `json:"carrel"`
	}
	if len(i.Metadata) > 0 && json.Unmarshal(i.Metadata, &metadata) != nil {
		metadata.Carrel.Path = nil
	}
	line := ""
	for _, id := range metadata.Carrel.Path {
		calls = append(calls, LineCall{Line: line, ID: id})
		line = id
	}
	if i.ToolCallID != "" {
		calls = append(calls, LineCall{Line: line, ID: i.ToolCallID})
	}
	return calls
}

// orderLine is the state of a line in the present run.
type orderLine struct {
	state  lineState
	parent string // the line that has the call
	call   string
}

type lineState int

const (
	lineActive lineState = iota + 1
	lineEnded
	lineSuspended
)

// line checks the rules about lines, and records their starts and ends.
func (o *Order) line(e Event) error {
	id := e.SubagentRunID
	what := fmt.Sprintf("%s %q", kindLine, id)
	switch {
	case e.Type == SubagentStarted:
		return o.startLine(e, what)
	case id == "" || e.Type == ToolCallResult && o.lines[id] == nil: // of a run that ended before it continued the line
		return nil
	case o.lines[id] == nil || o.lines[id].state != lineActive:
		return refuse(e.Type, what+" is not open")
	case e.Type != SubagentFinished && e.Type != SubagentError:
		return nil
	}
	state := lineEnded
	if e.Outcome != nil && e.Outcome.Type == OutcomeSuspended {
		state = lineSuspended
	}
	for _, w := range o.open {
		if w.line == id {
			return refuse(e.Type, "still open: "+w.String())
		}
	}
	for call, c := range o.calls {
		if c.line == id && c.state == callMade && state != lineSuspended {
			return refuse(e.Type, fmt.Sprintf("tool call %q has no result", call))
		}
	}
	for child, l := range o.lines {
		if l.parent == id && l.state == lineActive {
			return refuse(e.Type, fmt.Sprintf("still open: %s %q", kindLine, child))
		}
	}
	o.lines[id].state = state
	return nil
}

// startLine checks and records the start of a line.
func (o *Order) startLine(e Event, what string) error {
	parent := o.lines[e.ParentSubagentRunID]
	switch {
	case e.SubagentRunID == "" || e.Name == "":
		return refuse(e.Type, "it has no id or no name")
	case o.lines[e.SubagentRunID] != nil:
		return refuse(e.Type, what+" has begun already")
	case e.ParentSubagentRunID != "" && (parent == nil || parent.state != lineActive):
		return refuse(e.Type, fmt.Sprintf("%s %q is not open", kindLine, e.ParentSubagentRunID))
	}
	if o.lines == nil {
		o.lines = map[string]*orderLine{}
	}
	o.lines[e.SubagentRunID] = &orderLine{state: lineActive, parent: e.ParentSubagentRunID, call: e.ParentToolCallID}
	return nil
}

// openLines lists the lines that have not ended.
func (o *Order) openLines() (open []opened) {
	for id, l := range o.lines {
		if l.state == lineActive {
			open = append(open, opened{kind: kindLine, id: id})
		}
	}
	return open
}

package tool

import (
	"encoding/json"
	"fmt"
)

// AskFirst returns a copy of the tool that asks a person this question before each call. The person also sees the
// call's arguments.
func (t Tool) AskFirst(question string) Tool {
	t.question = question
	return t
}

// AskWhen returns a copy of the tool that asks a person before some calls. question returns the question about a call
// with these arguments, or "" for none. It must compute its answer from the arguments alone: another worker that
// continues the run calls it again. It adds questions and removes none, so a destructive tool and a tool with AskFirst
// still ask before every call. It is not called for a call that a person has approved, with edited arguments or not.
func (t Tool) AskWhen(question func(args json.RawMessage) string) Tool {
	t.askWhen = question
	return t
}

// asks returns the question to a person before a call, or "" if the tool asks none.
func (t Tool) asks(c Call) string {
	args := json.RawMessage(c.Arguments)
	if t.askWhen != nil {
		if question := t.askWhen(args); question != "" {
			return question
		}
	}
	if t.askOutside != nil {
		before := Conversation{Outside: true}
		if c.Before != nil {
			before = c.Before()
		}
		if question := t.askOutside(args, before); question != "" && before.Outside {
			return question
		}
	}
	if t.question == "" && t.effects.Destructive {
		return fmt.Sprintf("May %s be called? It can delete or overwrite something.", t.spec.Name)
	}
	return t.question
}

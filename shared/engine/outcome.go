package engine

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/tool"
)

// How many rejected answers of a kind a run may have before it ends.
const (
	maxEmpty     = 1 // in a row
	maxMalformed = 1 // in a row
	maxOutput    = 2 // in a row
	maxCutCalls  = 1 // in the run
)

// rejection returns why a whole answer is of no use, or "".
func (r *run) rejection(stop StopReason, a *answer) agui.Rejection {
	switch {
	case stop == StopFiltered, stop == StopPause:
		return ""
	case stop == StopMalformed, stop == StopTools && len(a.calls) == 0:
		return agui.RejectedMalformed
	case stop == StopMaxTokens && len(a.calls) > 0:
		return agui.RejectedCall
	case len(a.calls) > 0:
		return ""
	case strings.TrimSpace(a.text()) == "":
		return agui.RejectedEmpty
	case len(r.c.Settings.Output) > 0 && !fits(r.c.Settings.Output, a.text()):
		return agui.RejectedOutput
	}
	return ""
}

// fits reports whether a text is JSON that fits the schema.
func fits(schema json.RawMessage, text string) bool {
	return json.Valid([]byte(text)) && tool.CheckResponse(schema, json.RawMessage(text)) == nil
}

// decide reports whether the last answer ends the run, by the marks of all answers of the run. The error ends the run
// as a failure. The marks are in the log, so a worker that continues the run decides the same.
func decide(marks []agui.Answer) (ended bool, err error) {
	if len(marks) == 0 {
		return false, nil
	}
	last := marks[len(marks)-1]
	inARow, cutCalls := 0, 0
	for _, m := range slices.Backward(marks) {
		if m.Rejected != last.Rejected {
			break
		}
		inARow++
	}
	for _, m := range marks {
		if m.Rejected == agui.RejectedCall {
			cutCalls++
		}
	}
	switch {
	case last.Rejected == agui.RejectedEmpty && inARow > maxEmpty:
		return false, &failure{code: CodeNoAnswer, cause: errors.New("two answers in a row were empty"),
			message: "The model gave no answer. Ask again, or put the question in other words."}
	case last.Rejected == agui.RejectedMalformed && inARow > maxMalformed:
		return false, modelFailed(errors.New("two answers in a row were malformed"))
	case last.Rejected == agui.RejectedOutput && inARow > maxOutput:
		return false, &failure{code: CodeBadOutput, cause: errors.New("three answers do not fit the output's schema"),
			message: "The model's answers did not have the form that this agent needs. Try again."}
	case last.Rejected == agui.RejectedCall && cutCalls > maxCutCalls:
		return false, &failure{code: CodeMaxTokens, cause: errors.New("two calls were cut at the output limit"),
			message: "The model wrote more than one answer can hold, twice. Ask for less at a time."}
	case last.Stop == string(StopFiltered):
		return true, nil
	}
	return last.Rejected == "" && last.Calls == 0 && last.Stop != string(StopPause), nil
}

// The results of calls that an answer contains and that must not be made.
const (
	cutCall      = "This call was cut off at the output limit and was not made. Send less in one call."
	filteredCall = "A content policy withheld the answer, so this call was not made."
)

// pendingCalls returns the calls of an answer with this mark. Calls that must not be made have their results.
func pendingCalls(mark agui.Answer, calls []agui.ToolCall) []PendingCall {
	pending := make([]PendingCall, len(calls))
	for i, c := range calls {
		pending[i] = PendingCall{Call: c, Result: forbidden(mark, i == len(calls)-1)}
	}
	return pending
}

// forbidden returns the result of a call that must not be made, or nil. last is true for the answer's last call.
func forbidden(mark agui.Answer, last bool) *tool.Result {
	switch {
	case mark.Stop == string(StopFiltered):
		return &tool.Result{Outcome: tool.NotCalled, Content: filteredCall}
	case mark.Rejected == agui.RejectedCall && last:
		return &tool.Result{Outcome: tool.NotCalled, Content: cutCall}
	}
	return nil
}

// UnfinishedCalls returns the calls of these ids, which a dead worker left without a result, for the worker that
// continues the run. log has the run's events of the calls' line.
func UnfinishedCalls(log []agui.Event, ids []string) (pending []PendingCall) {
	if len(ids) == 0 {
		return nil
	}
	var f agui.Folder
	var mark agui.Answer
	var last string
	for _, e := range log {
		f.Add(e)
		if a, ok := agui.AnswerOf(e); ok {
			mark = a
		}
		if e.Type == agui.ToolCallStart {
			last = e.ToolCallID
		}
	}
	for _, m := range f.Messages() {
		for _, c := range m.ToolCalls {
			if slices.Contains(ids, c.ID) {
				result := forbidden(mark, c.ID == last)
				pending = append(pending, PendingCall{Call: c, Result: result, MayHaveRun: result == nil})
			}
		}
	}
	return pending
}

// NudgeID is the id of the message that asks the model for another answer after a rejected one.
const NudgeID = chat.ServerPrefix + "nudge"

// nudge returns the message that asks the model for another answer after a rejected one, or none. It is derived from
// the marks and is not logged.
func nudge(marks []agui.Answer) []agui.Message {
	if len(marks) == 0 {
		return nil
	}
	var text string
	switch marks[len(marks)-1].Rejected {
	case agui.RejectedEmpty:
		text = "[Your last answer was empty. Answer the person now, or call a tool.]"
	case agui.RejectedOutput:
		text = "[Your last answer did not fit the required JSON Schema. Answer with JSON that fits it.]"
	default:
		return nil
	}
	return []agui.Message{{ID: NudgeID, Role: agui.RoleUser, Content: text}}
}

func toCall(c agui.ToolCall) tool.Call {
	return tool.Call{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments}
}

// about returns the metadata of a result, for clients. A successful result of an unedited call has none.
func about(result tool.Result, edited bool) json.RawMessage {
	marks := agui.Marks{Edited: edited, Outside: result.Outside}
	if result.Outcome != tool.OK {
		marks.Outcome = string(result.Outcome)
	}
	return marks.Metadata()
}

package tool

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/visible"
)

// Outcome classifies the end of a call.
type Outcome string

// The outcomes of a call. With every outcome except Asked the call has a result that the model reads.
const (
	OK           Outcome = "ok"
	Unknown      Outcome = "unknown"
	Denied       Outcome = "denied"
	BadArguments Outcome = "bad_arguments"
	Failed       Outcome = "failed"
	TimedOut     Outcome = "timeout"
	Panicked     Outcome = "panic"
	Stopped      Outcome = "stopped"         // the run ended or was cancelled during the call
	Asked        Outcome = "asked"           // the call interrupts the run for a question to a person; nothing was done
	Refused      Outcome = "refused"         // a person refused, or the question could not be shown to one
	UnknownCall  Outcome = "unknown_outcome" // a worker died during the call
	Limited      Outcome = "limit"           // the run has reached the tool's call limit
	NotCalled    Outcome = "not_called"      // the answer was cut off, or the run ended, before the call was made
)

// Call is one call as the model requested it. Arguments is JSON text, or "" for no arguments.
type Call struct {
	ID, Name, Arguments string

	Approved   bool // a person has approved the call
	Edited     bool // Arguments are the person's, not the model's
	MayHaveRun bool // a worker that died may have made the call

	Before func() Conversation // what the model had read before it requested the call; nil: it is not known

	// Progress receives the events about the call's progress, one at a time and none after the result; may be nil.
	Progress func(agui.Event)
}

// Result is the result of a call. The model and the person read its text.
type Result struct {
	Outcome  Outcome
	Content  string
	Question *Question // only with the outcome Asked
	Outside  bool      // Content holds text from outside of the deployment, which may try to instruct the model

	cut bool // Content is only the beginning of the handler's text
}

// ResponseResult makes the result of a call from a person's response, and cuts it if it is too long.
func ResponseResult(response string) Result {
	content, _ := bound(response, MaxResult)
	return Result{Outcome: OK, Content: content}
}

// Question is a question to a person. The engine turns it into an interrupt.
type Question struct {
	Reason  string // agui.ReasonToolCall or agui.ReasonInputRequired
	Message string
	Schema  json.RawMessage // of the response; nil if any input is accepted
}

// Bounds in bytes of a question to a person.
const (
	maxAsked   = 8 << 10 // a call's arguments; a schema
	maxMessage = 1000
)

// ask returns the result of a call that needs a person's response. It spells out the question's hidden characters. A
// question that is too long to be shown refuses the call.
func ask(c Call, q Question) Result {
	q.Message, q.Schema = visible.Text(q.Message), visible.JSON(q.Schema)
	if len(c.Arguments) > maxAsked || len(q.Message) > maxMessage || len(q.Schema) > maxAsked {
		return Result{Outcome: Refused, Content: fmt.Sprintf(
			"A person has to be asked about a call of %s, and this one is too long to be shown. "+
				"Its arguments may have %d bytes.", c.Name, maxAsked)}
	}
	return Result{Outcome: Asked, Question: &q}
}

// Decision is the record of one call, allowed or not. It never contains content. So it has no name of an unknown tool,
// because the model made that text up.
type Decision struct {
	Run           chat.RunID
	Call          string // its id
	Tool          string // "" if the deployment has no such tool
	Grant         string // the grant that the tool needs
	Outcome       Outcome
	Took          time.Duration
	ArgumentBytes int
	Edited        bool // a person edited the arguments
	Cut           bool // the result was cut
}

// MaxResult is the longest result of a tool in bytes of JSON, in which one byte of text may become six. It is the room
// that an event of 256 KB has beside its other fields. A longer result is cut and gets a marker, for the person and the
// model alike.
const MaxResult = 254 << 10

// bound makes a text valid UTF-8 and cuts it at so many bytes of JSON. A marker then states the full size.
func bound(text string, most int) (bounded string, cut bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	encoded := 0
	for at, c := range text {
		encoded += encodedLen(c)
		if encoded > most {
			head := chars.Head(text, at)
			return fmt.Sprintf("%s\n[cut: the result has %d bytes, these are the first %d]", head, len(text),
				len(head)), true
		}
	}
	return text, false
}

// encodedLen returns how many bytes encoding/json writes for a character. The log and frames do not escape HTML.
func encodedLen(c rune) int {
	switch {
	case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
		return 2
	case c < ' ', c == '\u2028', c == '\u2029':
		return 6
	}
	return utf8.RuneLen(c)
}

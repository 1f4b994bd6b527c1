package tool

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/visible"
)

// Outcome is what became of a call.
type Outcome string

// The outcomes of a call. Each but Asked has a result that the model reads.
const (
	OK           Outcome = "ok"
	Unknown      Outcome = "unknown"
	Denied       Outcome = "denied"
	BadArguments Outcome = "bad_arguments"
	Failed       Outcome = "failed"
	TimedOut     Outcome = "timeout"
	Panicked     Outcome = "panic"
	Stopped      Outcome = "stopped"         // the run ended or was cancelled meanwhile
	Asked        Outcome = "asked"           // nothing was done: a person is to be asked, and there is no result yet
	Refused      Outcome = "refused"         // by a person, or it could not be put to one
	UnknownCall  Outcome = "unknown_outcome" // a worker died with the call under way
	Limited      Outcome = "limit"           // the run has called this tool as often as it may
	NotCalled    Outcome = "not_called"      // the model's answer was cut off, or the run ended, before the call was made
)

// Call is one call as the model made it. Arguments is JSON text; "" means no arguments.
type Call struct {
	ID, Name, Arguments string

	Approved   bool // a person was asked and agreed
	Edited     bool // the person replaced the model's arguments by these
	MayHaveRun bool // it may have been made before, by a worker that died
}

// Result is the end of a call: text for the model and for the person who reads along.
type Result struct {
	Outcome  Outcome
	Content  string
	Question *Question // Asked only

	cut bool // Content is a part of what the handler said
}

// ResponseResult is the result of a call that a person's answer is, cut if it is too long.
func ResponseResult(answer string) Result {
	content, _ := bound(answer, MaxResult)
	return Result{Outcome: OK, Content: content}
}

// Question is what a person is to be asked.
type Question struct {
	Reason  string // agui.ReasonToolCall or agui.ReasonInputRequired
	Message string
	Schema  json.RawMessage // of the answer; nil only for input of any kind
}

// Bounds in bytes of what a person can be asked.
const (
	maxAsked   = 8 << 10 // a call's arguments; a schema
	maxMessage = 1000
)

// ask is the result of a call that a person is asked about, if it can be shown to one. It spells out the hidden characters of
// the question.
func ask(c Call, q Question) Result {
	q.Message, q.Schema = visible.Text(q.Message), visible.JSON(q.Schema)
	if len(c.Arguments) > maxAsked || len(q.Message) > maxMessage || len(q.Schema) > maxAsked {
		return Result{Outcome: Refused, Content: fmt.Sprintf(
			"A person has to be asked about a call of %s, and this one is too long to be shown. Its arguments may have %d bytes.", c.Name, maxAsked)}
	}
	return Result{Outcome: Asked, Question: &q}
}

// Decision is the record of one call, allowed or not. It never holds content: also the name of a tool that there is not is
// a text that the model made up.
type Decision struct {
	Run           chat.RunID
	Call          string // its id
	Tool          string // "": the deployment has no such tool
	Grant         string // that the tool needs
	Outcome       Outcome
	Took          time.Duration
	ArgumentBytes int
	Edited        bool // a person changed the arguments
	Cut           bool // its result was longer than it may be
}

// MaxResult is the longest result of a tool in bytes, as JSON, in which a byte may become six; a longer one is cut and says
// so. It is what an event of 256 KB has room for beside its names. What the person sees and the model reads is the same.
const MaxResult = 254 << 10

// bound makes a text fit for an event: valid UTF-8, and cut at so many bytes of JSON, with a marker that tells its size.
func bound(text string, most int) (bounded string, cut bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	encoded := 0
	for at, c := range text {
		encoded += encodedLen(c)
		if encoded > most {
			head := chars.Head(text, at)
			return fmt.Sprintf("%s\n[cut: the result has %d bytes, these are the first %d]", head, len(text), len(head)), true
		}
	}
	return text, false
}

// encodedLen is how many bytes encoding/json writes for a character, as log and frames have it: without escapes for HTML.
func encodedLen(c rune) int {
	switch {
	case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
		return 2
	case c < ' ', c == '\u2028', c == '\u2029':
		return 6
	}
	return utf8.RuneLen(c)
}

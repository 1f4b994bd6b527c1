package tool

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"carrel/shared/chat"
)

// Outcome is what became of a call.
type Outcome string

// The outcomes of a call. Each has a result that the model reads.
const (
	OK           Outcome = "ok"
	Unknown      Outcome = "unknown"
	Denied       Outcome = "denied"
	BadArguments Outcome = "bad_arguments"
	Failed       Outcome = "failed"
	TimedOut     Outcome = "timeout"
	Panicked     Outcome = "panic"
	Stopped      Outcome = "stopped" // the run ended or was cancelled meanwhile
)

// Result is the end of a call: text for the model and for the person who reads along.
type Result struct {
	Outcome Outcome
	Content string
}

// Decision is the record of one call, allowed or not. It never holds content.
type Decision struct {
	Run     chat.RunID
	Tool    string
	Outcome Outcome
}

// MaxResult is the longest result of a tool in bytes; a longer one is cut and says so.
const MaxResult = 64 << 10

// bound makes a handler's text fit for an event: valid UTF-8, and cut with a marker that tells its size.
func bound(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= MaxResult {
		return text
	}
	end := MaxResult
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s\n[cut: the result has %d bytes, these are the first %d]", text[:end], len(text), end)
}

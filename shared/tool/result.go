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

// maxEncoded bounds a result's size as JSON, where one byte may become six: an event must not outgrow its record.
const maxEncoded = 3 * MaxResult

// bound makes a text fit for an event: valid UTF-8, and cut with a marker that tells its size.
func bound(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	encoded := 0
	for at, c := range text {
		encoded += encodedLen(c)
		if at+utf8.RuneLen(c) > MaxResult || encoded > maxEncoded {
			return fmt.Sprintf("%s\n[cut: the result has %d bytes, these are the first %d]", text[:at], len(text), at)
		}
	}
	return text
}

// encodedLen is how many bytes encoding/json writes for a character.
func encodedLen(c rune) int {
	switch {
	case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
		return 2
	case c < ' ', c == '<', c == '>', c == '&', c == '\u2028', c == '\u2029':
		return 6
	}
	return utf8.RuneLen(c)
}

package answer

import (
	"regexp"
	"strings"
)

// Surrogates joins characters that a server split into the two halves of JavaScript's strings. Such a server ends a
// text with "\ud83d" and begins the next one with "\ude42". Neither is a character, and a JSON decoder would replace
// both.
type Surrogates struct{ held string }

// Join returns the JSON of an event without the first half of a character at the end of a text. It adds that half to
// the beginning of the text that continues it.
func (s *Surrogates) Join(event string) string {
	if !strings.Contains(event, `\ud`) && !strings.Contains(event, `\uD`) {
		return event
	}
	if s.held != "" {
		second := regexp.MustCompile(`"(\\u[dD][c-fC-F][0-9a-fA-F]{2})`)
		if at := second.FindStringIndex(event); at != nil {
			event = event[:at[0]+1] + s.held + event[at[0]+1:]
			s.held = ""
		}
	}
	first := regexp.MustCompile(`(?:^|[^\\])(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})"`)
	if at := first.FindStringSubmatchIndex(event); at != nil {
		s.held = event[at[2]:at[3]]
		event = event[:at[2]] + event[at[3]:]
	}
	return event
}

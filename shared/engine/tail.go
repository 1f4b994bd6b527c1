package engine

import (
	"strings"
	"unicode/utf8"
)

// tail holds back the first bytes of a character that continues in the next delta. Models stream bytes, but events are
// JSON, which has only whole characters.
type tail string

// add returns the whole characters of the held-back bytes and s. A byte that can never be part of a character becomes
// U+FFFD, so that the log, the person, the model and the tool have the same text.
func (t *tail) add(s string) string {
	s = string(*t) + s
	whole := len(s)
	for at := max(0, whole-utf8.UTFMax+1); at < len(s); at++ {
		if utf8.RuneStart(s[at]) && !utf8.FullRuneInString(s[at:]) {
			whole = at
			break
		}
	}
	*t = tail(strings.Clone(s[whole:]))
	return valid(s[:whole])
}

// rest returns the held-back bytes as characters. It is called at the end of a text.
func (t *tail) rest() string {
	s := string(*t)
	*t = ""
	return valid(s)
}

// valid replaces each byte that is not part of a character by U+FFFD. The result does not depend on how a text is split
// into deltas.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

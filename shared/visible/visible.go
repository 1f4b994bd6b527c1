// Package visible spells out the characters that a person cannot see, and those that reorder text or control a
// terminal. A zero width space becomes [U+200B], so a person can see what they decide about. Joiners and variation
// selectors stay where they have an effect: in the scripts that need them and in emoji. web/client/src/visible.ts does
// the same in TypeScript, and both run testdata/cases.json.
package visible

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is a text of several lines, such as a model's or a tool's: its line feeds and tabs stay.
func Text(s string) string { return render(s, false) }

// Line is a text that has to stand on one line, such as a title or a choice: nothing in it breaks the line.
func Line(s string) string { return render(s, true) }

func render(s string, oneLine bool) string {
	var b strings.Builder
	for c, hides := range characters(s) {
		if hides || oneLine && breaks(c) {
			b.WriteString(spell(c))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// Hidden returns the first character that Line would spell out.
func Hidden(s string) (c rune, there bool) {
	for c, hides := range characters(s) {
		if hides || breaks(c) {
			return c, true
		}
	}
	return 0, false
}

// StripHidden is a text without its hidden characters, to compare it by. It is not for showing: a person would not
// learn of them.
func StripHidden(s string) string {
	var b strings.Builder
	for c, hides := range characters(s) {
		if !hides {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// JSON is the same JSON value, with the hidden characters of its strings written as escapes.
func JSON(text []byte) []byte {
	var b []byte
	for c, hides := range characters(string(text)) {
		switch {
		case !hides || c == '\r': // which stands between values only, as no string of JSON has one
			b = utf8.AppendRune(b, c)
		case c > 0xFFFF:
			first, second := utf16.EncodeRune(c)
			b = fmt.Appendf(b, `\u%04x\u%04x`, first, second)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return b
}

func breaks(c rune) bool { return c == '\n' || c == '\t' }

// characters are those of a text, and whether each is hidden. A byte that is no UTF-8 is U+FFFD, which a person sees.
func characters(s string) iter.Seq2[rune, bool] {
	return func(yield func(rune, bool) bool) {
		var t tracker
		for len(s) > 0 {
			c, width := utf8.DecodeRuneInString(s)
			s = s[width:]
			next := rune(0)
			if len(s) > 0 {
				next, _ = utf8.DecodeRuneInString(s)
			}
			if !yield(c, t.hides(c, next)) {
				return
			}
		}
	}
}

// spell writes a character as its number.
func spell(c rune) string { return fmt.Sprintf("[U+%04X]", c) }

// tracker finds the hidden characters of a text, one character at a time. The zero value starts a text.
type tracker struct {
	base   rune // the last character that joiners and selectors would act on
	direct bool // nothing stands between it and the next character
	joiner bool // the last character was a joiner
}

// Characters whose neighbours decide whether they are hidden.
const (
	nonJoiner    = '\u200C'
	joiner       = '\u200D'
	textStyle    = '\uFE0E'
	emojiStyle   = '\uFE0F'
	keycap       = '\u20E3'
	firstSkin    = '\U0001F3FB'
	lastSkin     = '\U0001F3FF'
	firstVariant = '\uFE00'
)

// contextual reports whether the next character decides whether this one is hidden.
func contextual(c rune) bool { return c == joiner || c == nonJoiner || c == emojiStyle }

// hides takes the next character of the text, and the one behind it (0: none), and reports whether it is hidden.
func (t *tracker) hides(c, next rune) bool {
	switch {
	case !in(c, hidden()):
		if !(firstSkin <= c && c <= lastSkin && in(t.base, pictures())) { // a skin tone belongs to its picture
			t.base = c
		}
		t.direct, t.joiner = t.base == c, false
		return false
	case c == joiner || c == nonJoiner:
		shown := !t.joiner && joins(c, t.base, next)
		t.direct, t.joiner = false, true
		if !shown {
			t.base = 0
		}
		return !shown
	}
	shown := t.direct && selects(c, t.base, next)
	if !shown {
		t.base = 0
	}
	t.direct, t.joiner = false, false
	return !shown
}

// joins reports whether a joiner has an effect between two characters.
func joins(c, base, next rune) bool {
	switch {
	case in(base, viramas()):
		return true
	case in(next, viramas()) && c == joiner:
		return base >= 0x0900 && base < 0x2000 || base >= 0xA800 && base < 0xAC00 || base >= 0x11000 && base < 0x12000
	case c == nonJoiner:
		return in(base, joining()) && in(next, joining())
	case in(base, pictures()):
		return in(next, pictures())
	}
	return in(base, joining()) || in(next, joining())
}

// selects reports whether a variation selector has an effect on a character.
func selects(c, base, next rune) bool {
	switch {
	case c == textStyle:
		return in(base, pictures())
	case c == emojiStyle:
		digit := '0' <= base && base <= '9' || base == '#' || base == '*'
		return in(base, pictures()) || digit && next == keycap
	case c >= 0xE0100 && c <= 0xE01EF || c > firstVariant && c <= firstVariant+2:
		return in(base, ideographs())
	case c == firstVariant:
		return in(base, ideographs()) || in(base, variants())
	case c >= 0x180B && c <= 0x180F && c != 0x180E:
		return base >= 0x1820 && base <= 0x18AA
	}
	return false
}

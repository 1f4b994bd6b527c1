// Package chars measures and cuts texts by grapheme clusters. A grapheme cluster is one character to a reader, such as
// a letter with its combining marks, a flag, or a family emoji.
package chars

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// longest is the length of the longest cluster, in bytes, that Head does not split. Clusters have no maximum length.
const longest = 256

// Head returns the longest beginning of s that has at most most bytes and ends between two grapheme clusters. It splits
// only a cluster of more than 256 bytes, and then between two code points.
func Head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	at := boundary(s, most)
	for clusters := graphemes.FromString(s[at:]); clusters.Next(); {
		next := at + len(clusters.Value())
		if next > most {
			break
		}
		at = next
	}
	if most-at > longest {
		for at = most; at > most-utf8.UTFMax && !utf8.RuneStart(s[at]); at-- {
		}
	}
	return s[:at]
}

// HeadPoints is Head with a bound in code points, in which Carrel's limit of titles and JSON Schema count.
func HeadPoints(s string, most int) string {
	for at := range s {
		if most == 0 {
			return Head(s, at)
		}
		most--
	}
	return s
}

// boundary returns the last index at or before most that is certainly between two clusters: between two ASCII
// characters that are not a line end. If there is none, it returns 0.
func boundary(s string, most int) int {
	for at := most; at > 0; at-- {
		if s[at] < utf8.RuneSelf && s[at-1] < utf8.RuneSelf && s[at] != '\n' {
			return at
		}
	}
	return 0
}

// Blank reports whether s shows nothing to a reader: it has only white space, control characters, and characters
// without an appearance in Unicode. Model providers reject such a message, and every later request of its thread.
func Blank(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsSpace(c) && !unicode.Is(unicode.Cc, c) && !ignorable(c)
	})
}

// ignorable reports whether c has Unicode's property Default_Ignorable_Code_Point, as DerivedCoreProperties.txt derives
// it.
func ignorable(c rune) bool {
	if unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return true
	}
	annotation := c >= 0xfff9 && c <= 0xfffb
	hieroglyph := c >= 0x13430 && c <= 0x13440
	return unicode.Is(unicode.Cf, c) && !annotation && !hieroglyph &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, c)
}

// Package chars measures and cuts texts in what a reader takes for characters: grapheme clusters, such as a letter with
// its combining marks, a flag, or a family emoji.
package chars

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// longest is the most bytes of a cluster that Head keeps together. A text may have one of any length.
const longest = 256

// Head returns the longest beginning of s, of at most so many bytes, that ends between two grapheme clusters. Only a
// cluster of more than 256 bytes is cut, and then between two code points.
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

// HeadPoints is Head with a number of code points, which is how Carrel's limits of titles and JSON Schema count.
func HeadPoints(s string, most int) string {
	for at := range s {
		if most == 0 {
			return Head(s, at)
		}
		most--
	}
	return s
}

// boundary is the last place at or before most that certainly is between two clusters: between two ASCII characters,
// unless they are a line end. Without one it is the beginning.
func boundary(s string, most int) int {
	for at := most; at > 0; at-- {
		if s[at] < utf8.RuneSelf && s[at-1] < utf8.RuneSelf && s[at] != '\n' {
			return at
		}
	}
	return 0
}

// Blank reports whether a reader sees nothing of s: it has only white space, control characters, and characters that
// Unicode gives no appearance. Model providers refuse such a message, with every later request of its thread.
func Blank(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsSpace(c) && !unicode.Is(unicode.Cc, c) && !ignorable(c)
	})
}

// ignorable reports whether c has Unicode's property Default_Ignorable_Code_Point, as it is derived in
// DerivedCoreProperties.txt.
func ignorable(c rune) bool {
	if unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return true
	}
	annotation := c >= 0xfff9 && c <= 0xfffb
	hieroglyph := c >= 0x13430 && c <= 0x13440
	return unicode.Is(unicode.Cf, c) && !annotation && !hieroglyph && !unicode.Is(unicode.Prepended_Concatenation_Mark, c)
}

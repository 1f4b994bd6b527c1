// Package sametext compares texts as a person sees them: two that look equal are equal, however they are encoded.
package sametext

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"carrel/shared/visible"
)

// Equal reports whether two texts look equal to a person. It takes no notice of how letters with marks are composed, of
// characters that nobody sees, and of how much white space stands where. Case counts.
func Equal(a, b string) bool { return Key(a) == Key(b) }

// Key is what texts that look equal have in common, for sets and maps.
func Key(s string) string {
	return norm.NFC.String(strings.Join(strings.Fields(visible.Without(s)), " "))
}

// Fold is the key of a text with its case taken away, for searches that ask for words in any case.
func Fold(s string) string {
	return norm.NFC.String(strings.ToLower(norm.NFD.String(Key(s))))
}

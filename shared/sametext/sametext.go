// Package sametext compares texts as a person sees them: two that look equal are equal, however they are encoded.
package sametext

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"carrel/shared/visible"
)

// Equal reports whether two texts look equal to a person. It ignores the composition of letters with marks, hidden
// characters and the amount of white space. Case counts.
func Equal(a, b string) bool { return Key(a) == Key(b) }

// Key returns the same string for all texts that look equal. Use it in sets and maps.
func Key(s string) string {
	return norm.NFC.String(strings.Join(strings.Fields(visible.StripHidden(s)), " "))
}

// Fold is Key without case. Use it in searches.
func Fold(s string) string {
	return norm.NFC.String(strings.ToLower(norm.NFD.String(Key(s))))
}

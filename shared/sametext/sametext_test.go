package sametext_test

import (
	"testing"

	"carrel/shared/sametext"
)

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Zoë", "Zoe\u0308", true},
		{"Å", "\u212B", true}, // the sign of the unit is the letter
		{"한", "\u1112\u1161\u11AB", true},
		{"Bob", "Bob\u200b", true},
		{"Bob", "B\u2060ob\ufeff", true},
		{" a  b\u00a0c ", "a b c", true},
		{"❤️", "❤\ufe0f\ufe0f", true},
		{"", " \u200b", true},
		{"Zoë", "Zoe", false},
		{"bob", "Bob", false},
		{"ab", "a b", false},
		{"می\u200cخواهم", "میخواهم", false}, // the non-joiner is seen there
		{"ﬁ", "fi", false},
	} {
		if got := sametext.Equal(c.a, c.b); got != c.want || got != sametext.Equal(c.b, c.a) {
			t.Errorf("%+q and %+q look equal: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range [][2]string{{"ÄNNCHEN", "a\u0308nnchen"}, {"ΣΟΦΙΑ", "σοφια"}, {"Zoë\u200b", "ZOË"}} {
		if sametext.Fold(c[0]) != sametext.Fold(c[1]) {
			t.Errorf("%+q and %+q differ: %+q, %+q", c[0], c[1], sametext.Fold(c[0]), sametext.Fold(c[1]))
		}
	}
}

package visible_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"carrel/shared/visible"
)

// data is testdata/cases.json, which web/client/test/visible.test.ts runs too.
type data struct {
	Hidden string
	Cases  []struct {
		Name, Text, Visible string
		Line                *string
	}
}

func read(t *testing.T) (d data) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Cases) < 40 {
		t.Fatalf("testdata/cases.json has %d cases: %v", len(d.Cases), err)
	}
	return d
}

func TestCases(t *testing.T) {
	for _, c := range read(t).Cases {
		line := c.Visible
		if c.Line != nil {
			line = *c.Line
		}
		if got := visible.Text(c.Text); got != c.Visible {
			t.Errorf("%s: %q is shown as %q, want %q", c.Name, c.Text, got, c.Visible)
		}
		if got := visible.Line(c.Text); got != line {
			t.Errorf("%s: %q is shown on one line as %q, want %q", c.Name, c.Text, got, line)
		}
		if r, hidden := visible.Hidden(c.Text); hidden != (line != c.Text) || hidden &&
			!strings.ContainsRune(c.Text, r) {
			t.Errorf("%s: Hidden(%q) returned %U, %v", c.Name, c.Text, r, hidden)
		}
		quoted, err := json.Marshal(c.Text)
		if err != nil {
			t.Fatal(err)
		}
		var same string
		escaped := visible.JSON([]byte("{\n\t\r\"a\": " + string(quoted) + "}"))
		if err := json.Unmarshal(visible.JSON(quoted), &same); err != nil || same != c.Text {
			t.Errorf("%s: the JSON became another: %s, %v", c.Name, escaped, err)
		}
		if shown := visible.Text(strings.ReplaceAll(string(escaped), "\r",
			"")); shown != strings.ReplaceAll(string(escaped), "\r", "") {
			t.Errorf("%s: the JSON still hides something: %q", c.Name, shown)
		}
	}
}

// TestWriter_Pieces: pieces of any size give the same output as one write.
func TestWriter_Pieces(t *testing.T) {
	for _, c := range read(t).Cases {
		for size := 1; size <= 5; size++ {
			var out strings.Builder
			w := visible.NewWriter(&out)
			for at := 0; at < len(c.Text); at += size {
				piece := c.Text[at:min(at+size, len(c.Text))]
				if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("%s: wrote %d of %d bytes: %v", c.Name, n, len(piece), err)
				}
			}
			if err := w.Flush(); err != nil || out.String() != c.Visible {
				t.Errorf("%s in pieces of %d: %q, %v; want %q", c.Name, size, &out, err, c.Visible)
			}
		}
	}
	var out strings.Builder
	w := visible.NewWriter(&out)
	_, err := w.Write([]byte("a\u200d"))
	if err2 := w.Raw("\x1b[2m"); err != nil || err2 != nil || out.String() != "a[U+200D]\x1b[2m" {
		t.Errorf("before a raw text: %q, %v, %v", &out, err, err2)
	}
}

// TestHidden_EveryCharacter: the hidden characters are exactly those of the shared list, and include every character
// that Unicode calls invisible or bidirectional.
func TestHidden_EveryCharacter(t *testing.T) {
	want := map[rune]bool{}
	for _, span := range strings.Fields(read(t).Hidden) {
		first, last, more := strings.Cut(span, "-")
		if !more {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 16, 32)
		to, err2 := strconv.ParseUint(last, 16, 32)
		if err1 != nil || err2 != nil {
			t.Fatal(span)
		}
		for c := from; c <= to; c++ {
			want[rune(c)] = true
		}
	}
	for c := rune(0); c <= unicode.MaxRune; c++ {
		if !utf8.ValidRune(c) {
			continue
		}
		_, hidden := visible.Hidden("a" + string(c) + "b")
		if isBreak := c == '\n' || c == '\t'; hidden != (want[c] || isBreak) {
			t.Errorf("%U is hidden: %v, want %v", c, hidden, want[c])
		}
		must := unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Join_Control)
		if must && !hidden {
			t.Errorf("%U cannot be seen and is not spelled out", c)
		}
	}
}

// FuzzText: the output hides nothing, and rendering it again does not change it.
func FuzzText(f *testing.F) {
	for _, s := range []string{"a\u200db", "👩\u200d🚀", "क्\u200dष", "\xff\x1b", "1\ufe0f\u20e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := visible.Text(s)
		if again := visible.Text(shown); again != shown {
			t.Errorf("%q is shown as %q, and that as %q", s, shown, again)
		}
		if c, hidden := visible.Hidden(visible.Line(s)); hidden {
			t.Errorf("%q on one line hides %U", s, c)
		}
		for _, c := range shown {
			if unicode.In(c, unicode.Bidi_Control) || unicode.IsControl(c) && c != '\n' && c != '\t' {
				t.Errorf("%q is shown with %U", s, c)
			}
		}
	})
}

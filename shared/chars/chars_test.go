package chars_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"

	"carrel/shared/chars"
)

const family, flag, e = "👨‍👩‍👧‍👦", "🇩🇪", "e\u0301"

func TestHead(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"abc", 3, "abc"},
		{"abc", 2, "ab"},
		{"abc", 0, ""},
		{"aé", 2, "a"},
		{"a" + e, 2, "a"},
		{"a" + e, 3, "a"},
		{e + "b", 3, e},
		{"a" + family + "b", 25, "a"},
		{"a" + family + "b", 26, "a" + family},
		{flag + flag, 12, flag},
		{flag + flag + flag, 20, flag + flag},
		{"a\r\nb", 2, "a"},
		{"a\r\nb", 3, "a\r\n"},
		{"\u0600a", 2, ""}, // an Arabic number sign stands with what follows
		{"ab" + strings.Repeat("\u0301", 500), 700, "ab" + strings.Repeat("\u0301", 349)},
		{strings.Repeat("\x80", 500), 300, strings.Repeat("\x80", 300)},
	} {
		if got := chars.Head(c.text, c.most); got != c.want {
			t.Errorf("Head(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"äöü", 2, "äö"}, {"äöü", 3, "äöü"}, {"a" + e, 2, "a"}, {"a" + family, 5, "a"}, {"abc", 0, ""}} {
		if got := chars.HeadPoints(c.text, c.most); got != c.want {
			t.Errorf("HeadPoints(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

// Random texts of difficult characters are cut at each byte. The cut is always the last cluster boundary of the whole
// text.
func TestHead_Random(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	parts := []string{"a", "b ", "\r", "\n", "é", e, family, flag, "🇩", "\u200d", "👍🏽", "한", "ᄒ", "ᅡ", "ᆫ", "क्षि",
		"\u0600", "\ufe0f", "漢字"}
	for range 300 {
		var b strings.Builder
		for range 1 + rng.IntN(12) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		text, ends := b.String(), map[int]bool{0: true}
		at := 0
		for clusters := graphemes.FromString(text); clusters.Next(); {
			at += len(clusters.Value())
			ends[at] = true
		}
		for most := range len(text) + 1 {
			want := most
			for !ends[want] {
				want--
			}
			if got := chars.Head(text, most); len(got) != want {
				t.Errorf("SEED=%d: Head(%q, %d) has %d bytes, want %d", seed, text, most, len(got), want)
			}
		}
	}
}

// A long text without ASCII, and a text that is one cluster, are cut quickly.
func TestHead_Long(t *testing.T) {
	for _, unit := range []string{"漢", "🇩🇪", "\u0301", "a"} {
		text := strings.Repeat(unit, 400_000/len(unit))
		start := time.Now()
		got := chars.Head(text, 254<<10)
		if took := time.Since(start); len(got) < 254<<10-8 || !utf8.ValidString(got) || took > 2*time.Second {
			t.Errorf("%q: %d bytes in %v", unit, len(got), took)
		}
	}
}

func TestBlank(t *testing.T) {
	for _, blank := range []string{
		"", " ", "\r\n\t", "\u00a0", "\u3000", "\u2028\u2029", "\u0085", "\u200b", "\ufeff", "\u2060", "\u00ad",
		"\u200d", "\ufe0f",
		"\u3164", "\u115f", "\u180e", "\U000e0041", "\u202e", "\x00", "\x1b",
	} {
		if !chars.Blank(blank) || !chars.Blank(" "+blank+"\n") {
			t.Errorf("%+q is not blank", blank)
		}
		if chars.Blank(blank + "x" + blank) {
			t.Errorf("%+q with a letter is blank", blank)
		}
	}
	for _, seen := range []string{".", "\u0301", "\u0600", "\ufff9", "\U00013430", "\ufffd", "🇩", "\u2800",
		fmt.Sprint(0)} {
		if chars.Blank(seen) {
			t.Errorf("%+q is blank", seen)
		}
	}
}

package arch_test

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// construction is a way of writing that readers did not understand at once.
type construction struct {
	name   string
	match  *regexp.Regexp
	unless *regexp.Regexp // the text after the match is of a use that is clear
}

func constructions() []construction {
	none := regexp.MustCompile(`^$.`)
	return []construction{
		{`told, tells: return, report, notify`, regexp.MustCompile(`\b(?:told|tells?)\b`), none},
		{`who as a subject`,
			regexp.MustCompile(`(?:^|[.,:;(] ?)\b(?:[Ww]ho|[Ww]hoever)\b |\bwhoever\b|\bfor who\b|\bof who\b`),
			regexp.MustCompile(`^(?:is|was|are) (?:signed|logged)`)},
		{`nobody, somebody, anybody`, regexp.MustCompile(`\b(?:nobody|somebody|anybody)\b`), none},
		{`what … as a noun`,
			regexp.MustCompile(`\bwhat (?:is|was|it|waits|came|comes|wait|stands|has|had|may|must)\b`), none},
		{`is no, are no`,
			regexp.MustCompile(`\b(?:is|are|was) no `), regexp.MustCompile(`^(?:longer|more|less|later|[^a-z])`)},
		{`one that, those that, that of`, regexp.MustCompile(`\b(?:one that|those that|that of)\b`), none},
		{`anew, meanwhile, by itself, as far as`,
			regexp.MustCompile(`\b(?:anew|meanwhile|by itself|as far as)\b`), none},
		{`is past, is gone, is over`, regexp.MustCompile(`\b(?:is|are|was|were) (?:past|gone|over)\b`), none},
		{`another's, of mine, of theirs`, regexp.MustCompile(`\banother's\b|\bof (?:mine|theirs|ours|yours)\b`), none},
	}
}

// proseRule finds these constructions in documents, and in comments, strings and test names of code.
func proseRule(tr tree) findings {
	f := findings{map[string][]string{}, map[string]int{}}
	written := []string{".go", ".ts", ".tsx", ".mjs", ".md", ".yaml", ".sh"}
	all, read := constructions(), newReader()
	err := fs.WalkDir(tr.fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains(written, path.Ext(p)) && d.Name() != "Makefile":
			return nil
		}
		text, err := fs.ReadFile(tr.fsys, p)
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			for _, s := range read.prose(p, strings.TrimRight(line, "\n")) {
				f.words[path.Dir(p)] += len(strings.Fields(s))
				for _, c := range all {
					for range c.count(s) {
						place := fmt.Sprintf("%s:%d [%s] %s", p, n, c.name, strings.TrimSpace(s))
						f.places[path.Dir(p)] = append(f.places[path.Dir(p)], place)
					}
				}
			}
		}
		return err
	})
	if err != nil {
		f.places["."] = append(f.places["."], err.Error())
	}
	return f
}

func (c construction) count(s string) (n int) {
	for _, at := range c.match.FindAllStringIndex(s, -1) {
		if !c.unless.MatchString(s[at[1]:]) {
			n++
		}
	}
	return n
}

// reader finds the prose of a line.
type reader struct{ comment, text, test, capital *regexp.Regexp }

func newReader() reader {
	return reader{
		comment: regexp.MustCompile(`(?:^|\s)(?://|#|\*)\s?(.*)$`), text: regexp.MustCompile(`"((?:[^"\\]|\\.){14,})"`),
		test: regexp.MustCompile(`^func Test(\w+)`), capital: regexp.MustCompile(`[A-Z]`),
	}
}

// prose returns the parts of a line that a person reads: comments, strings of several words, and names of tests.
func (r reader) prose(name, line string) (parts []string) {
	if path.Ext(name) == ".md" {
		return []string{line}
	}
	if m := r.comment.FindStringSubmatch(line); m != nil {
		parts = append(parts, m[1])
	}
	if strings.Contains(line, `"`) {
		for _, m := range r.text.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], " ") {
				parts = append(parts, m[1])
			}
		}
	}
	if m := r.test.FindStringSubmatch(line); m != nil {
		words := r.capital.ReplaceAllString(m[1], " $0")
		parts = append(parts, strings.ToLower(strings.TrimSpace(words)))
	}
	return parts
}

func TestRatchet_Prose(t *testing.T) {
	// The constructions stand in capitals, so that this file has none itself.
	for text, want := range map[string]int{
		"// The user is TOLD WHAT IS new, by WHOEVER came.\npackage a\n": 3,
		"package a\nvar x = errors.New(\"the lease IS OVER\")\n":         1,
		"package a\n// There IS NO user, and ONE THAT is NO longer.\n":   2,
		"package a\n// WHO IS signed in may read.\nvar none = 1\n":       0,
	} {
		if got := proseRule(planted(t, "-- a/a.go --\n"+strings.ToLower(text))).places["a"]; len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
	got := newReader().prose("a_test.go", "func TestUserSees(t *testing.T) {")
	if !slices.Contains(got, "user sees") {
		t.Errorf("a test name is read as %q", got)
	}
}

// maxColumns is the width of a line of Go, with a tab as four columns.
const maxColumns = 120

func widthRule(tr tree) findings {
	f := findings{places: map[string][]string{}}
	for _, file := range tr.files {
		n := 0
		for line := range strings.Lines(file.text) {
			n++
			line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
			if w := utf8.RuneCountInString(line); w > maxColumns {
				place := fmt.Sprintf("%s:%d has %d columns", file.path, n, w)
				f.places[file.dir()] = append(f.places[file.dir()], place)
			}
		}
	}
	return f
}

func TestRatchet_Width(t *testing.T) {
	line := "// " + strings.Repeat("é", maxColumns-3)
	for text, want := range map[string]int{
		line: 0, line + "x": 1, "\t" + line[:len(line)-8]: 0, "\t" + line[:len(line)-6]: 1,
	} {
		if got := widthRule(planted(t, "-- a/a.go --\n"+text+"\npackage a\n")).places["a"]; len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
}

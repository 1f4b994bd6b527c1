package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// terminal is how a table is shown.
type terminal struct {
	colours bool
	width   int
}

// terminalOf shows colours on a terminal only, and as wide as COLUMNS says.
func terminalOf(f *os.File) terminal {
	t := terminal{width: 100}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		t.colours = os.Getenv("NO_COLOR") == ""
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 60 {
		t.width = min(n, 140)
	}
	return t
}

func (t terminal) paint(colour int, text string) string {
	if !t.colours {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}

const (
	bold  = 1
	faint = 2
	red   = 31
	green = 32
)

// mark says passed or failed in as many columns either way.
func (t terminal) mark(ok bool) string {
	if ok {
		return t.paint(green, "pass")
	}
	return t.paint(red, "FAIL")
}

// print writes the scorecard: the scores, a line for each row with its figures, and what did not pass.
func (r *report) print(w io.Writer, t terminal) {
	e := r.Environment
	fmt.Fprintf(w, "\n%s  %s, commit %s%s, %s, %s, %.0f s\n\n", t.paint(bold, "Isolation audit"), e.Size, e.Commit, e.dirty(), e.Go, e.Machine, e.Seconds)
	fmt.Fprintf(w, "  %-30s %8s %6s %12s %10s\n", "component", "the seed", "here", "checks", "rows")
	for _, c := range r.Components {
		fmt.Fprintf(w, "  %-30s %8s %s %12s %10s\n", c.Name, c.seedScore(), t.score(c.Score), fmt.Sprintf("%d of %d", c.Passed, c.Of),
			fmt.Sprintf("%d of %d", c.Rows-c.Red, c.Rows))
	}
	fmt.Fprintf(w, "  %-30s %8d %s   the lowest of them\n", "overall", r.Seed, t.score(r.Overall))
	for _, c := range r.Components {
		fmt.Fprintf(w, "\n%s\n", t.paint(bold, c.Letter+"  "+c.Name))
		for _, l := range r.Rows {
			if strings.HasPrefix(l.ID, c.Letter) {
				l.print(w, t)
			}
		}
	}
	r.printLocks(w, t)
	if e.Size == quick {
		fmt.Fprintf(w, "\n%s\n", "The guards were not taken away (QUICK=1): that each row can go red is shown by make audit.\nSo are the checks that this size leaves out; the page names them.")
	}
}

func (t terminal) score(n int) string {
	text := fmt.Sprintf("%6d", n)
	if n == 100 {
		return t.paint(green, text)
	}
	return t.paint(red, text)
}

func (c scored) seedScore() string {
	if c.Seed == 0 {
		return "—"
	}
	return strconv.Itoa(c.Seed)
}

func (e environment) dirty() string {
	if e.Changed {
		return " with changes"
	}
	return ""
}

// print writes a row. Its claim and its figures wrap beside its name and its verdict.
func (l line) print(w io.Writer, t terminal) {
	const indent = 10
	for i, text := range wrap(l.Claim, t.width-indent) {
		if i == 0 {
			fmt.Fprintf(w, "%s %s  %s\n", l.ID, t.mark(l.Passed), text)
			continue
		}
		fmt.Fprintf(w, "%*s%s\n", indent-1, "", text)
	}
	for _, c := range l.Checks {
		sign, text := "·", strings.Join(c.Figures, "; ")
		if text == "" {
			text = c.Shows
		}
		if c.Verdict != passed {
			sign, text = "✗", fmt.Sprintf("%s %s (%s): %s", c.Verdict, c.Test, c.Shows, c.Why)
		}
		for i, text := range wrap(text, t.width-indent-2) {
			if i > 0 {
				sign = " "
			}
			colour := faint
			if c.Verdict != passed {
				colour = red
			}
			fmt.Fprintf(w, "%*s%s\n", indent-1, "", t.paint(colour, sign+" "+text))
		}
	}
}

func (r *report) printLocks(w io.Writer, t terminal) {
	if len(r.Locks) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", t.paint(bold, "Each lock alone"))
	for _, k := range r.Locks {
		text := fmt.Sprintf("%s. %s; off: %s; %s", k.Lock, k.Tried, k.Off, k.Stopped)
		for i, line := range wrap(text, t.width-4) {
			fmt.Fprintf(w, "  %s%s\n", strings.Repeat(" ", 2*min(i, 1)), line)
		}
	}
}

// wrap breaks a text into lines of at most so many characters; a longer word stands alone.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

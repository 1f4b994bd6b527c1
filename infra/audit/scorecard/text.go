package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// excerptLines is how much of what a check said is shown when it did not pass.
const excerptLines = 30

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// excerpt is the beginning of what a test and its subtests said, and the end.
func excerpt(seen []*observation) string {
	var lines []string
	for _, s := range seen {
		if len(s.said) > 0 && s.status != "pass" {
			_, name, _ := strings.Cut(s.name, " ")
			lines = append(lines, name+":")
			lines = append(lines, s.said...)
		}
	}
	if n := len(lines) - excerptLines; n > 0 {
		lines = slices.Concat(lines[:excerptLines/2], []string{fmt.Sprintf("… %d lines …", n)}, lines[len(lines)-excerptLines/2:])
	}
	for i, l := range lines {
		lines[i] = short(l, 400)
	}
	return strings.Join(lines, "\n")
}

// firstComplaint is the first line that a test wrote with its place, without the place.
func firstComplaint(seen []*observation) string {
	place := regexp.MustCompile(`^\s*\w+\.go:\d+: `)
	for _, s := range seen {
		if s.status == "pass" {
			continue
		}
		for _, l := range s.said {
			if at := place.FindStringIndex(l); at != nil && !strings.Contains(strings.ToLower(l), "seed") { // which is told first
				return short(l[at[1]:], 300)
			}
		}
	}
	return "it failed"
}

// reason is why a process of tests ended early: its panic, or the end of what no test said.
func reason(out, loose string) string {
	if m := regexp.MustCompile(`(?m)^.{0,2}((panic|fatal error|signal): .*)$`).FindStringSubmatch(out); m != nil {
		return m[1]
	}
	return tail(loose)
}

// tail is the end of a text in one line.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], " ⏎ ")
}

// short is a text of at most so many characters.
func short(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

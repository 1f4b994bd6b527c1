package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	texttemplate "text/template"
)

//go:embed page.html.tmpl
var pageTemplate string

//go:embed page.md.tmpl
var markdownTemplate string

// write writes audit.json, audit.md and audit.html to a folder.
func (r *report) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	markdown, err := r.markdown()
	if err != nil {
		return err
	}
	page, err := r.html()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"audit.json": string(data) + "\n", "audit.md": markdown, "audit.html": page} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// html is a page that needs nothing but itself.
func (r *report) html() (string, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"seconds": seconds}).Parse(pageTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, r)
	return b.String(), err
}

func (r *report) markdown() (string, error) {
	t, err := texttemplate.New("page").Funcs(texttemplate.FuncMap{"seconds": seconds, "cell": cell}).Parse(markdownTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, r)
	return b.String(), err
}

// Of are a component's rows.
func (r *report) Of(letter string) (rows []line) {
	for _, l := range r.Rows {
		if strings.HasPrefix(l.ID, letter) {
			rows = append(rows, l)
		}
	}
	return rows
}

// Quick reports whether no guards were taken away.
func (r *report) Quick() bool { return r.Environment.Size == quick }

// Removals are all guards that were taken away.
func (r *report) Removals() (all []removal) {
	for _, l := range r.Rows {
		all = append(all, l.Removals...)
	}
	return all
}

// Noticed is how many of the removals their checks noticed.
func (r *report) Noticed() (n int) {
	for _, m := range r.Removals() {
		if m.Noticed {
			n++
		}
	}
	return n
}

// Checks is how many checks passed, and of how many.
func (r *report) Checks() string {
	passed, of := 0, 0
	for _, c := range r.Components {
		passed, of = passed+c.Passed, of+c.Of
	}
	return fmt.Sprintf("%d of %d", passed, of)
}

// Headline is the row's first figure, for a line that is not unfolded.
func (l line) Headline() string {
	for _, c := range l.Checks {
		if c.Verdict != passed {
			return fmt.Sprintf("%s: %s", c.Verdict, c.Why)
		}
	}
	for _, c := range l.Checks {
		if len(c.Figures) > 0 {
			return c.Figures[0]
		}
	}
	return ""
}

// Good is how many of the row's checks passed.
func (l line) Good() (n int) {
	for _, c := range l.Checks {
		if c.Verdict == passed {
			n++
		}
	}
	return n
}

// OK reports whether the check passed.
func (o outcome) OK() bool { return o.Verdict == passed }

// Where is the check's package and test without what is the same of all.
func (o outcome) Where() string { return strings.TrimPrefix(o.Package, "./") }

// Again is the command that runs a size again.
func (e environment) Again() string {
	switch e.Size {
	case quick:
		return "make audit QUICK=1"
	case full:
		return "make audit FULL=1"
	}
	return "make audit"
}

// Date is when it began, for a person.
func (e environment) Date() string { return e.Began.Format("2 January 2006, 15:04 UTC") }

// seconds is a time for a person.
func seconds(s float64) string {
	switch {
	case s >= 90:
		return fmt.Sprintf("%d min %02d s", int(s)/60, int(s)%60)
	case s >= 10:
		return fmt.Sprintf("%.0f s", s)
	case s >= 0.1:
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f ms", s*1000)
}

// cell is a text in a table of Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", "<br>", "<", "&lt;", ">", "&gt;").Replace(text)
}

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	texttemplate "text/template"
)

//go:embed page.html.tmpl page.md.tmpl
var pages embed.FS

// write writes audit.json, audit.md and audit.html to a folder, and the text of audit.md to out.
func (r *report) write(dir string, out io.Writer) error {
	var page, markdown bytes.Buffer
	html, err := template.ParseFS(pages, "page.html.tmpl")
	if err != nil {
		return err
	}
	if err := html.Execute(&page, r); err != nil {
		return err
	}
	// What tests print may contain Markdown's own characters.
	escape := strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", ">", "&gt;").Replace
	text, err := texttemplate.New("page.md.tmpl").Funcs(texttemplate.FuncMap{"text": escape}).ParseFS(pages,
		"page.md.tmpl")
	if err != nil {
		return err
	}
	if err := text.Execute(io.MultiWriter(&markdown, out), r); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"audit.json": data, "audit.md": markdown.Bytes(),
		"audit.html": page.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

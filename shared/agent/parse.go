package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads definitions/*.yaml, one file per agent, and checks them as NewSet does. The error names the file and the
// line of every mistake.
func Parse(folder fs.FS, tools []string) (*Set, error) {
	names, err := fs.Glob(folder, "definitions/*.yaml")
	if err != nil {
		return nil, err
	}
	var mistakes []error
	var definitions []Definition
	lines := map[string]map[string]int{}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		d, err := parseFile(text)
		if err != nil {
			mistakes = append(mistakes, inFile(path.Base(name), err))
			continue
		}
		d.Name = strings.TrimSuffix(path.Base(name), ".yaml")
		lines[d.Name] = linesOf(text)
		definitions = append(definitions, d)
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	s, err := NewSet(tools, definitions...)
	return s, withLines(err, lines)
}

// parseFile decodes one file. An unknown field is an error, and so is a second document.
func parseFile(text []byte) (Definition, error) {
	var d Definition
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil {
		if errors.Is(err, io.EOF) {
			return d, errors.New("line 1: the file is empty")
		}
		return d, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return d, errors.New("line 1: the file has more than one YAML document; give each agent a file of its own")
	}
	return d, nil
}

// inFile rewrites the errors of the YAML decoder: one line each, with the file's name and without names of Go types.
func inFile(name string, err error) error {
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if typed := (*yaml.TypeError)(nil); errors.As(err, &typed) {
		texts = typed.Errors
	}
	unknown := regexp.MustCompile(`field (\S+) not found in type \S+`)
	var all []error
	for _, text := range texts {
		text = unknown.ReplaceAllString(text, "the field $1 is unknown; docs/agents.md lists the fields")
		line, rest, _ := strings.Cut(strings.TrimPrefix(text, "line "), ": ")
		all = append(all, fmt.Errorf("%s:%s: %s", name, line, rest))
	}
	return errors.Join(all...)
}

// linesOf returns the line of each field, by the field's name. It leaves out the names in a JSON Schema.
func linesOf(text []byte) map[string]int {
	lines := map[string]int{}
	var document yaml.Node
	if yaml.Unmarshal(text, &document) != nil {
		return lines // parseFile has reported it
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				lines[child.Value] = child.Line
			}
			if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "output" {
				continue
			}
			walk(child)
		}
	}
	walk(&document)
	return lines
}

// withLines replaces each Mistake in the joined error by a text with the file's name and the field's line.
func withLines(err error, lines map[string]map[string]int) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var all []error
	for _, err := range joined.Unwrap() {
		if m := (*Mistake)(nil); errors.As(err, &m) {
			err = fmt.Errorf("%s.yaml:%d: %s: %s", m.Agent, max(lines[m.Agent][m.Field], 1), m.Field, m.Text)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

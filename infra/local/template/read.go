package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parse parses the only document. It rejects YAML that CloudFormation rejects or interprets differently.
func (r *resolver) parse(source []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		return nil, &Error{r.options.File, errorLine(err), "template", "is not YAML: " + err.Error()}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{r.options.File, more.Line, "template", "a second document starts here: a template has one"}
	}
	if len(doc.Content) != 1 {
		return nil, &Error{r.options.File, 1, "template", "is empty"}
	}
	r.checkPlain(doc.Content[0])
	return doc.Content[0], r.err
}

// errorLine extracts the line from an error of the YAML decoder, which has no field for it.
func errorLine(err error) int {
	m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if m == nil {
		return 1
	}
	line, _ := strconv.Atoi(m[1]) // only digits; the line stays 0 if the number is too large
	return line
}

// checkPlain rejects aliases (which also bounds the size of the result), merge keys, keys that are not text, and
// duplicate keys.
func (r *resolver) checkPlain(n *yaml.Node) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fail(n.Line, "template", "YAML anchors and aliases are not resolved: write the value out")
		return
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode || child.Tag == "!!merge" || child.Tag == "!!null" {
				r.fail(child.Line, "template", "a key must be text")
			}
			if seen[child.Value] {
				r.fail(child.Line, child.Value, "is a duplicate key: keep one")
			}
			seen[child.Value] = true
		}
		r.checkPlain(child)
	}
}

// fail records an error unless there is one already.
func (r *resolver) fail(line int, where, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{r.options.File, line, where, fmt.Sprintf(format, args...)}
	}
}

// object is a mapping whose members are taken out one by one. The members that remain in the end are unknown. A nil
// object stands for an absent mapping and has no members.
type object struct {
	r       *resolver
	where   string
	line    int
	keys    []string
	lines   map[string]int // line of each key
	members map[string]*yaml.Node
}

// object returns a mapping as an object, or nil for a nil node.
func (r *resolver) object(n *yaml.Node, where string) *object {
	if n == nil {
		return nil
	}
	o := &object{r: r, where: where, line: n.Line, lines: map[string]int{}, members: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, where, "must be a mapping")
		return o
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		o.keys = append(o.keys, key.Value)
		o.lines[key.Value] = key.Line
		o.members[key.Value] = n.Content[i+1]
	}
	return o
}

// fail records an error at this object.
func (o *object) fail(line int, format string, args ...any) { o.r.fail(line, o.where, format, args...) }

// take removes a member and returns it; nil if it is absent.
func (o *object) take(key string) *yaml.Node {
	if o == nil {
		return nil
	}
	n := o.members[key]
	delete(o.members, key)
	return n
}

// has reports whether a member exists and has not been taken.
func (o *object) has(key string) bool { return o != nil && o.members[key] != nil }

// object takes a member that is a mapping, or returns nil.
func (o *object) object(key string) *object {
	n := o.take(key)
	if n == nil {
		return nil
	}
	return o.r.object(n, o.where+"."+key)
}

// text takes a scalar, or returns "" if it is absent.
func (o *object) text(key string) string {
	n := o.take(key)
	if n == nil {
		return ""
	}
	return o.r.text(n, o.where+"."+key)
}

// number takes an integer between low and high, or returns fallback if it is absent.
func (o *object) number(key string, low, high, fallback int) int {
	n := o.take(key)
	if n == nil {
		return fallback
	}
	text := o.r.text(n, o.where+"."+key)
	v, err := strconv.Atoi(text)
	if err != nil || v < low || v > high {
		o.r.fail(n.Line, o.where+"."+key, "%q must be a whole number from %d to %d", text, low, high)
	}
	return v
}

// truth takes true or false, or returns false if it is absent.
func (o *object) truth(key string) bool {
	n := o.take(key)
	if n == nil {
		return false
	}
	switch o.r.text(n, o.where+"."+key) {
	case "true":
		return true
	case "false":
		return false
	}
	o.r.fail(n.Line, o.where+"."+key, "must be true or false")
	return false
}

// oneOf takes a scalar that must be one of the allowed values, or returns "" if it is absent.
func (o *object) oneOf(key string, allowed ...string) string {
	if !o.has(key) {
		return ""
	}
	line := o.members[key].Line
	v := o.text(key)
	if !slices.Contains(allowed, v) {
		o.r.fail(line, o.where+"."+key, "%q is not supported locally: it must be %s", v, strings.Join(allowed, " or "))
	}
	return v
}

// list takes the elements of a sequence.
func (o *object) list(key string) []*yaml.Node {
	n := o.take(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.r.fail(n.Line, o.where+"."+key, "must be a list")
		return nil
	}
	return n.Content
}

// texts takes a list of scalars, or a single scalar.
func (o *object) texts(key string) []string {
	n := o.take(key)
	if n == nil {
		return nil
	}
	return o.r.texts(n, o.where+"."+key)
}

// require records an error for each absent member.
func (o *object) require(keys ...string) {
	for _, key := range keys {
		if !o.has(key) {
			o.fail(o.line, "%s is missing: add it", key)
		}
	}
}

// ignore takes members that have no effect locally.
func (o *object) ignore(keys ...string) {
	for _, key := range keys {
		o.take(key)
	}
}

// each takes all remaining members, in order.
func (o *object) each(f func(key string, n *yaml.Node)) {
	if o == nil {
		return
	}
	for _, key := range o.keys {
		if n := o.take(key); n != nil {
			f(key, n)
		}
	}
}

// end records an error for each remaining member, with advice.
func (o *object) end(advice string) {
	o.each(func(key string, n *yaml.Node) {
		o.r.fail(o.lines[key], o.where+"."+key, "is not supported: %s", advice)
	})
}

// text returns a scalar's text as CloudFormation does: numbers and booleans are text as well, null is an error.
func (r *resolver) text(n *yaml.Node, where string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(n.Line, where, "must be a text, number or truth value")
		return ""
	}
	return n.Value
}

// texts returns a list of scalars, or a single scalar as a list.
func (r *resolver) texts(n *yaml.Node, where string) []string {
	if n.Kind != yaml.SequenceNode {
		return []string{r.text(n, where)}
	}
	out := make([]string, 0, len(n.Content))
	for _, child := range n.Content {
		out = append(out, r.text(child, where))
	}
	return out
}

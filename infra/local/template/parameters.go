package template

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readParameters sets the value of each parameter: from Parameters, else from Offered, else its default.
func (r *resolver) readParameters(o *object) {
	o.each(func(name string, n *yaml.Node) { r.readParameter(name, n) })
	for _, name := range slices.Sorted(maps.Keys(r.options.Parameters)) {
		if _, ok := r.parameters[name]; !ok {
			r.fail(1, "Parameters",
				"a value is given for %q, which is not a parameter of the template: declare it, or remove the value",
				name)
		}
	}
}

func (r *resolver) readParameter(name string, n *yaml.Node) {
	p := r.object(n, "Parameters."+name)
	p.ignore("Description", "ConstraintDescription", "NoEcho")
	kind := p.oneOf("Type", "String", "Number")
	if kind == "" {
		p.fail(p.line, "Type is missing: write String or Number")
	}
	hasDefault := p.has("Default")
	value := p.text("Default")
	if v, ok := r.options.Parameters[name]; ok {
		value, hasDefault = v, true
	} else if v, ok := r.options.Offered[name]; ok {
		value, hasDefault = v, true
	}
	if !hasDefault {
		p.fail(p.line, "has no default and no value was given: give one")
	}
	r.checkParameter(p, kind, value)
	p.end("a parameter has Type, Default, AllowedValues, AllowedPattern, MinLength, MaxLength, MinValue, MaxValue " +
		"and Description")
	r.parameters[name] = value
}

// checkParameter checks a value against the parameter's constraints.
func (r *resolver) checkParameter(p *object, kind, value string) {
	if kind == "Number" {
		checkNumber(p, value)
	}
	if allowed := p.texts("AllowedValues"); allowed != nil && !slices.Contains(allowed, value) {
		p.fail(p.line, "the value %q is not one of %s", value, strings.Join(allowed, ", "))
	}
	if pattern := p.text("AllowedPattern"); pattern != "" {
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			p.fail(p.line, "AllowedPattern is not a regular expression: %v", err)
		} else if !re.MatchString(value) {
			p.fail(p.line, "the value %q does not match %s", value, pattern)
		}
	}
	const most = 4096
	low, high := p.number("MinLength", 0, most, 0), p.number("MaxLength", 0, most, most)
	if n := len([]rune(value)); n < low || n > high {
		p.fail(p.line, "the value %q has %d characters; allowed are %d to %d", value, n, low, high)
	}
}

func checkNumber(p *object, value string) {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		p.fail(p.line, "the value %q is not a number", value)
	}
	for _, bound := range []struct {
		key     string
		outside func(v, b float64) bool
	}{{"MinValue", func(v, b float64) bool { return v < b }}, {"MaxValue", func(v, b float64) bool { return v > b }}} {
		text := p.text(bound.key)
		if text == "" {
			continue
		}
		if b, err := strconv.ParseFloat(text, 64); err != nil || bound.outside(v, b) {
			p.fail(p.line, "the value %q is not within %s, %s", value, bound.key, text)
		}
	}
}

// rule evaluates a rule. If the parameters' values violate it, the error is the template's own description.
func (r *resolver) rule(name string, n *yaml.Node) {
	o := r.object(n, "Rules."+name)
	when := o.take("RuleCondition")
	if when != nil && !r.truth(when, o.where+".RuleCondition") {
		return
	}
	o.require("Assertions")
	for _, n := range o.list("Assertions") {
		a := r.object(n, o.where)
		a.require("Assert", "AssertDescription")
		description := a.text("AssertDescription")
		if assert := a.take("Assert"); assert != nil && !r.truth(assert, o.where) {
			a.fail(a.line, "%s", description)
		}
		a.end("an assertion has Assert and AssertDescription")
	}
	o.end("a rule has RuleCondition and Assertions")
}

// condition is a named condition. It is evaluated when it is first needed.
type condition struct {
	node        *yaml.Node
	busy, known bool
	value       bool
}

func (r *resolver) readConditions(o *object) {
	o.each(func(name string, n *yaml.Node) { r.conditions[name] = &condition{node: n} })
	for _, name := range slices.Sorted(maps.Keys(r.conditions)) {
		r.condition(name, "Conditions."+name, r.conditions[name].node.Line)
	}
}

// condition returns the value of a named condition.
func (r *resolver) condition(name, where string, line int) bool {
	c, ok := r.conditions[name]
	if !ok {
		r.fail(line, where, "the condition %q is not in Conditions: declare it, or correct the name", name)
		return false
	}
	if c.busy {
		r.fail(line, where, "the condition %q depends on itself: break the cycle", name)
		return false
	}
	if !c.known {
		c.busy = true
		c.value = r.truth(c.node, "Conditions."+name)
		c.busy, c.known = false, true
	}
	return c.value
}

// truth evaluates Equals, Not, And, Or or Condition.
func (r *resolver) truth(n *yaml.Node, where string) bool {
	if r.err != nil {
		return false
	}
	name, arg, ok := intrinsic(n)
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "Condition" {
		name, arg, ok = "Condition", n.Content[1], true
	}
	if !ok {
		r.fail(n.Line, where, "must be one of Equals, Not, And, Or, Condition")
		return false
	}
	if name == "Condition" {
		return r.condition(r.text(arg, where), where, arg.Line)
	}
	if arg.Kind != yaml.SequenceNode || len(arg.Content) == 0 {
		r.fail(arg.Line, where, "%s needs a list", name)
		return false
	}
	return r.combine(name, arg, where)
}

func (r *resolver) combine(name string, arg *yaml.Node, where string) bool {
	switch name {
	case "Equals":
		a, b := r.resolve(arg.Content[0], where), r.resolve(arg.Content[len(arg.Content)-1], where)
		if len(arg.Content) != 2 || a == nil || b == nil {
			r.fail(arg.Line, where, "Equals needs two values")
			return false
		}
		return r.text(a, where) == r.text(b, where)
	case "Not":
		return !r.truth(arg.Content[0], where)
	case "And", "Or":
		all, any := true, false
		for _, child := range arg.Content {
			v := r.truth(child, where)
			all, any = all && v, any || v
		}
		return name == "And" && all || name == "Or" && any
	}
	r.fail(arg.Line, where, "the intrinsic %q is not a condition: use Equals, Not, And, Or or Condition", name)
	return false
}

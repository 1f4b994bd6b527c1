package template

import (
	"cmp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// resolver performs one resolution. The first error is kept, and everything that is read after it is discarded.
type resolver struct {
	options    Options
	err        error
	parameters map[string]string
	conditions map[string]*condition
	resources  []*resource // the resources whose condition is true
	byID       map[string]*resource
	excluded   map[string]bool // the resources whose condition is false
	from       string          // the resource whose references are being resolved; "" for none
	edges      []edge
	depends    []edge // from DependsOn, checked once all resources are known
}

func newResolver(o Options) *resolver {
	o.File = cmp.Or(o.File, "template.yaml")
	o.StackName = cmp.Or(o.StackName, "carrel")
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Account = cmp.Or(o.Account, "000000000000")
	o.APIID = cmp.Or(o.APIID, "local00000")
	return &resolver{options: o, parameters: map[string]string{}, conditions: map[string]*condition{},
		byID: map[string]*resource{}, excluded: map[string]bool{}}
}

// intrinsic reports whether a node is an intrinsic function, in its short form (!Ref x) or its long form (Ref: x). The
// name has no prefix Fn::.
func intrinsic(n *yaml.Node) (name string, arg *yaml.Node, ok bool) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		bare := *n
		bare.Tag = ""
		if n.Kind == yaml.ScalarNode {
			bare.Tag = "!!str"
		}
		return n.Tag[1:], &bare, true
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return "", nil, false
	}
	key := n.Content[0].Value
	if key == "Ref" {
		return key, n.Content[1], true
	}
	name, ok = strings.CutPrefix(key, "Fn::")
	return name, n.Content[1], ok
}

// resolve returns a copy of a node without intrinsics, or nil if the value is AWS::NoValue or absent.
func (r *resolver) resolve(n *yaml.Node, where string) *yaml.Node {
	if n == nil || r.err != nil {
		return nil
	}
	if name, arg, ok := intrinsic(n); ok {
		return r.call(name, arg, where)
	}
	out := *n
	out.Content = nil
	if n.Kind == yaml.SequenceNode {
		for _, child := range n.Content {
			if v := r.resolve(child, where); v != nil {
				out.Content = append(out.Content, v)
			}
		}
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if v := r.resolve(n.Content[i+1], where+"."+n.Content[i].Value); v != nil {
				out.Content = append(out.Content, n.Content[i], v)
			}
		}
	}
	return &out
}

// call evaluates one intrinsic function.
func (r *resolver) call(name string, arg *yaml.Node, where string) *yaml.Node {
	switch name {
	case "Ref":
		if arg.Value == "AWS::NoValue" {
			return nil
		}
		return scalar(arg, r.ref(r.text(arg, where), where, arg.Line))
	case "GetAtt":
		return scalar(arg, r.getAtt(arg, where))
	case "Sub":
		return scalar(arg, r.sub(arg, where))
	case "If":
		return r.branch(arg, where)
	case "Join":
		return r.join(arg, where)
	case "Select":
		return r.pick(arg, where)
	case "Split":
		return r.split(arg, where)
	}
	r.fail(arg.Line, where, "the intrinsic %q is not supported: use Ref, GetAtt, Sub, If, Join, Split or Select, "+
		"or implement it in infra/local/template", name)
	return nil
}

func scalar(at *yaml.Node, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: at.Line, Column: at.Column}
}

// ref returns the value of a parameter, a pseudo parameter or a resource.
func (r *resolver) ref(name, where string, line int) string {
	o := r.options
	switch name {
	case "AWS::Region":
		return o.Region
	case "AWS::AccountId":
		return o.Account
	case "AWS::Partition":
		return "aws"
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::StackName":
		return o.StackName
	}
	if v, ok := r.parameters[name]; ok {
		return v
	}
	return r.attribute(name, "", where, line)
}

// getAtt evaluates GetAtt: Id.Attribute or [Id, Attribute].
func (r *resolver) getAtt(arg *yaml.Node, where string) string {
	parts := r.texts(arg, where)
	if len(parts) == 1 {
		id, attribute, _ := strings.Cut(parts[0], ".")
		parts = []string{id, attribute}
	}
	if len(parts) != 2 || parts[1] == "" {
		r.fail(arg.Line, where, "GetAtt needs a resource and an attribute: write Resource.Attribute")
		return ""
	}
	return r.attribute(parts[0], parts[1], where, arg.Line)
}

// sub evaluates Sub: it replaces ${Name} and ${Name.Attribute}. ${!x} gives a literal ${x}.
func (r *resolver) sub(arg *yaml.Node, where string) string {
	text, own := arg, map[string]string{}
	if arg.Kind == yaml.SequenceNode {
		if len(arg.Content) != 2 {
			r.fail(arg.Line, where, "Sub with a list needs a text and a mapping")
			return ""
		}
		text = arg.Content[0]
		r.object(arg.Content[1], where).each(func(key string, n *yaml.Node) {
			if v := r.resolve(n, where); v != nil {
				own[key] = r.text(v, where)
			}
		})
	}
	var b strings.Builder
	rest := r.text(text, where)
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found || r.err != nil {
			return b.String()
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			r.fail(text.Line, where, "a ${ in Sub is not closed: add }")
			return ""
		}
		b.WriteString(r.subName(name, own, where, text.Line))
		rest = tail
	}
}

func (r *resolver) subName(name string, own map[string]string, where string, line int) string {
	if literal, ok := strings.CutPrefix(name, "!"); ok {
		return "${" + literal + "}"
	}
	if v, ok := own[name]; ok {
		return v
	}
	if id, attribute, ok := strings.Cut(name, "."); ok {
		return r.attribute(id, attribute, where, line)
	}
	return r.ref(name, where, line)
}

// branch evaluates If: [condition, then, else]. Like CloudFormation it does not evaluate the other branch.
func (r *resolver) branch(arg *yaml.Node, where string) *yaml.Node {
	if arg.Kind != yaml.SequenceNode || len(arg.Content) != 3 {
		r.fail(arg.Line, where, "If needs a list of a condition's name and two values")
		return nil
	}
	if r.condition(r.text(arg.Content[0], where), where, arg.Line) {
		return r.resolve(arg.Content[1], where)
	}
	return r.resolve(arg.Content[2], where)
}

// join evaluates Join: [delimiter, [values]].
func (r *resolver) join(arg *yaml.Node, where string) *yaml.Node {
	if arg.Kind != yaml.SequenceNode || len(arg.Content) != 2 {
		r.fail(arg.Line, where, "Join needs a list of a delimiter and a list of values")
		return nil
	}
	values := r.resolve(arg.Content[1], where)
	if values == nil || values.Kind != yaml.SequenceNode {
		r.fail(arg.Line, where, "Join's second member must be a list")
		return nil
	}
	return scalar(arg, strings.Join(r.texts(values, where), r.text(arg.Content[0], where)))
}

// pick evaluates Select: [index, [values]].
func (r *resolver) pick(arg *yaml.Node, where string) *yaml.Node {
	values := r.resolve(arg, where)
	if values == nil || len(values.Content) != 2 || values.Content[1].Kind != yaml.SequenceNode {
		r.fail(arg.Line, where, "Select needs a list of an index and a list of values")
		return nil
	}
	i, err := strconv.Atoi(r.text(values.Content[0], where))
	if err != nil || i < 0 || i >= len(values.Content[1].Content) {
		r.fail(arg.Line, where, "Select's index is out of range: indexes start at 0")
		return nil
	}
	return values.Content[1].Content[i]
}

// split evaluates Split: [delimiter, text].
func (r *resolver) split(arg *yaml.Node, where string) *yaml.Node {
	values := r.resolve(arg, where)
	if values == nil || values.Kind != yaml.SequenceNode || len(values.Content) != 2 {
		r.fail(arg.Line, where, "Split needs a list of a delimiter and a text")
		return nil
	}
	out := &yaml.Node{Kind: yaml.SequenceNode, Line: arg.Line, Column: arg.Column}
	for _, part := range strings.Split(r.text(values.Content[1], where), r.text(values.Content[0], where)) {
		out.Content = append(out.Content, scalar(arg, part))
	}
	return out
}

package template

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// policies reads a function's Policies: one policy document, or a list of them.
func (r *resolver) policies(n *yaml.Node, where string) []Statement {
	if n == nil {
		return nil
	}
	documents := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		documents = n.Content
	}
	var out []Statement
	for _, d := range documents {
		if d.Kind != yaml.MappingNode {
			r.fail(d.Line, where, "managed policies are not known locally: write the statements that are meant")
			continue
		}
		out = append(out, r.document(r.object(d, where))...)
	}
	return out
}

// document reads the statements of one policy document.
func (r *resolver) document(o *object) []Statement {
	o.ignore("Version", "Id")
	n := o.take("Statement")
	o.end("a policy has Version and Statement; SAM's policy templates are not known locally, write their statements")
	if n == nil {
		o.fail(o.line, "Statement is missing: add it")
		return nil
	}
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	var out []Statement
	for _, s := range nodes {
		out = append(out, r.statement(r.object(s, o.where+".Statement")))
	}
	return out
}

func (r *resolver) statement(o *object) Statement {
	o.ignore("Sid")
	o.require("Effect", "Action", "Resource")
	s := Statement{Effect: o.oneOf("Effect", "Allow", "Deny"), Action: o.texts("Action"), Resource: o.texts("Resource")}
	if conditions := o.object("Condition"); conditions != nil {
		s.Condition = map[string]map[string][]string{}
		conditions.each(func(operator string, n *yaml.Node) {
			keys := map[string][]string{}
			r.object(n, o.where+".Condition."+operator).each(func(key string, v *yaml.Node) {
				keys[key] = r.texts(v, o.where+".Condition."+operator)
			})
			s.Condition[operator] = keys
		})
	}
	o.end("a statement has Sid, Effect, Action, Resource and Condition")
	return s
}

// rolePolicy adds an AWS::IAM::RolePolicy to the function whose role it names.
func (r *resolver) rolePolicy(res *resource, t *Template) {
	p := r.properties(res)
	p.ignore("PolicyName")
	p.require("RoleName", "PolicyDocument")
	role := p.text("RoleName")
	document := p.object("PolicyDocument")
	p.end("a role policy has RoleName, PolicyName and PolicyDocument")
	if document == nil {
		return
	}
	statements := r.document(document)
	for i := range t.Functions {
		if r.roleName(t.Functions[i].LogicalID) == role {
			t.Functions[i].Policies = append(t.Functions[i].Policies, statements...)
			return
		}
	}
	id, _ := strings.CutPrefix(role, r.options.StackName+"-")
	p.fail(p.line, "%q is no function's role: write !Ref <Function>Role", id)
}

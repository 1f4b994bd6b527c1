package template

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// policies reads a function's Policies: a policy document, or a list of documents.
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
			r.fail(d.Line, where, "managed policies are not supported locally: write their statements")
			continue
		}
		out = append(out, r.document(r.object(d, where))...)
	}
	return out
}

// document reads the statements of one policy document.
func (r *resolver) document(o *object) []Statement {
	o.ignore("Id")
	version, n := o.text("Version"), o.take("Statement")
	o.end("a policy has Version and Statement; SAM's policy templates are not supported locally: write their " +
		"statements")
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
	if version != "2012-10-17" && strings.Contains(fmt.Sprint(out), "${") {
		o.fail(o.line, `a policy with variables needs Version: "2012-10-17": without it ${...} is literal text`)
	}
	return out
}

// statement reads one statement. A statement of a trust policy has a Principal instead of a Resource.
func (r *resolver) statement(o *object) Statement {
	o.ignore("Sid")
	of := "Resource"
	if o.has("Principal") {
		of = "Principal"
	}
	o.require("Effect", "Action", of)
	s := Statement{Effect: o.oneOf("Effect", "Allow", "Deny"), Action: o.texts("Action"), Resource: o.texts("Resource")}
	o.object("Principal").each(func(_ string, n *yaml.Node) {
		s.Principal = append(s.Principal, r.texts(n, o.where+".Principal")...)
	})
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
	o.end("a statement has Sid, Effect, Action, Resource (in a trust policy Principal) and Condition")
	return s
}

// role reads an AWS::IAM::Role. Managed policies are not supported, so only a role for an AWS service may have one.
func (r *resolver) role(res *resource) Role {
	p := r.properties(res)
	p.ignore("Description", "Tags")
	p.require("AssumeRolePolicyDocument")
	arn, _ := r.value(res, false, "Arn")
	maxSession := time.Duration(p.number("MaxSessionDuration", 3600, 43200, 3600)) * time.Second
	out := Role{LogicalID: res.id, ARN: arn, MaxSession: maxSession}
	if trust := p.object("AssumeRolePolicyDocument"); trust != nil {
		out.Trust = r.document(trust)
	}
	if len(p.texts("ManagedPolicyArns")) > 0 && slices.ContainsFunc(out.Trust, trustsOthers) {
		p.fail(p.line, "managed policies are not supported locally: write their statements")
	}
	for _, n := range p.list("Policies") {
		o := r.object(n, p.where+".Policies")
		o.ignore("PolicyName")
		o.require("PolicyDocument")
		if document := o.object("PolicyDocument"); document != nil {
			out.Policies = append(out.Policies, r.document(document)...)
		}
		o.end("a role's policy has PolicyName and PolicyDocument")
	}
	p.end("a role has AssumeRolePolicyDocument, Policies, MaxSessionDuration, ManagedPolicyArns, Description and Tags")
	return out
}

// trustsOthers reports whether a trust policy's statement names a principal that is not an AWS service.
func trustsOthers(s Statement) bool {
	return slices.ContainsFunc(s.Principal, func(principal string) bool {
		return !strings.HasSuffix(principal,
			".amazonaws.com")
	})
}

// rolePolicy adds the statements of an AWS::IAM::RolePolicy to its role, or to the function that has the role.
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
	for i := range t.Roles {
		if strings.HasSuffix(t.Roles[i].ARN, ":role/"+role) {
			t.Roles[i].Policies = append(t.Roles[i].Policies, statements...)
			return
		}
	}
	id, _ := strings.CutPrefix(role, r.options.StackName+"-")
	p.fail(p.line, "%q is not a role of this template: write !Ref <Function>Role, or !Ref with a role's logical id", id)
}

package template

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The resource types that the local stack runs, or that have no effect on one machine.
const (
	typeFunction     = "AWS::Serverless::Function"
	typeAPI          = "AWS::Serverless::WebSocketApi"
	typeTable        = "AWS::DynamoDB::Table"
	typeRole         = "AWS::IAM::Role"
	typeRolePolicy   = "AWS::IAM::RolePolicy"
	typeInvokeConfig = "AWS::Lambda::EventInvokeConfig"
	typeLogGroup     = "AWS::Logs::LogGroup"
	typeAlarm        = "AWS::CloudWatch::Alarm"
	typeDashboard    = "AWS::CloudWatch::Dashboard"
)

// replaced returns the attributes of a resource type that the local stack replaces by something of its own: the page
// server (S3, CloudFront), or a log file that needs no role. The properties of such a resource are only checked for
// valid references. A function must not refer to one, because its name means nothing locally.
func replaced(kind string) (attributes []string, ok bool) {
	switch kind {
	case "AWS::S3::Bucket":
		return []string{"Arn", "RegionalDomainName"}, true
	case "AWS::CloudFront::Distribution":
		return []string{"DomainName"}, true
	case "AWS::CloudFront::OriginAccessControl":
		return []string{"Id"}, true
	case "AWS::CloudFront::Function":
		return []string{"FunctionARN"}, true
	case "AWS::S3::BucketPolicy", "AWS::CloudFront::ResponseHeadersPolicy", "AWS::ApiGateway::Account":
		return nil, true
	}
	return nil, false
}

// resource is a resource of the template whose condition is true.
type resource struct {
	id, kind, where string
	line            int
	name            string // the value of Ref
	metadata        *object
	properties      *yaml.Node // not yet resolved, merged with Globals; may be nil
}

// edge states that one resource depends on another.
type edge struct {
	from, to string
	line     int
}

func (r *resolver) readResources(o *object, globals *yaml.Node) {
	if o == nil {
		r.fail(1, "Resources", "is missing: a template without resources runs nothing")
	}
	o.each(func(id string, n *yaml.Node) { r.readResource(id, n, globals) })
	for _, res := range r.resources {
		r.name(res)
	}
	for _, e := range r.depends {
		r.from = e.from
		if !r.excluded[e.to] { // a dependency on an excluded resource has no effect
			r.attribute(e.to, "", "Resources."+e.from+".DependsOn", e.line)
		}
	}
}

func (r *resolver) readResource(id string, n *yaml.Node, globals *yaml.Node) {
	o := r.object(n, "Resources."+id)
	if strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		o.fail(o.line, "a logical id has letters and digits only")
	}
	if _, ok := r.parameters[id]; ok {
		o.fail(o.line, "is also the name of a parameter: rename one")
	}
	o.require("Type")
	res := &resource{id: id, kind: o.text("Type"), where: o.where, line: o.line}
	if c := o.text("Condition"); c != "" && !r.condition(c, o.where, o.line) {
		r.excluded[id] = true
		return
	}
	for _, to := range o.texts("DependsOn") {
		r.depends = append(r.depends, edge{id, to, o.line})
	}
	res.metadata = o.object("Metadata")
	res.properties = o.take("Properties")
	if res.kind == typeFunction {
		res.properties = merge(globals, res.properties)
	}
	// Nothing is deleted locally, but values that CloudFormation rejects are rejected.
	o.oneOf("DeletionPolicy", "Delete", "Retain", "RetainExceptOnCreate", "Snapshot")
	o.oneOf("UpdateReplacePolicy", "Delete", "Retain", "Snapshot")
	o.end("a resource has Type, Properties, Metadata, Condition, DependsOn, DeletionPolicy and UpdateReplacePolicy")
	r.resources = append(r.resources, res)
	r.byID[id] = res
}

// name sets a resource's physical name. Names are set before everything else, because other resources refer to them.
func (r *resolver) name(res *resource) {
	property := ""
	switch res.kind {
	case typeFunction:
		property = "FunctionName"
	case typeTable:
		property = "TableName"
	case typeAPI:
		res.name = r.options.APIID
		return
	case typeRole, typeRolePolicy, typeInvokeConfig, typeLogGroup, typeAlarm, typeDashboard:
	default:
		if _, ok := replaced(res.kind); ok {
			break
		}
		r.fail(res.line, res.where,
			"the local stack does not support the resource type %s: remove it, or implement it "+
				"in infra/local/template", res.kind)
	}
	generated := r.options.StackName + "-" + res.id
	if property == "" || res.properties == nil || res.properties.Kind != yaml.MappingNode {
		res.name = generated
		return
	}
	given := ""
	p := r.object(res.properties, res.where+".Properties")
	if n := r.resolve(p.take(property), p.where+"."+property); n != nil {
		given = r.text(n, p.where+"."+property)
	}
	res.name = cmp.Or(given, generated)
}

// attribute returns the value of Ref (attribute "") or GetAtt for a resource, and records the dependency.
func (r *resolver) attribute(id, attribute, where string, line int) string {
	res, ok := r.byID[id]
	role := false
	if !ok {
		// SAM creates a role for each function under this logical id.
		if owner, isRole := strings.CutSuffix(id, "Role"); isRole {
			res, role = r.byID[owner], true
			ok = res != nil && res.kind == typeFunction
		}
	}
	switch {
	case !ok && r.excluded[id]:
		r.fail(line, where, "%s is not created, because its Condition is false: put this under the same condition",
			id)
		return ""
	case !ok:
		r.fail(line, where,
			"%q is neither a parameter nor a resource of this template: declare it, or correct the name", id)
		return ""
	case res.name == "" && !role:
		r.fail(line, where, "a name may refer to parameters and pseudo parameters only, not to %s", id)
		return ""
	}
	if from := r.byID[r.from]; from != nil && from.kind == typeFunction {
		if _, ok := replaced(res.kind); ok {
			r.fail(line, where, "%s (%s) is not supported locally: a function cannot use it", id, res.kind)
		}
	}
	if r.from != "" {
		r.edges = append(r.edges, edge{r.from, id, line})
	}
	v, ok := r.value(res, role, attribute)
	if !ok {
		r.fail(line, where, "%s (%s) has no supported attribute %q: use Ref or Arn, or implement it in "+
			"infra/local/template", id, res.kind, attribute)
	}
	return v
}

// value returns the physical name or an attribute of a resource, or of a function's role.
func (r *resolver) value(res *resource, role bool, attribute string) (string, bool) {
	where := r.options.Region + ":" + r.options.Account + ":"
	if attributes, ok := replaced(res.kind); ok && slices.Contains(attributes, attribute) {
		return res.name + "." + attribute, true
	}
	switch {
	case role && attribute == "":
		return r.roleName(res.id), true
	case role && attribute == "Arn":
		return "arn:aws:iam::" + r.options.Account + ":role/" + r.roleName(res.id), true
	case role:
		return "", false
	case attribute == "":
		return res.name, true
	case res.kind == typeAPI && attribute == "ApiId":
		return res.name, true
	case attribute != "Arn":
		return "", false
	case res.kind == typeRole:
		return "arn:aws:iam::" + r.options.Account + ":role/" + res.name, true
	case res.kind == typeFunction:
		return "arn:aws:lambda:" + where + "function:" + res.name, true
	case res.kind == typeTable:
		return "arn:aws:dynamodb:" + where + "table/" + res.name, true
	case res.kind == typeLogGroup:
		return "arn:aws:logs:" + where + "log-group:" + res.name + ":*", true
	case res.kind == typeAlarm:
		return "arn:aws:cloudwatch:" + where + "alarm:" + res.name, true
	}
	return "", false
}

func (r *resolver) roleName(function string) string {
	return r.options.StackName + "-" + function + "Role"
}

// functionAt returns the logical id of the function with this ARN or name.
func (r *resolver) functionAt(value, where string, line int) string {
	for _, res := range r.resources {
		if res.kind != typeFunction {
			continue
		}
		if arn, _ := r.value(res, false, "Arn"); value == arn || value == res.name {
			return res.id
		}
	}
	r.fail(line, where, "%q is not a function of this template: write !GetAtt <Function>.Arn", value)
	return ""
}

// cycle returns an error for resources that depend on each other, which CloudFormation rejects.
func (r *resolver) cycle() error {
	const busy, done = 1, 2
	next := map[string][]edge{}
	for _, e := range r.edges {
		next[e.from] = append(next[e.from], e)
	}
	state := map[string]int{}
	var visit func(id string, path []string)
	visit = func(id string, path []string) {
		state[id] = busy
		path = append(path, id)
		for _, e := range next[id] {
			if state[e.to] == busy {
				r.fail(e.line, "Resources."+e.from,
					"depends on itself (%s -> %s): move the reference that closes the cycle into a resource of its own",
					strings.Join(path, " -> "), e.to)
				return
			}
			if state[e.to] != done {
				visit(e.to, path)
			}
		}
		state[id] = done
	}
	for _, res := range r.resources {
		if state[res.id] == 0 && r.err == nil {
			visit(res.id, nil)
		}
	}
	return r.err
}

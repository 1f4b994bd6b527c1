package template

import (
	"cmp"
	"maps"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

func (r *resolver) api(res *resource) API {
	p := r.properties(res, "Routes", "Auth")
	// Throttling and access logs have no use for one user's gateway, which writes its own log.
	p.ignore("Name", "Description", "Tags", "AccessLogSettings", "DefaultRouteSettings")
	a := API{LogicalID: res.id, ID: res.name, Routes: map[string]string{}}
	a.Stage = cmp.Or(p.text("StageName"), "default")
	p.require("RouteSelectionExpression", "Routes")
	a.RouteSelectionExpression = p.text("RouteSelectionExpression")
	if !regexp.MustCompile(`^\$request\.body(\.[A-Za-z0-9_]+)+$`).MatchString(a.RouteSelectionExpression) {
		p.fail(p.line, "RouteSelectionExpression must be $request.body.<member>")
	}
	p.object("Routes").each(func(key string, n *yaml.Node) { a.Routes[key] = r.route(key, n, p.where) })
	if len(a.Routes) == 0 {
		p.fail(p.line, "Routes is empty: add at least one route")
	}
	if auth := p.object("Auth"); auth != nil {
		a.Authorizer = r.auth(auth)
	}
	p.end("remove this property of a WebSocket API, or implement it in infra/local/template")
	return a
}

func (r *resolver) route(key string, n *yaml.Node, where string) string {
	o := r.object(n, where+".Routes."+key)
	known := key == "$connect" || key == "$default" || key == "$disconnect"
	if !known && !regexp.MustCompile(`^[a-zA-Z0-9]+$`).MatchString(key) {
		o.fail(o.line, "a route key is $connect, $default, $disconnect or letters and digits")
	}
	o.require("FunctionArn")
	id := r.functionAt(o.text("FunctionArn"), o.where+".FunctionArn", o.line)
	o.end("a route has FunctionArn")
	return id
}

func (r *resolver) auth(o *object) string {
	o.require("AuthType")
	if o.oneOf("AuthType", "CUSTOM", "NONE") == "NONE" {
		o.end("AuthType NONE allows no other property")
		return ""
	}
	o.require("AuthArn")
	id := r.functionAt(o.text("AuthArn"), o.where+".AuthArn", o.line)
	o.end("only AuthType and AuthArn are supported; remove an IdentitySource, because the authorizer receives the " +
		"whole request")
	return id
}

func (r *resolver) table(res *resource) Table {
	p := r.properties(res)
	p.ignore("TableName", "Tags", "PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled",
		"TableClass", "ContributorInsightsSpecification")
	p.require("BillingMode", "KeySchema", "AttributeDefinitions")
	p.oneOf("BillingMode", "PAY_PER_REQUEST")
	attributes := map[string]string{}
	for _, n := range p.list("AttributeDefinitions") {
		d := r.object(n, p.where+".AttributeDefinitions")
		d.require("AttributeName", "AttributeType")
		attributes[d.text("AttributeName")] = d.oneOf("AttributeType", "S", "N", "B")
		d.end("a definition has AttributeName and AttributeType")
	}
	used := map[string]bool{}
	t := Table{LogicalID: res.id, Name: res.name}
	t.Hash, t.Range = r.keys(p, attributes, used)
	for _, property := range []string{"LocalSecondaryIndexes", "GlobalSecondaryIndexes"} {
		for _, n := range p.list(property) {
			o := r.object(n, p.where+"."+property)
			x := r.index(o, attributes, used)
			x.Local = property == "LocalSecondaryIndexes"
			if x.Local && (x.Hash != t.Hash || x.Range.Name == "") {
				o.fail(o.line,
					"a local index has the table's HASH key %q and its own RANGE key: DynamoDB rejects any other",
					t.Hash.Name)
			}
			t.Indexes = append(t.Indexes, x)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !used[name] {
			p.fail(p.line, "the attribute %q is defined but no key uses it: DynamoDB rejects that; remove it", name)
		}
	}
	if ttl := p.object("TimeToLiveSpecification"); ttl != nil {
		t.TTL = ttl.text("AttributeName")
		if !ttl.truth("Enabled") {
			t.TTL = ""
		}
		ttl.end("TimeToLiveSpecification has AttributeName and Enabled")
	}
	p.end("remove this property of a table, or implement it in infra/local/template")
	return t
}

// keys reads a KeySchema: one HASH key and at most one RANGE key, both with a definition.
func (r *resolver) keys(o *object, attributes map[string]string, used map[string]bool) (hash, sort Key) {
	for _, n := range o.list("KeySchema") {
		k := r.object(n, o.where+".KeySchema")
		k.require("AttributeName", "KeyType")
		name, kind := k.text("AttributeName"), k.oneOf("KeyType", "HASH", "RANGE")
		k.end("a key has AttributeName and KeyType")
		if attributes[name] == "" {
			k.fail(k.line, "the attribute %q is not in AttributeDefinitions: define it", name)
		}
		used[name] = true
		target := &hash
		if kind == "RANGE" {
			target = &sort
		}
		if target.Name != "" {
			k.fail(k.line, "is the second %s key: keep one", kind)
		}
		*target = Key{name, attributes[name]}
	}
	if hash.Name == "" {
		o.fail(o.line, "KeySchema has no HASH key: add one")
	}
	return hash, sort
}

func (r *resolver) index(o *object, attributes map[string]string, used map[string]bool) Index {
	o.require("IndexName", "KeySchema", "Projection")
	x := Index{Name: o.text("IndexName")}
	x.Hash, x.Range = r.keys(o, attributes, used)
	if projection := o.object("Projection"); projection != nil {
		projection.require("ProjectionType")
		x.Projection = projection.oneOf("ProjectionType", "ALL", "KEYS_ONLY", "INCLUDE")
		x.NonKeyAttributes = projection.texts("NonKeyAttributes")
		projection.end("a projection has ProjectionType and NonKeyAttributes")
	}
	o.end("an index has IndexName, KeySchema and Projection")
	return x
}

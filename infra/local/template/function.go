package template

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// build decodes the resources. Functions come first, because other resources complete them.
func (r *resolver) build() (*Template, error) {
	t := &Template{}
	for _, res := range r.resources {
		if res.kind == typeFunction {
			t.Functions = append(t.Functions, r.function(res))
		}
	}
	apis := 0
	var rolePolicies []*resource
	for _, res := range r.resources {
		switch res.kind {
		case typeFunction:
		case typeAPI:
			apis++
			if apis > 1 {
				r.fail(res.line, res.where, "is the second WebSocket API: the local stack supports one")
			}
			t.API = r.api(res)
		case typeTable:
			t.Tables = append(t.Tables, r.table(res))
		case typeRole:
			t.Roles = append(t.Roles, r.role(res))
		case typeRolePolicy:
			rolePolicies = append(rolePolicies, res) // their roles may come later
		case typeInvokeConfig:
			r.invokeConfig(res, t)
		default: // no effect locally, but its references must be valid
			r.properties(res)
		}
	}
	for _, res := range rolePolicies {
		r.rolePolicy(res, t)
	}
	if apis == 0 {
		r.fail(1, "Resources", "there is no %s: add one", typeAPI)
	}
	return t, r.err
}

// properties resolves a resource's properties. SAM creates separate resources from the properties in separate, so their
// references are not dependencies of this resource.
func (r *resolver) properties(res *resource, separate ...string) *object {
	where := res.where + ".Properties"
	if res.properties == nil {
		return &object{r: r, where: where, line: res.line}
	}
	out := r.object(res.properties, where)
	for _, key := range out.keys {
		r.from = res.id
		for _, a := range separate {
			if a == key {
				r.from = ""
			}
		}
		if key == "Policies" && res.kind == typeFunction {
			r.from = res.id + "Role"
			r.edges = append(r.edges, edge{res.id, r.from, out.lines[key]})
		}
		if v := r.resolve(out.members[key], where+"."+key); v != nil {
			out.members[key] = v
		} else {
			delete(out.members, key)
		}
	}
	r.from = ""
	return out
}

func (r *resolver) function(res *resource) Function {
	p := r.properties(res, "Events", "EventInvokeConfig")
	p.ignore("FunctionName", "Description", "Tags", "LoggingConfig", "Tracing")
	role, _ := r.value(res, true, "Arn")
	f := Function{LogicalID: res.id, Name: res.name, Role: role, Env: map[string]string{}, MaxRetries: 2,
		MaxEventAge: 6 * time.Hour}
	r.checkBuild(res, p)
	f.MemoryMB = p.number("MemorySize", 128, 10240, 128)
	f.Timeout = time.Duration(p.number("Timeout", 1, 900, 3)) * time.Second
	f.Concurrency = p.number("ReservedConcurrentExecutions", 1, 1000, 0)
	f.AllowRecursion = p.oneOf("RecursiveLoop", "Allow", "Terminate") == "Allow"
	if tenancy := p.object("TenancyConfig"); tenancy != nil {
		f.PerTenant = tenancy.oneOf("TenantIsolationMode", "PER_TENANT") != ""
		tenancy.end("TenancyConfig has TenantIsolationMode")
	}
	if environment := p.object("Environment"); environment != nil {
		environment.object("Variables").each(func(key string, n *yaml.Node) {
			f.Env[key] = r.variable(environment.where, key, n)
		})
		environment.end("Environment has Variables")
	}
	f.Policies = r.policies(p.take("Policies"), p.where+".Policies")
	if c := p.object("EventInvokeConfig"); c != nil {
		r.asynchronous(c, &f)
	}
	p.object("Events").each(func(id string, n *yaml.Node) {
		f.Schedules = append(f.Schedules, r.schedule(id, n, p.where))
	})
	p.end("remove this property of a function, or implement it in infra/local/template")
	return f
}

// checkBuild checks that the function is built and run in the only way that the local stack supports.
func (r *resolver) checkBuild(res *resource, p *object) {
	if res.metadata == nil || res.metadata.text("BuildMethod") != "makefile" {
		r.fail(res.line, res.where,
			"needs Metadata: {BuildMethod: makefile}: the local stack builds with make build-%s", res.id)
	}
	p.require("Runtime", "Handler", "CodeUri")
	p.oneOf("Runtime", "provided.al2023")
	p.oneOf("Handler", "bootstrap")
	p.oneOf("CodeUri", ".")
	for _, a := range p.texts("Architectures") {
		if a != "arm64" && a != "x86_64" {
			p.fail(p.line, "the architecture %q is unknown: write arm64 or x86_64", a)
		}
	}
}

// variable returns the value of an environment variable. Lambda reserves some names.
func (r *resolver) variable(environment, key string, n *yaml.Node) string {
	where := environment + ".Variables." + key
	if !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`).MatchString(key) {
		r.fail(n.Line, where, "is not a name for a variable: use letters, digits and _, at least two, a letter first")
	}
	switch key {
	case "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "TZ":
		r.fail(n.Line, where, "is set by Lambda and cannot be set here: rename it")
	}
	if strings.HasPrefix(key, "AWS_LAMBDA_") {
		r.fail(n.Line, where, "is set by Lambda and cannot be set here: rename it")
	}
	return r.text(n, where)
}

// schedule reads an event of type Schedule.
func (r *resolver) schedule(id string, n *yaml.Node, where string) Schedule {
	o := r.object(n, where+".Events."+id)
	o.require("Type")
	o.oneOf("Type", "Schedule")
	o.require("Properties")
	p := o.object("Properties")
	o.end("an event has Type and Properties")
	if p == nil {
		return Schedule{}
	}
	p.ignore("Name", "Description")
	p.oneOf("Enabled", "true")
	p.require("Schedule")
	rate, input := p.text("Schedule"), p.text("Input")
	if input != "" && !json.Valid([]byte(input)) {
		p.fail(p.line, "Input is not JSON")
	}
	p.end("a schedule has Schedule, Input, Name and Description")
	m := regexp.MustCompile(`^rate\(([1-9][0-9]{0,4}) (minute|hour|day)s?\)$`).FindStringSubmatch(rate)
	if m == nil {
		p.fail(p.line, "%q is not supported locally: write rate(<n> minutes), hours or days", rate)
		return Schedule{}
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
	count, _ := strconv.Atoi(m[1]) // cannot fail: at most five digits
	return Schedule{LogicalID: id, Every: time.Duration(count) * unit, Input: input}
}

// invokeConfig applies an AWS::Lambda::EventInvokeConfig to its function.
func (r *resolver) invokeConfig(res *resource, t *Template) {
	p := r.properties(res)
	p.require("FunctionName", "Qualifier")
	id := r.functionAt(p.text("FunctionName"), p.where+".FunctionName", p.line)
	p.oneOf("Qualifier", "$LATEST")
	for i := range t.Functions {
		if t.Functions[i].LogicalID == id {
			r.asynchronous(p, &t.Functions[i])
		}
	}
}

// asynchronous reads the retries and the failure destination of asynchronous invocations.
func (r *resolver) asynchronous(p *object, f *Function) {
	f.MaxRetries = p.number("MaximumRetryAttempts", 0, 2, 2)
	f.MaxEventAge = time.Duration(p.number("MaximumEventAgeInSeconds", 60, 21600, 21600)) * time.Second
	if destinations := p.object("DestinationConfig"); destinations != nil {
		if failure := destinations.object("OnFailure"); failure != nil {
			failure.oneOf("Type", "Lambda")
			failure.require("Destination")
			f.OnFailure = r.functionAt(failure.text("Destination"), failure.where, failure.line)
			failure.end("OnFailure has Destination, the Arn of a function")
		}
		destinations.end("only OnFailure is supported")
	}
	p.end("an invoke configuration has MaximumRetryAttempts, MaximumEventAgeInSeconds and DestinationConfig")
}

// Package template resolves a SAM template into what the local stack runs: functions, one WebSocket API, tables. It is
// strict: a resource type, property, intrinsic or reference that it does not know is an error that names the line and
// what to do, because a stack that leaves something out would not be the one that is deployed.
package template

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"carrel/infra/local/iam"
)

// Options say how a template is resolved. Empty members have the defaults that they name.
type Options struct {
	File       string            // for messages; default template.yaml
	Parameters map[string]string // values of parameters; one that the template does not declare is an error
	Offered    map[string]string // values used where the template declares such a parameter and Parameters has none
	StackName  string            // default carrel
	Region     string            // default us-east-1
	Account    string            // default 000000000000
	APIID      string            // default local00000
}

// Template is a resolved template: no intrinsic is left in it. Slices are in the template's order.
type Template struct {
	Functions []Function
	API       API
	Tables    []Table
	Roles     []Role // those that the template makes; a function's own is its Role and Policies
}

// Function is one AWS::Serverless::Function with what other resources say about it.
type Function struct {
	LogicalID      string
	Name           string // the name by which it is invoked
	Env            map[string]string
	MemoryMB       int
	Timeout        time.Duration
	Concurrency    int // ReservedConcurrentExecutions; 0: not limited
	PerTenant      bool
	AllowRecursion bool
	MaxRetries     int           // of asynchronous invokes; 2 unless the template says otherwise
	MaxEventAge    time.Duration // of asynchronous invokes; 6 h unless the template says otherwise
	OnFailure      string        // logical id of the function that gets failed asynchronous invokes; may be empty
	Schedules      []Schedule
	Role           string // its ARN
	Policies       []Statement
}

// Role is one AWS::IAM::Role.
type Role struct {
	LogicalID string
	ARN       string
	Trust     []Statement // who may assume it
	Policies  []Statement
	Longest   time.Duration // a session's
}

// Schedule invokes its function at a fixed rate.
type Schedule struct {
	LogicalID string
	Every     time.Duration
	Input     string // JSON given as the event instead of EventBridge's own; may be empty
}

// Statement is one statement of a policy. Policy variables, such as ${aws:PrincipalTag/user}, are left in it.
type Statement = iam.Statement

// API is the AWS::Serverless::WebSocketApi.
type API struct {
	LogicalID                string
	ID                       string
	Stage                    string
	RouteSelectionExpression string
	Routes                   map[string]string // route key → logical id of its function
	Authorizer               string            // logical id of the function; empty: none
}

// Table is one AWS::DynamoDB::Table.
type Table struct {
	LogicalID string
	Name      string
	Hash      Key
	Range     Key // no name: none
	Indexes   []Index
	TTL       string // attribute; empty: none
}

// Key is a key attribute and its type: S, N or B.
type Key struct{ Name, Type string }

// Index is a secondary index.
type Index struct {
	Name             string
	Local            bool // it shares the table's partitions
	Hash             Key
	Range            Key    // no name: none
	Projection       string // ALL, KEYS_ONLY or INCLUDE
	NonKeyAttributes []string
}

// Error is a mistake in a template, or something in it that the local stack cannot do.
type Error struct {
	File    string
	Line    int
	Where   string // such as Resources.Api.Properties.StageName
	Problem string // what is wrong and what to do
}

// Error is file:line: where: problem.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Where, e.Problem)
}

// Function finds a function by its logical id.
func (t *Template) Function(logicalID string) (Function, bool) {
	for _, f := range t.Functions {
		if f.LogicalID == logicalID {
			return f, true
		}
	}
	return Function{}, false
}

// Resolve reads a template. Its errors are *Error, one at a time, the first that it comes upon.
func Resolve(source []byte, o Options) (*Template, error) {
	r := newResolver(o)
	root, err := r.parse(source)
	if err != nil {
		return nil, err
	}
	sections := r.object(root, "template")
	if err := r.sections(sections); err != nil {
		return nil, err
	}
	t, err := r.build()
	if err != nil {
		return nil, err
	}
	return t, r.cycle()
}

// Parameters are the values that a template's parameters have: those of the options, else the defaults. The first value
// that the template does not accept, alone or beside the others, is an *Error.
func Parameters(source []byte, o Options) (map[string]string, error) {
	r := newResolver(o)
	root, err := r.parse(source)
	if err != nil {
		return nil, err
	}
	r.readValues(r.object(root, "template"))
	return r.parameters, r.err
}

// readValues reads what depends on parameters alone.
func (r *resolver) readValues(o *object) {
	r.readParameters(o.object("Parameters"))
	r.readConditions(o.object("Conditions"))
	o.object("Rules").each(func(name string, n *yaml.Node) { r.rule(name, n) })
}

// sections takes the template apart; what it does not know is an error.
func (r *resolver) sections(o *object) error {
	o.ignore("AWSTemplateFormatVersion", "Description", "Metadata")
	if t := o.text("Transform"); t != "AWS::Serverless-2016-10-31" {
		o.fail(o.line, "Transform must be AWS::Serverless-2016-10-31: the local stack runs SAM templates")
	}
	globals := o.object("Globals")
	r.readValues(o)
	r.readResources(o.object("Resources"), r.readGlobals(globals))
	outputs := o.object("Outputs")
	o.end("the local stack does not know this section: remove it, or teach infra/local/template what it does")
	if r.err != nil {
		return r.err
	}
	r.from = ""
	outputs.each(func(id string, n *yaml.Node) { r.output(id, n) })
	return r.err
}

// output is resolved for its references alone.
func (r *resolver) output(id string, n *yaml.Node) {
	out := r.object(n, "Outputs."+id)
	if c := out.text("Condition"); c != "" && !r.condition(c, out.where, out.line) {
		return
	}
	r.resolve(out.take("Value"), out.where+".Value")
	r.resolve(out.take("Export"), out.where+".Export")
	out.ignore("Description")
	out.end("an output has Description, Value, Export and Condition")
}

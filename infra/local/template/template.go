// Package template resolves a SAM template into what the local stack runs: functions, one WebSocket API, tables and
// roles. It is strict: an unsupported resource type, property or intrinsic, or an unknown reference, is an error with
// its line and a remedy. If the package ignored it, the local stack would differ from the deployed one.
package template

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"carrel/infra/local/iam"
)

// Options are the inputs of a resolution besides the template.
type Options struct {
	File       string            // name for error messages; default template.yaml
	Parameters map[string]string // parameter values; a name that the template does not declare is an error
	Offered    map[string]string // further values, used only for declared parameters that Parameters does not set
	StackName  string            // default carrel
	Region     string            // default us-east-1
	Account    string            // default 000000000000
	APIID      string            // default local00000
}

// Template is a resolved template, without intrinsics. Its slices have the template's order.
type Template struct {
	Functions []Function
	API       API
	Tables    []Table
	Roles     []Role // explicit roles; a function's implicit role is in its fields Role and Policies
}

// Function is an AWS::Serverless::Function, completed by the resources that refer to it.
type Function struct {
	LogicalID      string
	Name           string // name for invocations
	Env            map[string]string
	MemoryMB       int
	Timeout        time.Duration
	Concurrency    int // ReservedConcurrentExecutions; 0 means no limit
	PerTenant      bool
	AllowRecursion bool
	MaxRetries     int           // for asynchronous invocations; default 2
	MaxEventAge    time.Duration // for asynchronous invocations; default 6 h
	OnFailure      string        // logical id of the function for failed asynchronous invocations; may be empty
	Schedules      []Schedule
	Role           string // ARN of its role
	Policies       []Statement
}

// Role is one AWS::IAM::Role.
type Role struct {
	LogicalID  string
	ARN        string
	Trust      []Statement // its trust policy
	Policies   []Statement
	MaxSession time.Duration // maximum duration of a session
}

// Schedule invokes its function at a fixed rate.
type Schedule struct {
	LogicalID string
	Every     time.Duration
	Input     string // JSON event that replaces EventBridge's; may be empty
}

// Statement is a statement of a policy. Policy variables such as ${aws:PrincipalTag/user} are not replaced.
type Statement = iam.Statement

// API is the AWS::Serverless::WebSocketApi.
type API struct {
	LogicalID                string
	ID                       string
	Stage                    string
	RouteSelectionExpression string
	Routes                   map[string]string // route key → logical id of its function
	Authorizer               string            // logical id of the function; may be empty
}

// Table is one AWS::DynamoDB::Table.
type Table struct {
	LogicalID string
	Name      string
	Hash      Key
	Range     Key // empty without a sort key
	Indexes   []Index
	TTL       string // attribute; may be empty
}

// Key is a key attribute and its type: S, N or B.
type Key struct{ Name, Type string }

// Index is a secondary index.
type Index struct {
	Name             string
	Local            bool // the index shares the table's partitions
	Hash             Key
	Range            Key    // empty without a sort key
	Projection       string // ALL, KEYS_ONLY or INCLUDE
	NonKeyAttributes []string
}

// Error is a mistake in a template, or a feature that the local stack does not support.
type Error struct {
	File    string
	Line    int
	Where   string // such as Resources.Api.Properties.StageName
	Problem string // the problem and its remedy
}

// Error returns "file:line: where: problem".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Where, e.Problem)
}

// Function returns the function with this logical id.
func (t *Template) Function(logicalID string) (Function, bool) {
	for _, f := range t.Functions {
		if f.LogicalID == logicalID {
			return f, true
		}
	}
	return Function{}, false
}

// Resolve resolves a template. It returns the first error that it finds, which is an *Error.
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

// Parameters returns the values of a template's parameters: those of the options, else the defaults. A value that the
// template rejects is an *Error, whether a constraint or a rule rejects it.
func Parameters(source []byte, o Options) (map[string]string, error) {
	r := newResolver(o)
	root, err := r.parse(source)
	if err != nil {
		return nil, err
	}
	r.readValues(r.object(root, "template"))
	return r.parameters, r.err
}

// readValues reads the sections that depend on parameters alone.
func (r *resolver) readValues(o *object) {
	r.readParameters(o.object("Parameters"))
	r.readConditions(o.object("Conditions"))
	o.object("Rules").each(func(name string, n *yaml.Node) { r.rule(name, n) })
}

// sections reads the template's sections. An unknown section is an error.
func (r *resolver) sections(o *object) error {
	o.ignore("AWSTemplateFormatVersion", "Description", "Metadata")
	if t := o.text("Transform"); t != "AWS::Serverless-2016-10-31" {
		o.fail(o.line, "Transform must be AWS::Serverless-2016-10-31: the local stack runs SAM templates")
	}
	globals := o.object("Globals")
	r.readValues(o)
	r.readResources(o.object("Resources"), r.readGlobals(globals))
	outputs := o.object("Outputs")
	o.end("remove this section, or implement it in infra/local/template")
	if r.err != nil {
		return r.err
	}
	r.from = ""
	outputs.each(func(id string, n *yaml.Node) { r.output(id, n) })
	return r.err
}

// output checks an output's references. Its value is not used.
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

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fakeChangeSet is a stack's only change set.
type fakeChangeSet struct {
	Name, Kind, Status, Reason, Template string
	Parameters                           map[string]string
	Changes                              []map[string]any
}

// fakeTemplate is as much of a template as the fake reads.
type fakeTemplate struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Resources map[string]struct {
		Type      string `yaml:"Type"`
		Condition string `yaml:"Condition"`
	} `yaml:"Resources"`
}

// createChangeSet compares the template and the parameters with what the stack has.
func (a *fakeAccount) createChangeSet(flags map[string]string, key string, s *fakeStack) error {
	const operation = "CreateChangeSet"
	kind := flags["--change-set-type"]
	switch {
	case kind == "CREATE" && s != nil && s.Status != "REVIEW_IN_PROGRESS":
		return awsFailure("ValidationError", operation, "Stack [%s] already exists and cannot be created again with "+
			"the changeSet", flags["--stack-name"])
	case kind == "UPDATE" && (s == nil || !(&stack{StackStatus: s.Status}).works()):
		return awsFailure("ValidationError", operation, "Stack is in a state and can not be updated")
	case kind != "CREATE" && kind != "UPDATE":
		return awsFailure("ValidationError", operation, "change set type %q", kind)
	case flags["--capabilities"] != "CAPABILITY_IAM":
		return awsFailure("InsufficientCapabilitiesException", operation, "Requires capabilities : [CAPABILITY_IAM]")
	}
	if s == nil {
		s = &fakeStack{ID: "arn:aws:cloudformation:" + key + "/" + strconv.Itoa(len(a.Calls)),
			Status: "REVIEW_IN_PROGRESS", Resources: map[string]string{}}
		a.Stacks[key] = s
	}
	source := s.Template
	if flags["--use-previous-template"] == "" {
		at := regexp.MustCompile(`^https://([^.]+)\.s3\.([^.]+)\.amazonaws\.com/(.+)$`).FindStringSubmatch(flags["--template-url"])
		if at == nil || at[2] != a.region() || a.Objects["s3://"+at[1]+"/"+at[3]] == "" {
			return awsFailure("ValidationError", operation, "S3 error: %s", flags["--template-url"])
		}
		source = a.Objects["s3://"+at[1]+"/"+at[3]]
	}
	values, err := newValues(flags["--parameters"], source, s)
	if err != nil {
		return err
	}
	s.Set = &fakeChangeSet{Name: flags["--change-set-name"], Kind: kind, Status: "CREATE_COMPLETE", Template: source,
		Parameters: values,
		Changes:    a.compare(s, source, values)}
	if len(s.Set.Changes) == 0 {
		s.Set.Status = "FAILED"
		s.Set.Reason = "The submitted information didn't contain changes. Submit different information to create a " +
			"change set."
	}
	return nil
}

// newValues are the parameters that a change set asks for.
func newValues(file, source string, s *fakeStack) (map[string]string, error) {
	const operation = "CreateChangeSet"
	text, err := os.ReadFile(strings.TrimPrefix(file, "file://"))
	if err != nil {
		return nil, err
	}
	var given []struct {
		ParameterKey, ParameterValue string
		UsePreviousValue             bool
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, p := range read(source).Parameters {
		values[name] = p.Default
	}
	for _, p := range given {
		_, declared := values[p.ParameterKey]
		previous, had := s.Parameters[p.ParameterKey]
		switch {
		case !declared:
			return nil, awsFailure("ValidationError", operation, "Parameters: [%s] do not exist in the template",
				p.ParameterKey)
		case p.UsePreviousValue && !had:
			return nil, awsFailure("ValidationError", operation, "Invalid input for parameter key %s. Cannot specify "+
				"usePreviousValue as true", p.ParameterKey)
		case p.UsePreviousValue:
			values[p.ParameterKey] = previous
		default:
			values[p.ParameterKey] = p.ParameterValue
		}
	}
	return values, nil
}

func read(source string) (t fakeTemplate) {
	if err := yaml.Unmarshal([]byte(source), &t); err != nil {
		panic(err) // the test's own template
	}
	return t
}

// wanted are the resources of a template with these parameters.
func wanted(source string, values map[string]string) map[string]string {
	holds := map[string]bool{
		"": true, "HasPage": values["Page"] == "on", "OwnPool": values["Issuer"] == "",
		"HasProbes":  values["Probe"] == "on",
		"LogsAccess": values["AccessLogs"] != "off", "MakesLogRole": values["AccessLogs"] == "with-role",
	}
	all := map[string]string{}
	for id, r := range read(source).Resources {
		if holds[r.Condition] {
			all[id] = r.Type
		}
	}
	return all
}

// compare lists what changes.
func (a *fakeAccount) compare(s *fakeStack, source string, values map[string]string) []map[string]any {
	changes := []map[string]any{}
	add := func(action, id, kind, replacement string) {
		r := map[string]any{"Action": action, "LogicalResourceId": id, "ResourceType": kind}
		if replacement != "" {
			r["Replacement"] = replacement
		}
		changes = append(changes, map[string]any{"Type": "Resource", "ResourceChange": r})
	}
	want := wanted(source, values)
	for id, kind := range want {
		switch {
		case s.Resources[id] == "":
			add("Add", id, kind, "")
		case slices.Contains(a.Replaces, id):
			add("Modify", id, kind, "True")
		case id == "Table" && (values["DeletionProtection"] != s.Parameters["DeletionProtection"] ||
			source != s.Template):
			add("Modify", id, kind, "False")
		}
	}
	for id, kind := range s.Resources {
		if want[id] == "" {
			add("Remove", id, kind, "")
		}
	}
	slices.SortFunc(changes, func(x, y map[string]any) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	return changes
}

package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// reporters returns the functions whose code reports isolation violations. It is the one list of such functions: the
// alarms of the template and the documentation are checked against it.
func reporters(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../functions/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && strings.Contains(contents(t, file), ".Violation(") {
			all = append(all, filepath.Base(filepath.Dir(file)))
		}
	}
	return slices.Compact(all)
}

func contents(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type alarm struct {
	Type       string
	Properties struct {
		Namespace, MetricName, Statistic, ComparisonOperator, TreatMissingData string
		Dimensions                                                             []struct{ Name, Value string }
		Period, Threshold, EvaluationPeriods, DatapointsToAlarm                int
	}
}

// violationAlarms returns the alarms on the metric IsolationViolation, by their name in template.yaml as it is written.
func violationAlarms(t *testing.T) map[string]alarm {
	t.Helper()
	var plain any
	var template struct{ Resources map[string]json.RawMessage }
	err := yaml.Unmarshal([]byte(contents(t, "../../template.yaml")), &plain)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain)
	if err == nil {
		err = json.Unmarshal(text, &template)
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]alarm{}
	for id, resource := range template.Resources {
		var a alarm
		if !bytes.Contains(resource, []byte(`"AWS::CloudWatch::Alarm"`)) ||
			!bytes.Contains(resource, []byte(monitor.IsolationViolation)) {
			continue
		}
		if err := json.Unmarshal(resource, &a); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if a.Properties.MetricName == monitor.IsolationViolation {
			found[id] = a
		}
	}
	return found
}

// Every function that reports violations has an alarm, and no other function has one. All alarms have the same
// definition: they evaluate a metric with a resolution of one second every ten seconds, and ring at the first
// violation. Each looks back one minute, in which one data point is enough. AWS recommends that for metrics that arrive
// through Lambda's log, because a data point may arrive after its own ten seconds have been evaluated.
func TestViolationAlarms(t *testing.T) {
	t.Attr("row", "E2: the alarm rings within a minute")
	alarms := violationAlarms(t)
	for _, function := range reporters(t) {
		name := strings.ToUpper(function[:1]) + function[1:]
		id := name + "ViolationAlarm"
		a, ok := alarms[id]
		delete(alarms, id)
		if !ok {
			t.Errorf("%s reports violations and has no alarm: add %s to template.yaml, as a copy of another "+
				"...ViolationAlarm",
				function, id)
		}
		p := a.Properties
		if p.Namespace != "Carrel" || p.MetricName != monitor.IsolationViolation || p.Statistic != "Sum" ||
			p.Threshold != 1 ||
			p.ComparisonOperator != "GreaterThanOrEqualToThreshold" || len(p.Dimensions) != 1 ||
			p.Dimensions[0].Name != "Function" || p.Dimensions[0].Value != name+"Function" ||
			p.Period != 10 || p.DatapointsToAlarm != 1 || p.EvaluationPeriods != 6 ||
			p.TreatMissingData != "notBreaching" {
			t.Errorf("%s does not ring at the first violation of %s: %+v", id, function, p)
		}
	}
	for id := range alarms {
		t.Errorf("%s watches a function that reports no violation: remove it from template.yaml", id)
	}
	var line bytes.Buffer
	monitor.New(&line, "f", slog.New(slog.DiscardHandler)).Violation(t.Context(), monitor.Tenant, chat.User{})
	if !strings.Contains(line.String(), `"StorageResolution":1`) {
		t.Errorf("the metric has a resolution of one minute, and the alarms evaluate it every 10 s: %s", line.String())
	}
	t.Attr("figure", fmt.Sprintf("%d functions report violations; the alarm of each evaluates the last 60 s every 10 s",
		len(reporters(t))))
}

// Every guard is used by a function and has a row in the table of docs/locks.md. The table has no other rows.
func TestGuards_Documented(t *testing.T) {
	_, table, _ := strings.Cut(contents(t, "../../docs/locks.md"), "| guard | refuses |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Count(table, "\n| `")
	files, err := filepath.Glob("../../functions/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			code.WriteString(contents(t, file))
		}
	}
	all := guards(t)
	for name, value := range all {
		if !strings.Contains(table, "\n| `"+value+"` |") {
			t.Errorf("the table of guards in docs/locks.md has no row for %s (monitor.%s)", value, name)
		}
		if !strings.Contains(code.String(), "monitor."+name) {
			t.Errorf("no function reports the guard monitor.%s: remove it", name)
		}
	}
	if rows != len(all) || rows == 0 {
		t.Errorf("the table of guards in docs/locks.md has %d rows for %d guards", rows, len(all))
	}
}

// guards returns the constants of type monitor.Guard and their values, by name.
func guards(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../shared/monitor/violation.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := s.Type.(*ast.Ident); ok && kind.Name == "Guard" {
			value, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[s.Names[0].Name] = value
		}
		return true
	})
	return found
}

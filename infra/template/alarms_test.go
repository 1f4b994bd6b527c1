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

// watched are the metrics that alarms look at, as "function metric".
func watched(t *testing.T, resources object) (all []string) {
	t.Helper()
	add := func(id string, m any) {
		function, _ := at(list(at(m, "Dimensions"))[0], "Value", "Ref").(string)
		if at(m, "Namespace") != "Carrel" || at(list(at(m, "Dimensions"))[0], "Name") != "Function" || function == "" {
			t.Errorf("%s looks at %s, which nobody writes", id, text(m))
		}
		all = append(all, fmt.Sprint(strings.ToLower(strings.TrimSuffix(function, "Function")), " ", at(m, "MetricName")))
	}
	each(t, resources, "AWS::CloudWatch::Alarm", func(id string, a any) {
		p := at(a, "Properties")
		if at(p, "MetricName") != nil {
			add(id, p)
		}
		for _, m := range list(at(p, "Metrics")) {
			if metric := at(m, "MetricStat", "Metric"); metric != nil {
				add(id, metric)
			}
		}
	})
	slices.Sort(all)
	return all
}

// names are the metrics that the package monitor has.
func names(t *testing.T) (all []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../shared/monitor/monitor.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok && len(s.Values) == 1 && s.Names[0].IsExported() {
			if v, ok := s.Values[0].(*ast.BasicLit); ok {
				name, err := strconv.Unquote(v.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, name)
			}
		}
		return true
	})
	return all
}

// An alarm on a metric that no function writes never rings; one without a reader is not heard. None rings because nothing
// happens.
func TestAlarms(t *testing.T) {
	t.Attr("row", "E2: each alarm watches a metric that is written")
	t.Attr("row", "E4: residue has an alarm")
	r := transformed(t)
	want := []string{"connect IsolationViolation", "disconnect IsolationViolation", "message IsolationViolation",
		"sweep IsolationViolation", "sweep SweepEnded", "sweep SweepResumed", "sweep SweepSeats", "sweep SweepStarted",
		"turn ContextsActive", "turn IsolationViolation", "turn Residue"}
	got := watched(t, r)
	if !slices.Equal(got, want) {
		t.Errorf("alarms look at\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for _, w := range got {
		if _, metric, _ := strings.Cut(w, " "); !slices.Contains(names(t), metric) {
			t.Errorf("monitor has no metric %s", metric)
		}
	}
	each(t, r, "AWS::CloudWatch::Alarm", func(id string, a any) {
		p := at(a, "Properties")
		if text(at(p, "AlarmActions")) != "{Fn::If:[TellsAlarms,[{Ref:AlarmTopic}],{Ref:AWS::NoValue}]}" || at(p, "TreatMissingData") != "notBreaching" {
			t.Errorf("%s: %s", id, text(p))
		}
	})
	for _, id := range []string{"ResidueAlarm", "LostSeatsAlarm"} {
		p := at(r, id, "Properties")
		if at(p, "Period") != float64(60) || at(p, "EvaluationPeriods") != float64(1) || at(p, "Threshold") != float64(1) || at(p, "Statistic") != "Sum" {
			t.Errorf("%s does not ring at the first one: %s", id, text(p))
		}
	}
	everyViolationRings(t, got)
	t.Attr("figure", fmt.Sprintf("%d metrics are watched by alarms, each of which is written", len(got)))
}

// everyViolationRings checks that each function that can notice a violation has an alarm.
func everyViolationRings(t *testing.T, got []string) {
	t.Helper()
	for _, function := range noticers(t) {
		if !slices.Contains(got, function+" IsolationViolation") {
			t.Errorf("%s may record a violation, and nobody is told: give it an alarm", function)
		}
	}
}

// noticers are the functions that can notice a violation.
func noticers(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../functions/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") && strings.Contains(string(content), ".Violation(") {
			all = append(all, filepath.Base(filepath.Dir(file)))
		}
	}
	return slices.Compact(all)
}

// The alarm of each function that can notice a violation looks every ten seconds, by a metric of a second's resolution, and
// rings at the first one. It looks at a minute, of which one point is enough: AWS wants that of an alarm whose metric comes
// by Lambda's log, since a point may come after its own ten seconds were looked at. It reads the template as it stands.
func TestAViolationRingsWithinAMinute(t *testing.T) {
	t.Attr("row", "E2: the alarm rings within a minute")
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				Namespace, MetricName, Statistic, ComparisonOperator string
				Dimensions                                           []struct{ Name, Value string }
				Period, Threshold                                    int
				EvaluationPeriods, DatapointsToAlarm                 int
			}
		}
	}
	var plain any
	if err := yaml.Unmarshal(source, &plain); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain) // whose names are found as they are written
	if err == nil {
		err = json.Unmarshal(text, &template)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, function := range noticers(t) {
		id := strings.ToUpper(function[:1]) + function[1:]
		a, ok := template.Resources[id+"ViolationAlarm"]
		p := a.Properties
		if !ok || p.Namespace != "Carrel" || p.MetricName != monitor.IsolationViolation || p.Statistic != "Sum" || p.Threshold != 1 ||
			p.ComparisonOperator != "GreaterThanOrEqualToThreshold" || len(p.Dimensions) != 1 || p.Dimensions[0].Value != id+"Function" ||
			p.Period != 10 || p.DatapointsToAlarm != 1 || p.EvaluationPeriods != 6 {
			t.Errorf("%sViolationAlarm does not ring at the first violation of %s: %+v", id, function, p)
		}
	}
	var line bytes.Buffer
	monitor.New(&line, "f", slog.New(slog.DiscardHandler)).Violation(t.Context(), monitor.Tenant, chat.User{})
	if !strings.Contains(line.String(), `"StorageResolution":1`) {
		t.Errorf("an alarm looks each 10 s at %s", line.String())
	}
	t.Attr("figure", fmt.Sprintf("%d functions can notice a violation, and the alarm of each looks every 10 s at the last 60 s", len(noticers(t))))
}

// Who admits, works and sweeps is told of the same limits, and a run ends before its function does.
func TestLimits(t *testing.T) {
	t.Attr("row", "A3: all functions have the same limits, and a run ends before its function times out")
	r, limits, functions := transformed(t), 0, 0
	for _, id := range []string{"MessageFunction", "TurnFunction", "SweepFunction"} {
		functions, limits = functions+1, 0
		for variable, parameter := range map[string]string{"RUNS_PER_USER": "RunsPerUser", "QUEUED_PER_USER": "QueuedPerUser",
			"RUN_BURST": "RunBurst", "RUNS_PER_HOUR": "RunsPerHour", "RUN_SECONDS": "RunSeconds", "RUN_ATTEMPTS": "RunAttempts", "EVENT_DAYS": "EventDays"} {
			equal(t, r, "{Ref:"+parameter+"}", id, "Properties", "Environment", "Variables", variable)
			limits++
		}
	}
	if timeout := at(r, "TurnFunction", "Properties", "Timeout"); timeout != float64(900) {
		t.Errorf("turn lives for %v s; a run may take 840 and wants some to be ended", timeout)
	}
	t.Attr("figure", fmt.Sprintf("%d limits, the same for %d functions", limits, functions))
}

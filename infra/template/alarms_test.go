package template_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrel/shared/monitor"
)

// watched are the metrics of our own that alarms look at, as "function metric". Those of AWS must have the dimension of
// their service, by which CloudWatch finds them.
func watched(t *testing.T, resources object) (all []string) {
	t.Helper()
	byService := map[string]string{"Carrel": "Function", "AWS/Lambda": "FunctionName", "AWS/ApiGateway": "ApiId",
		"AWS/DynamoDB": "TableName"}
	add := func(id string, m any) {
		namespace, _ := at(m, "Namespace").(string)
		resource, _ := at(list(at(m, "Dimensions"))[0], "Value", "Ref").(string)
		if name := at(list(at(m, "Dimensions"))[0], "Name"); resource == "" || name != byService[namespace] {
			t.Errorf("%s watches %s, which nothing writes", id, text(m))
		}
		if namespace == "Carrel" {
			all = append(all, fmt.Sprint(strings.ToLower(strings.TrimSuffix(resource, "Function")), " ",
				at(m, "MetricName")))
		}
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

// An alarm on a metric that no function writes never rings; one without a reader is not heard. None rings because
// nothing happens.
func TestAlarms(t *testing.T) {
	t.Attr("row", "E2: each alarm watches a metric that is written")
	t.Attr("row", "E4: residue has an alarm")
	r := transformed(t)
	want := []string{"sweep NoCapacity", "sweep SweepEnded", "sweep SweepErased", "sweep SweepResumed",
		"sweep SweepSlots", "sweep SweepStarted", "turn ContextsActive", "turn ModelRefused",
		"turn Residue", "turn TimeToFirstEvent"}
	for _, function := range reporters(t) {
		want = append(want, function+" "+monitor.IsolationViolation)
	}
	slices.Sort(want)
	got := watched(t, r)
	if !slices.Equal(got, want) {
		t.Errorf("alarms look at\n  %s\nwant\n  %s\nIf you added an alarm, add its function and metric to want.",
			strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for _, w := range got {
		if _, metric, _ := strings.Cut(w, " "); !slices.Contains(names(t), metric) {
			t.Errorf("monitor has no metric %s", metric)
		}
	}
	each(t, r, "AWS::CloudWatch::Alarm", func(id string, a any) {
		p, missing := at(a, "Properties"), "notBreaching"
		if id == "SweepSilentAlarm" {
			missing = "breaching" // sweep runs each minute
		}
		const topic = "{Fn::If:[TellsAlarms,[{Ref:AlarmTopic}],{Ref:AWS::NoValue}]}"
		if text(at(p, "AlarmActions")) != topic || text(at(p, "OKActions")) != topic ||
			at(p, "TreatMissingData") != missing {
			t.Errorf("%s: %s", id, text(p))
		}
	})
	for _, id := range []string{"ResidueAlarm", "LostSlotsAlarm"} {
		p := at(r, id, "Properties")
		if at(p, "Period") != float64(60) || at(p, "EvaluationPeriods") != float64(1) ||
			at(p, "Threshold") != float64(1) || at(p, "Statistic") != "Sum" {
			t.Errorf("%s does not ring at the first one: %s", id, text(p))
		}
	}
	t.Attr("figure", fmt.Sprintf("%d metrics are watched by alarms, each of which is written", len(got)))
}

// message, turn and sweep get the same limits, and a run ends before its function does.
func TestLimits(t *testing.T) {
	t.Attr("row", "A3: all functions have the same limits, and a run ends before its function times out")
	r, limits, functions := transformed(t), 0, 0
	for _, id := range []string{"MessageFunction", "TurnFunction", "SweepFunction"} {
		functions, limits = functions+1, 0
		for variable, parameter := range map[string]string{
			"RUNS_PER_USER": "RunsPerUser", "QUEUED_PER_USER": "QueuedPerUser", "RUN_BURST": "RunBurst",
			"RUNS_PER_HOUR": "RunsPerHour", "RUN_SECONDS": "RunSeconds", "RUN_ATTEMPTS": "RunAttempts",
			"EVENT_DAYS": "EventDays",
		} {
			equal(t, r, "{Ref:"+parameter+"}", id, "Properties", "Environment", "Variables", variable)
			limits++
		}
	}
	equal(t, r, "{Ref:TokensPerDay}", "MessageFunction", "Properties", "Environment", "Variables", "TOKENS_PER_DAY")
	equal(t, r, "{Ref:RunTokens}", "TurnFunction", "Properties", "Environment", "Variables", "RUN_TOKENS")
	if timeout := at(r, "TurnFunction", "Properties", "Timeout"); timeout != float64(900) {
		t.Errorf("turn lives for %v s; it works on a run for 840", timeout)
	}
	t.Attr("figure", fmt.Sprintf("%d limits, the same for %d functions", limits, functions))
}

// The dashboard shows every metric that the functions write. CloudWatch bills each metric, so an unused metric has to
// be removed. A row of the dashboard has three graphs, side by side.
func TestDashboard(t *testing.T) {
	body, _ := at(transformed(t), "Dashboard", "Properties", "DashboardBody", "Fn::Sub").(string)
	var board struct {
		Widgets []struct {
			X, Y, Width, Height int
			Properties          struct {
				Title   string
				Metrics [][]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &board); err != nil {
		t.Fatalf("the body of the dashboard: %v", err)
	}
	shown, places := map[string]bool{}, map[[2]int]bool{}
	for i, w := range board.Widgets {
		place := [2]int{w.X, w.Y}
		if places[place] || w.X != i%3*8 || w.Y != i/3*6 || w.Width != 8 || w.Height != 6 {
			t.Errorf("the graph %q stands at %v", w.Properties.Title, place)
		}
		places[place] = true
		for _, m := range w.Properties.Metrics {
			if m[0] == "Carrel" {
				shown[m[1].(string)] = true
			}
		}
	}
	for _, name := range names(t) {
		if !shown[name] {
			t.Errorf("the dashboard of template.yaml does not show %s: add it, or remove the metric", name)
		}
		delete(shown, name)
	}
	for name := range shown {
		t.Errorf("the dashboard shows %s, which no function writes", name)
	}
	if n := len(board.Widgets); n > 20 {
		t.Errorf("the dashboard has %d graphs, and an operator can read 20", n)
	}
}

// An operator finds each metric and each alarm on the page.
func TestAlarms_OperatingPage(t *testing.T) {
	const page = "docs/operating.md"
	listed := contents(t, "../../"+page)
	for _, name := range names(t) {
		if !strings.Contains(listed, "`"+name+"`") {
			t.Errorf("%s does not list the metric %s of shared/monitor: add a row to the table of metrics", page, name)
		}
	}
	alarms := regexp.MustCompile(`(?m)^  (\w+Alarm):$`).FindAllStringSubmatch(contents(t, "../../template.yaml"), -1)
	if len(alarms) < 5 {
		t.Fatalf("the template has %d alarms: the test looks for the wrong text", len(alarms))
	}
	for _, alarm := range alarms {
		if !strings.Contains(listed, "`"+alarm[1]+"`") {
			t.Errorf("%s does not list %s of template.yaml: add a row to the table of alarms", page, alarm[1])
		}
	}
}

package template_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"carrel/shared/chat"
)

// The template's default limits are those of the audit and of chat.DefaultLimits. A run
// may take at most one hour.
func TestLimits_OfRun(t *testing.T) {
	t.Attr("row", "A3: the default limits, and an hour as the longest run")
	l := chat.DefaultLimits()
	if l.Runs != 5 || l.RunTime != 5*time.Minute || l.ModelCalls > 25 || l.ToolCalls > 50 || l.Events > 10_000 ||
		l.ModelCalls*l.ToolCalls*l.Events*l.OutputBytes*l.MemoryBytes == 0 {
		t.Errorf("by default the limits are %+v", l)
	}
	parameters := parametersOf(t)
	for name, want := range map[string]int{
		"RunsPerUser": l.Runs, "QueuedPerUser": l.Queued, "RunBurst": l.RunBurst, "RunsPerHour": l.RunsPerHour,
		"FrameBurst": l.FrameBurst, "FramesPerSecond": l.FrameRate, "TokensPerDay": l.DayTokens, "RunTokens": l.Tokens,
		"RunSeconds": int(l.RunTime / time.Second), "RunAttempts": l.Attempts,
		"EventDays": int(l.Retention / (24 * time.Hour)),
	} {
		if got := parameters[name].Default; got != want {
			t.Errorf("%s is %d in template.yaml and %d in chat.DefaultLimits: change both", name, got, want)
		}
	}
	longest := time.Duration(parameters["RunSeconds"].MaxValue) * time.Second
	if longest != time.Hour {
		t.Errorf("a run may be given %v", longest)
	}
	t.Attr("figure", fmt.Sprintf("%d runs of a user; of a run %v, %v at most, %d model calls, %d tool calls, %d "+
		"events, %d MB of output", l.Runs, l.RunTime,
		longest, l.ModelCalls, l.ToolCalls, l.Events, l.OutputBytes>>20))
}

// parameter is a number that a deployment may be given.
// The page about the deployment gives the default of each parameter that is a number.
func TestLimits_DeployingPage(t *testing.T) {
	const page = "docs/deploying.md"
	listed, n := contents(t, "../../"+page), 0
	for name, p := range parametersOf(t) {
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| `(\\d+)` \\|").FindStringSubmatch(listed)
		if row == nil {
			continue // in a row with others
		}
		if n++; row[1] != fmt.Sprint(p.Default) {
			t.Errorf("%s says that %s is %s by default, and template.yaml has %d: correct the page, and docs/limits.md",
				page, name, row[1], p.Default)
		}
	}
	if n < 8 {
		t.Errorf("%s has the defaults of %d parameters: the test looks for the wrong text", page, n)
	}
}

type parameter struct{ Default, MaxValue int }

// parametersOf are the template's.
func parametersOf(t *testing.T) map[string]parameter {
	t.Helper()
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plain struct {
		Parameters map[string]map[string]any `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(source, &plain); err != nil {
		t.Fatal(err)
	}
	all := map[string]parameter{}
	for name, p := range plain.Parameters {
		if p["Type"] != "Number" {
			continue
		}
		var number parameter
		text, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(text, &number)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all[name] = number
	}
	return all
}

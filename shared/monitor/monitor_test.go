package monitor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat/chattest"
	"carrel/shared/monitor"
)

func TestCount_OneLine(t *testing.T) {
	var out bytes.Buffer
	monitor.New(&out, "turn", slog.New(slog.DiscardHandler)).Count(monitor.RunsEnded, 3)
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		Function  string
		RunsEnded int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%q is not one line of JSON: %v", out.String(), err)
	}
	d := line.AWS.CloudWatchMetrics
	if line.Function != "turn" || line.RunsEnded != 3 || line.AWS.Timestamp == 0 || len(d) != 1 ||
		d[0].Namespace != "Carrel" ||
		d[0].Dimensions[0][0] != "Function" || d[0].Metrics[0].Name != "RunsEnded" || d[0].Metrics[0].Unit != "Count" {
		t.Errorf("line %s", out.String())
	}
}

// Values that are recorded together form one line, each with its unit. The function is the only dimension.
func TestRecord_SeveralMetricsInOneLine(t *testing.T) {
	var out bytes.Buffer
	monitor.New(&out, "turn", slog.New(slog.DiscardHandler)).Record(monitor.N(monitor.Attempts, 2),
		monitor.Took(monitor.TimeRunning, 1500*time.Microsecond), monitor.Took(monitor.TimeQueued, -time.Second))
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		Attempts                int
		TimeRunning, TimeQueued float64
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%q is not one line of JSON: %v", out.String(), err)
	}
	if d := line.AWS.CloudWatchMetrics; len(d) != 1 || fmt.Sprint(d[0].Dimensions) != "[[Function]]" ||
		fmt.Sprint(d[0].Metrics) != "[{Attempts Count} {TimeRunning Milliseconds} {TimeQueued Milliseconds}]" {
		t.Errorf("line %s", out.String())
	}
	if line.Attempts != 2 || line.TimeRunning != 1.5 || line.TimeQueued != 0 { // clocks of two machines may differ
		t.Errorf("line %s", out.String())
	}
}

// A violation is recorded as one line with the metric, which an alarm can evaluate every ten seconds, and one line in
// the log. Both are written when Violation returns, and hold ids only as hashes.
func TestViolation_HashesOnly(t *testing.T) {
	t.Attr("row", "E2: a violation record names the guard and not the user")
	var out, log bytes.Buffer
	m := monitor.New(&out, "message", slog.New(slog.NewJSONHandler(&log, nil)))
	u := chattest.User(t, "alice")
	m.Violation(t.Context(), monitor.ConnectionOwner, u, monitor.Request("q-1"), monitor.Connection("c1="),
		monitor.Thread("to bob"), monitor.Run(""))
	for name, text := range map[string]string{"metric": out.String(), "log": log.String()} {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil || strings.Count(text, "\n") != 1 {
			t.Fatalf("the %s %q is not one line of JSON: %v", name, text, err)
		}
		for _, secret := range []string{"alice", "c1=", "to bob"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %q in clear: %s", name, secret, text)
			}
		}
		for _, want := range []string{u.Hash(), "connection_owner", "q-1", "ConnectionHash", "ThreadHash"} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s lacks %q: %s", name, want, text)
			}
		}
		if strings.Contains(text, "RunHash") {
			t.Errorf("the %s has the hash of a run, and the violation is about no run: %s", name, text)
		}
	}
	if !strings.Contains(out.String(), `{"Name":"IsolationViolation","Unit":"Count","StorageResolution":1}`) {
		t.Errorf("the metric has a resolution of one minute: %s", out.String())
	}
	t.Attr("figure", fmt.Sprintf("2 lines of JSON, %d bytes, with the guard and hashes, and no id in clear",
		out.Len()+log.Len()))
	other := monitor.New(&out, "turn", slog.New(slog.DiscardHandler))
	out.Reset()
	other.Count(monitor.RunsEnded, 1)
	if strings.Contains(out.String(), "StorageResolution") {
		t.Errorf("other metrics must have the standard resolution: %s", out.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestCount_WriteError(t *testing.T) {
	var log bytes.Buffer
	monitor.New(broken{}, "turn", slog.New(slog.NewTextHandler(&log, nil))).Count(monitor.Residue, 1)
	if !strings.Contains(log.String(), "broken pipe") {
		t.Errorf("log %q, want the error of the lost metric", log.String())
	}
}

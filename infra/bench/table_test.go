package bench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// rawLines returns raw lines: each side's samples of a metric, the second half of which are controls.
func rawLines(t *testing.T, lines ...line) []byte {
	t.Helper()
	var raw []byte
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(append(raw, text...), '\n')
	}
	return raw
}

// samples returns a side's samples of a metric and their controls.
func samples(metric, side string, values, controls []float64) (all []line) {
	for control, list := range map[bool][]float64{false: values, true: controls} {
		for _, v := range list {
			all = append(all, line{Metric: metric, Side: side, Control: control,
				sample: sample{v, 40 * time.Microsecond}, Load: "2.5 3.1 4"})
		}
	}
	return all
}

func TestTable(t *testing.T) {
	const posts, idle, push = "posts, 16 callers", "idle socket", "push to one socket"
	var lines []line
	for _, side := range [][]line{
		samples(posts, subjectSide, []float64{80, 90, 100}, []float64{81, 91, 101}),
		samples(posts, peerSide, []float64{100, 100, 100}, []float64{100, 100, 100}),
		samples(idle, subjectSide, []float64{10, 10, 10}, []float64{11.2, 11.2, 11.2}), // 12 % more
		samples(idle, peerSide, []float64{20, 20, 20}, []float64{20, 20, 20}),
		samples(push, subjectSide, []float64{7}, []float64{7}),
		samples(firstEvent, subjectSide, []float64{90}, []float64{90}),
		{{Metric: push, Side: absent, Why: "it cannot be installed here"}},
	} {
		lines = append(lines, side...)
	}
	got, err := table(rawLines(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| posts, 16 callers | 90.5 posts/s | 40 µs | centrifuge | 100 | 40 µs | 0.91× | ≥ 0.80× | yes | 1.01 | " +
			"2.50 |\n",
		"| idle socket | 10.6 KiB | 40 µs | centrifuge | 20 | 40 µs | void: the machine is too noisy | ≤ 0.45× | – | ",
		"| push to one socket | 7 posts/s | 40 µs | serverless-offline | – | – | left out: it cannot be installed",
		"| first event, AWS-like | 90 ms | 40 µs | – | – | – | – | ≤ 86 ms | **no** | 1.00 | 2.50 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks the line\n%sit is\n%s", want, got)
		}
	}
	if strings.Contains(got, "| fan-out") || !strings.Contains(got, "Not measured: first text, AWS-like; ") {
		t.Errorf("the table has a metric that was not measured, or does not name it:\n%s", got)
	}
}

// TestMetrics_Documented compares the metrics and their targets with docs/performance.md.
func TestMetrics_Documented(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics() {
		target := m.ratio.text("×")
		if !m.ratio.set() {
			target = m.figure.text(" " + m.unit)
		}
		_, row, found := bytes.Cut(page, []byte("\n| "+m.name+" | "))
		row, _, _ = bytes.Cut(row, []byte("\n"))
		if !found || !bytes.Contains(row, []byte("| "+target+" |")) {
			t.Errorf("docs/performance.md lacks a line of %q with the target %s", m.name, target)
		}
	}
}

// TestListener_Faults shows a socket of the posts what its check must notice.
func TestListener_Faults(t *testing.T) {
	for name, frames := range map[string][]string{
		"all":              {`{"to":"me","n":0,"text":""}`, `{"to":"me","n":1,"text":""}{"to":"me","n":2,"text":""}`},
		"lost":             {`{"to":"me","n":0,"text":""}`, `{"to":"me","n":2,"text":""}`},
		"repeated":         {`{"to":"me","n":0,"text":""}`, `{"to":"me","n":0,"text":""}`},
		"foreign":          {`{"to":"other","n":0,"text":""}`},
		"of another round": {`{"to":"me","n":3,"text":""}`},
	} {
		l := &listener{name: "me"}
		l.expect(3)
		for _, f := range frames {
			l.check([]byte(f))
		}
		if ok := l.failed == nil && l.left == 0; ok != (name == "all") {
			t.Errorf("%s: %d are missing, %v", name, l.left, l.failed)
		}
	}
}

// TestDevice_Faults shows a device what its check must notice.
func TestDevice_Faults(t *testing.T) {
	frame := func(thread chat.ThreadID, seq chat.Seq) []byte {
		parts, err := wire.Encode(&wire.Events{ThreadID: thread, Epoch: "e", Seq: seq,
			Events: []agui.Event{{Type: agui.TextMessageContent, MessageID: "m", Delta: "x"}}}, "id")
		if err != nil || len(parts) != 1 {
			t.Fatalf("%d parts: %v", len(parts), err)
		}
		return parts[0]
	}
	for name, second := range map[string][]byte{"next": frame("t", 6), "lost": frame("t", 7), "repeated": frame("t", 5),
		"foreign": frame("other", 6)} {
		d := &device{thread: "t"}
		if err := d.check(frame("t", 5)); err != nil {
			t.Fatal(err)
		}
		if err := d.check(second); (err == nil) != (name == "next") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

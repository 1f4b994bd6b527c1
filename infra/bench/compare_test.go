package bench_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Environment variables of make bench: the folder for its results, and its quick form.
const (
	folderVariable = "CARREL_BENCH"
	quickVariable  = "CARREL_BENCH_QUICK"
)

// noise is the largest deviation of a control from 1 at which a ratio is printed.
const noise = 0.10

// sample is one measurement: a figure in the metric's unit, and the processor time of the server for one operation.
type sample struct {
	Value float64
	CPU   time.Duration
}

// line is a line of raw.jsonl: one sample. Each round has two of each side. Control marks the second.
type line struct {
	Metric, Side string
	Round        int
	Control      bool
	sample
	Load string // of the machine, at that moment
	Why  string `json:",omitempty"` // the peer is missing, if Side is absent
}

// The sides of a comparison.
const (
	subjectSide = "Carrel"
	peerSide    = "peer"
	absent      = "absent" // a line that says why the peer is missing
)

// quick reports whether this is the quick form: few rounds, and only peers that are installed.
func quick() bool { return os.Getenv(quickVariable) != "" }

// size returns the first size in the full form, and the second in the quick form.
func size[T any](full, short T) T {
	if quick() {
		return short
	}
	return full
}

// compare measures a metric in rounds. Subject and peer alternate, and each is measured twice in a round: the second
// measurement is the control of the first. peer is nil if the metric has none or the peer is not installed.
func compare(t *testing.T, name string, subject, peer func(*testing.T) sample) {
	t.Helper()
	many(t, []string{name}, single(subject), single(peer))
}

func single(do func(*testing.T) sample) func(*testing.T) []sample {
	if do == nil {
		return nil
	}
	return func(t *testing.T) []sample { return []sample{do(t)} }
}

// many compares several metrics that one trial measures.
func many(t *testing.T, names []string, subject, peer func(*testing.T) []sample) {
	t.Helper()
	sides := []struct {
		name string
		do   func(*testing.T) []sample
	}{{subjectSide, subject}, {peerSide, peer}}
	for _, s := range sides { // warm both up
		if s.do != nil {
			s.do(t)
		}
	}
	for round := range size(5, 1) {
		for _, control := range []bool{false, true} {
			for _, s := range sides {
				if s.do == nil {
					continue
				}
				for i, x := range s.do(t) {
					if i < len(names) {
						record(t, line{names[i], s.name, round, control, x, load(), ""})
					}
				}
			}
		}
		slices.Reverse(sides) // neither side always comes first
	}
}

// missing records why the peer of a metric is missing.
func missing(t *testing.T, name, why string) {
	t.Helper()
	fmt.Printf("%s: the peer is left out: %s\n", name, why)
	record(t, line{Metric: name, Side: absent, Why: why})
}

// record prints a sample and appends it to raw.jsonl.
func record(t *testing.T, l line) {
	t.Helper()
	if !slices.ContainsFunc(metrics(), func(m metric) bool { return m.name == l.Metric }) {
		t.Fatalf("%q is not in metrics", l.Metric)
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(rawFile()), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(rawFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(append(text, '\n'))
	if err = cmp.Or(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if l.Side != absent {
		fmt.Printf("  %-40s %-7s round %d  %10s  CPU %s\n", l.Metric, l.Side, l.Round+1, figure(l.Value), l.CPU)
	}
}

// rawFile returns the file of the raw lines. CARREL_BENCH=1 chooses no folder.
func rawFile() string {
	folder := os.Getenv(folderVariable)
	if folder == "1" {
		folder = filepath.Join("..", "..", ".carrel", "bench", "latest")
	}
	return filepath.Join(folder, "raw.jsonl")
}

// load returns the machine's load averages.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// table returns the result of raw lines as Markdown, one line for each metric that was measured.
func table(raw []byte) (string, error) {
	sides, why := map[string][]line{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return "", fmt.Errorf("read the raw line %q: %w", lines.Text(), err)
		}
		if l.Side == absent {
			why[l.Metric] = l.Why
			continue
		}
		sides[l.Metric+l.Side] = append(sides[l.Metric+l.Side], l)
	}
	var out strings.Builder
	out.WriteString("| metric | Carrel | CPU | peer | its figure | CPU | ratio | target | met | control | load |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	var unmeasured []string
	for _, m := range metrics() {
		if ours := sides[m.name+subjectSide]; len(ours) > 0 {
			out.WriteString(m.row(ours, sides[m.name+peerSide], why[m.name]))
		} else {
			unmeasured = append(unmeasured, m.name)
		}
	}
	if len(unmeasured) > 0 {
		fmt.Fprintf(&out, "\nNot measured: %s.\n", strings.Join(unmeasured, "; "))
	}
	return out.String(), lines.Err()
}

// row returns a metric's line of the table.
func (m metric) row(ours, theirs []line, why string) string {
	value, control := middleOf(ours, valueOf), max(deviation(ours), deviation(theirs))
	ratio, ratioText := math.NaN(), "–"
	switch {
	case why != "":
		ratioText = "left out: " + why
	case len(theirs) == 0:
	case control > noise:
		ratioText = "void: the machine is too noisy"
	default:
		ratio = value / middleOf(theirs, valueOf)
		ratioText = figure(ratio) + "×"
	}
	target, met := "–", "–"
	switch {
	case m.ratio.set():
		target = m.ratio.text("×")
		if !math.IsNaN(ratio) {
			met = yesNo(m.ratio.met(ratio))
		}
	case m.figure.set():
		target = m.figure.text(" " + m.unit)
		met = yesNo(m.figure.met(value))
	}
	return fmt.Sprintf("| %s | %s %s | %s | %s | %s | %s | %s | %s | %s | %.2f | %s |\n", m.name, figure(value),
		m.unit, cpuText(ours), cmp.Or(m.peer, "–"), figure(middleOf(theirs, valueOf)), cpuText(theirs), ratioText,
		target, met, 1+control, figure(middleOf(ours, loadOf)))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

func cpuText(lines []line) string {
	cpu := middleOf(lines, func(l line) float64 { return float64(l.CPU.Nanoseconds()) / 1000 })
	switch {
	case math.IsNaN(cpu) || cpu == 0:
		return "–"
	case cpu >= 1000:
		return figure(cpu/1000) + " ms"
	}
	return figure(cpu) + " µs"
}

func valueOf(l line) float64 { return l.Value }

// loadOf returns the machine's load over a minute at a sample, or NaN if it is not known.
func loadOf(l line) float64 {
	var minute float64
	if _, err := fmt.Sscan(l.Load, &minute); err != nil {
		return math.NaN()
	}
	return minute
}

// deviation returns how far the median of a side's controls is from the median of its other samples: 0.1 is 10 %.
func deviation(lines []line) float64 {
	var first, second []line
	for _, l := range lines {
		if l.Control {
			second = append(second, l)
		} else {
			first = append(first, l)
		}
	}
	a, b := middleOf(first, valueOf), middleOf(second, valueOf)
	if math.IsNaN(a) || math.IsNaN(b) || a == b {
		return 0
	}
	return max(a/b, b/a) - 1
}

// middleOf returns the median, or NaN of nothing.
func middleOf(lines []line, of func(line) float64) float64 {
	if len(lines) == 0 {
		return math.NaN()
	}
	values := make([]float64, len(lines))
	for i, l := range lines {
		values[i] = of(l)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

package bench_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// throughput is the run whose processor time is measured: two tool calls and 200 tokens, without pauses.
const throughput = "/call calculator {\"expression\":\"12*7\"}\n/call clock {\"timezone\":\"UTC\"}\n/stream 200 0"

// tick is the unit of the processor times in /proc.
const tick = 10 * time.Millisecond

// subject is one thread whose runs are measured.
type subject struct {
	name     string
	binaries map[string]string
	device   *device
	fresh    bool
	took     times // the functions' processor time per run, of each round
}

// TestBenchCPU measures the processor time that the functions spend on a run, in a new thread and in one with 500 runs.
// A second new thread is the control. RUNS is the number of runs of a round. BEFORE is a folder with other builds of
// the functions, as in TestBenchStart; they run on a stack of their own in the same rounds.
func TestBenchCPU(t *testing.T) {
	needsTime(t)
	runs, err := strconv.Atoi(cmp.Or(os.Getenv("RUNS"), size("60", "4")))
	if err != nil {
		t.Fatal(err)
	}
	now, err := stack.Build(t.Context(), stack.Config{Root: "../.."})
	if err != nil {
		t.Fatal(err)
	}
	subjects := subjectsOf(t, "", now)
	if before := os.Getenv("BEFORE"); before != "" {
		other := map[string]string{}
		for id := range now {
			other[id] = filepath.Join(before, strings.ToLower(strings.TrimSuffix(id, "Function")))
		}
		subjects = append(subjects, subjectsOf(t, "before, ", other)...)
	}
	for round := range size(5, 1) {
		for _, s := range subjects {
			s.round(t, runs)
		}
		recordThreads(t, round, subjects)
	}
	fmt.Println("CPU of the functions          ms a run   runs/s per CPU   against the new thread")
	for i, s := range subjects {
		own := subjects[i/3*3].took.at(.5)
		fmt.Printf("%-28s %9.2f %16.0f %24.2f×\n", s.name, s.took.at(.5), 1000/s.took.at(.5), s.took.at(.5)/own)
	}
}

// recordThreads records the last round of the first three subjects for the table.
func recordThreads(t *testing.T, round int, subjects []*subject) {
	t.Helper()
	for i, side := range []string{peerSide, peerSide, subjectSide} {
		took := subjects[i].took[len(subjects[i].took)-1]
		record(t, line{oldThread, side, round, i == 1, sample{Value: float64(took.Microseconds()) / 1000}, load(), ""})
	}
}

// subjectsOf starts a stack with these binaries and prepares its three threads.
func subjectsOf(t *testing.T, prefix string, binaries map[string]string) []*subject {
	t.Helper()
	s := startStack(t, stack.Config{Parameters: generous(), Binaries: binaries})
	var all []*subject
	for _, name := range []string{"new thread", "control", "500 runs"} {
		thread := chat.ThreadID(chat.NewID(time.Now()))
		d := open(t, s.Endpoints(), "alice", thread)
		all = append(all, &subject{name: prefix + name, binaries: binaries, device: d,
			fresh: name != "500 runs"})
	}
	for range size(500, 10) {
		all[2].run(t)
	}
	return all
}

func (s *subject) run(t *testing.T) {
	t.Helper()
	if _, err := s.device.ask(t.Context(), throughput); err != nil {
		t.Fatal(err)
	}
	word, err := s.device.await(t.Context(), `"RUN_FINISHED"`, `"RUN_ERROR"`)
	if err != nil || word != `"RUN_FINISHED"` {
		t.Fatalf("%s: %s %v", s.name, word, err)
	}
}

// round measures some runs. A hello precedes every ten of them: for a new thread's subject it begins another thread, so
// that the model is told few messages.
func (s *subject) round(t *testing.T, runs int) {
	t.Helper()
	s.run(t) // starts processes
	before := processorTime(t, s.binaries)
	for n := range runs {
		if n%10 == 0 {
			if s.fresh {
				s.device.thread = chat.ThreadID(chat.NewID(time.Now()))
			}
			if err := s.device.hello(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		s.run(t)
	}
	s.took = append(s.took, (processorTime(t, s.binaries)-before)/time.Duration(runs))
}

// processorTime returns the processor time of all living processes that execute one of the binaries.
func processorTime(t *testing.T, binaries map[string]string) time.Duration {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("this machine has no /proc to read processor times from")
	}
	files := slices.Collect(maps.Values(binaries))
	sum := 0
	for _, file := range stats {
		exe, err := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		if err != nil || !slices.Contains(files, exe) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		for _, field := range fields[11:13] { // utime and stime
			n, err := strconv.Atoi(string(field))
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return time.Duration(sum) * tick
}

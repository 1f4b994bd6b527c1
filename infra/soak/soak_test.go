package soak_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/campaign"
	"carrel/shared/chat"
)

// rest is the longest time until everything is quiet without new faults: leases expire, sweep runs, and sweep checks
// queued runs every five minutes at the latest.
const rest = 6 * time.Minute

// TestSoak is a short soak with a fixed seed: it proves that soaks work. make soak runs a long one with a new seed.
func TestSoak(t *testing.T) {
	campaign.Only(t, "it acts at random on a whole stack for half a minute")
	lasts, users, devices, severe := 4*time.Second, 3, 2, false
	seed := uint64(5)
	if value := os.Getenv("FOR"); value != "" {
		var err error
		if lasts, err = time.ParseDuration(value); err != nil {
			t.Fatal(err)
		}
		users, devices, severe, seed = 6, 3, true, uint64(time.Now().UnixNano())
	}
	if value := os.Getenv("SEED"); value != "" {
		var err error
		if seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	again := fmt.Sprintf("SEED=%d make soak FOR=%s", seed, lasts)
	t.Logf("%d users with %d windows each, for %s; %s repeats it", users, devices, lasts, again)
	s := start(t, seed)
	w := newWorld(seed, s, users)
	w.faultsOn = true
	ctx, cancel := context.WithTimeout(t.Context(), lasts+rest)
	defer cancel()
	w.stop = cancel
	w.run(ctx, t, devices, &injector{world: w, severe: severe}, lasts)
	w.report(t, again)
}

// run lets the users work for a duration, and judges the result.
func (w *world) run(ctx context.Context, t *testing.T, devices int, faults *injector, lasts time.Duration) {
	t.Helper()
	faults.clear() // from now on it counts the runs that arrive
	for _, u := range w.users {
		for i := range devices {
			d := &device{user: u, name: fmt.Sprintf("%s.%d", u.name, i)}
			if err := d.connect(ctx, u.slot(i)); err != nil {
				t.Fatal(err)
			}
			defer func() { d.Close() }()
			u.devices = append(u.devices, d)
		}
	}
	wild, calm := context.WithTimeout(ctx, lasts)
	defer calm()
	var all sync.WaitGroup
	for i, u := range w.users {
		for j, d := range u.devices {
			all.Go(func() { d.play(wild, uint64(i*100+j)) })
		}
	}
	all.Go(func() { faults.run(wild) })
	all.Wait()
	for _, u := range w.users {
		for _, d := range u.devices {
			if d.Ended() { // a reload was in progress when the time ended
				if err := d.connect(ctx, u.slot(0)); err != nil && ctx.Err() == nil {
					t.Fatal(err)
				}
			}
		}
	}
	w.record("all", "the end begins")
	views := w.settle(ctx)
	if ctx.Err() != nil {
		return // a failure ended the soak
	}
	if err := w.judge(t.Context(), views); err != nil {
		t.Error(err)
	}
}

// Ended reports whether the device has no client.
func (d *device) Ended() bool { return d.State().Ended }

// report prints and returns the table. For each failure it prints the steps before it.
func (w *world) report(t *testing.T, again string) map[string]int {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.stack.DynamoDB().Usage() {
		for kind, n := range u.Faults {
			w.counted["fault: store "+kind] += n
		}
	}
	for _, name := range []string{"foreign", "gaps", "lost"} {
		w.counted[name] += 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s %8d\n", "users", len(w.users))
	for _, name := range slices.Sorted(maps.Keys(w.counted)) {
		fmt.Fprintf(&b, "%-44s %8d\n", name, w.counted[name])
	}
	fmt.Fprintf(&b, "%-44s %8d\n", "wrong", len(w.wrong))
	t.Logf("%s\n%s", again, b.String())
	n := w.counted
	did := cmp.Or(n["schedules"], n["steps"])
	t.Attr("figure",
		fmt.Sprintf("%d %s in %d windows: %d runs, %d events, %d frames on %d sockets, of them %d foreign, %d gaps, "+
			"%d lost, %d wrong", did,
			map[bool]string{true: "schedules", false: "steps"}[n["schedules"] > 0], n["windows"], n["runs"],
			n["events"],
			n["frames"], n["sockets"],
			n["foreign"], n["gaps"], n["lost"], len(w.wrong)))
	const most, around = 8, 12
	for _, wrong := range w.wrong[:min(most, len(w.wrong))] {
		at := slices.Index(w.steps, wrong)
		user, _, _ := strings.Cut(wrong.who, ".")
		var lines []string
		for i := at; i >= 0 && len(lines) < around; i-- {
			if s := w.steps[i]; strings.HasPrefix(s.who, user) || s.who == "faults" && i > at-200 {
				lines = append(lines, clipStep(s))
			}
		}
		slices.Reverse(lines)
		t.Errorf("%s\nsteps before it:\n%s", wrong, strings.Join(lines, "\n"))
	}
	if len(w.wrong) > 0 {
		file := cmp.Or(os.Getenv("STEPS"), t.TempDir()+"/steps")
		w.write(t, file)
		t.Errorf("%d failures. %s repeats the steps of each window in the same order, and the same "+
			"faults. The scheduler decides which message meets which fault and how windows interleave, so that may "+
			"differ",
			len(w.wrong), again)
	}
	return maps.Clone(w.counted)
}

func clipStep(s step) string {
	line := s.String()
	return line[:min(len(line), 260)]
}

// write writes all steps to a file, to search for a cause.
func (w *world) write(t *testing.T, file string) {
	t.Helper()
	var b strings.Builder
	for _, s := range w.steps {
		fmt.Fprintln(&b, s)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Error(err)
	}
}

// start runs the repository's own template with limits that a soak does not reach.
func start(t *testing.T, seed uint64) *stack.Stack {
	t.Helper()
	return new(testkit.Kit).Start(t, stack.Config{State: os.Getenv("STATE"), Seed: seed, Minute: 2 * time.Second,
		RetryDelays: []time.Duration{300 * time.Millisecond, time.Second},
		Reorder:     15 * time.Millisecond, Life: 50 * time.Second, LoseDisconnects: seed%2 == 0,
		Parameters: map[string]string{"RunBurst": "1000000", "RunsPerHour": "1000000",
			"FrameBurst": strconv.Itoa(chat.DefaultLimits().FrameBurst),
			"RunSeconds": fmt.Sprint(int(runTime / time.Second))}})
}

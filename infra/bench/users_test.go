package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// smallRun is a run whose requests do not depend on time: a tool call and three deltas.
const smallRun = "/call calculator {\"expression\":\"12*7\"}\n/stream 3 0"

// TestBenchUsers measures a run on a stack whose table holds 10,000 other users, beside a stack without them.
func TestBenchUsers(t *testing.T) {
	needsTime(t)
	full, fullEndpoints := startLocal(t, "../..")
	empty, emptyEndpoints := startLocal(t, "../..")
	addUsers(t, fullEndpoints, size(10_000, 10))
	many(t, []string{requestsOfMany, unitsOfMany, cpuOfMany}, smallRuns(t, full, fullEndpoints),
		smallRuns(t, empty, emptyEndpoints))
}

// addUsers adds users with one run of ten events each.
func addUsers(t *testing.T, e stack.Endpoints, n int) {
	t.Helper()
	table := openTable(e)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for part := range errs {
		all.Go(func() {
			for i := part; i < n && errs[part] == nil; i += len(errs) {
				own, err := table.For(chattest.User(t, fmt.Sprint("other-", i)))
				if err == nil {
					err = addRun(t.Context(), own, chat.ThreadID(chat.NewID(time.Now())), 10, 10)
				}
				errs[part] = err
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// smallRuns returns a trial: runs of one user. It returns the requests and write units of each, which must be the same
// for all, and the processor time of the whole stack in milliseconds.
func smallRuns(t *testing.T, p *process, e stack.Endpoints) func(*testing.T) []sample {
	t.Helper()
	d := open(t, e, "alice", chat.ThreadID(chat.NewID(time.Now())))
	return func(t *testing.T) []sample {
		t.Helper()
		// A hello begins a new thread: the model reads the earlier runs of an old one.
		d.thread = chat.ThreadID(chat.NewID(time.Now()))
		err := d.hello(t.Context(), nil)
		n := size(40, 4)
		var used []meters.Use
		before := p.used(t)
		for i := 0; i < n && err == nil; i++ {
			var u meters.Use
			if u, err = playAt(t.Context(), e, d); i > 0 { // the first run also adds the thread
				used = append(used, u)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		cpu := p.used(t).since(before, n)
		for _, u := range used[1:] {
			if u.Requests != used[0].Requests || u.WriteUnits != used[0].WriteUnits || u.Posts != used[0].Posts {
				t.Fatalf("two runs alike have different usage: %+v and %+v", used[0], u)
			}
		}
		return []sample{{Value: float64(used[0].Requests)}, {Value: used[0].WriteUnits},
			{float64(cpu.Microseconds()) / 1000, cpu}}
	}
}

// playAt plays a small run on a stack in another process and returns its usage.
func playAt(ctx context.Context, e stack.Endpoints, d *device) (used meters.Use, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	run, err := d.ask(ctx, smallRun)
	if err == nil {
		_, err = d.await(ctx, `"RUN_FINISHED"`)
	}
	if err != nil {
		return used, err
	}
	var failed error
	err = testkit.Poll(ctx, func() bool {
		used, failed = meterOf(ctx, e, run)
		return failed != nil || used.Invocations >= 2
	})
	return used, errors.Join(err, failed)
}

// meterOf reads a run's usage from /meters.json.
func meterOf(ctx context.Context, e stack.Endpoints, run chat.RunID) (meters.Use, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Page+"meters.json", nil)
	if err != nil {
		return meters.Use{}, err
	}
	response, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		return meters.Use{}, err
	}
	var read meters.Reading
	if err := errors.Join(json.NewDecoder(response.Body).Decode(&read), response.Body.Close()); err != nil {
		return meters.Use{}, err
	}
	for _, one := range read.Runs {
		if one.ID == string(run) {
			return one.Use, nil
		}
	}
	return meters.Use{}, nil
}

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

// smallRuns returns a trial: runs of one user, each in a thread of its own, so that no run reads more earlier runs than
// another. It returns the requests and write units of a run, of a few the smallest because a busy machine adds flushes,
// and the processor time of the whole stack for a run in milliseconds.
func smallRuns(t *testing.T, p *process, e stack.Endpoints) func(*testing.T) []sample {
	t.Helper()
	d := open(t, e, "alice", chat.ThreadID(chat.NewID(time.Now())))
	return func(t *testing.T) []sample {
		t.Helper()
		var least meters.Use
		for i := range size(5, 3) {
			run, err := d.small(t.Context())
			var u meters.Use
			if err == nil {
				u, err = usageOf(t.Context(), e, run)
			}
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 || u.Requests < least.Requests {
				least = u
			}
		}
		n, before := size(30, 4), p.used(t)
		for range n {
			if _, err := d.small(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		cpu := p.used(t).since(before, n)
		return []sample{{Value: float64(least.Requests)}, {Value: least.WriteUnits},
			{float64(cpu.Microseconds()) / 1000, cpu}}
	}
}

// small plays a small run in a new thread.
func (d *device) small(ctx context.Context) (chat.RunID, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.thread = chat.ThreadID(chat.NewID(time.Now()))
	if err := d.hello(ctx, nil); err != nil {
		return "", err
	}
	run, err := d.ask(ctx, smallRun)
	if err == nil {
		_, err = d.await(ctx, `"RUN_FINISHED"`)
	}
	return run, err
}

// usageOf returns a run's usage on a stack in another process, after both of its invocations have ended.
func usageOf(ctx context.Context, e stack.Endpoints, run chat.RunID) (used meters.Use, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
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

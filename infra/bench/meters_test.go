package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// reference is the turn of docs/performance.md: two tool calls, and 200 deltas at 50 a second.
const reference = "/call calculator {\"expression\":\"12*7\"}\n/call clock {\"timezone\":\"UTC\"}\n/stream 200 50"

// proxyCounter counts a user's requests at the proxy and recognises the user by the keys in them. The meters use other
// sources.
type proxyCounter struct {
	mu       sync.Mutex
	requests int
	units    float64
}

// count counts a request. All items are below 1 KB, so each written item is one unit, or two in a transaction, and each
// index entry that is added or removed is one more.
func (w *proxyCounter) count(r proxy.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	switch {
	case r.Operation == "TransactWriteItems" && r.Caller == "MessageFunction":
		// RUN, QUEUE, THREAD; the run is added to both indexes, and the thread, which has had a run, moves in recent.
		w.units += 2*3 + 2 + 2
	case r.Operation == "TransactWriteItems":
		w.units += 2*4 + 1 // the last record, THREAD, RUN, QUEUE; the run leaves the index
	case r.Operation == "UpdateItem", r.Operation == "PutItem":
		w.units++
	}
}

// TestMeters compares the meters with an independent count of the runs of two users who run at once. A naive emitter
// must cost more for the same run.
func TestMeters(t *testing.T) {
	s := startStack(t, stack.Config{})
	users := []string{"alice", "bob"}
	devices, counters, used := make([]*device, 2), []*proxyCounter{{}, {}}, make([]turn, 2)
	for i, user := range users {
		devices[i] = open(t, s.Endpoints(), user, chat.ThreadID(chat.NewID(time.Now())))
		play(t, s, "/say hello", devices[i])
		devices[i].frames = 0
	}
	s.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		for i, user := range users {
			if bytes.Contains(r.Body, []byte("U#"+user)) && r.Caller != "SweepFunction" {
				counters[i].count(r)
			}
		}
		return proxy.Fine, nil
	})
	var both sync.WaitGroup
	for i := range users {
		both.Go(func() {
			var err error
			if used[i], err = try(t.Context(), s, "/say one", devices[i]); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for i, u := range used {
		for devices[i].frames < u.Sent {
			if _, err := devices[i].await(t.Context(), "{"); err != nil {
				t.Fatal(err)
			}
		}
		w := counters[i]
		if u.Requests != w.requests || u.WriteUnits != w.units || u.Posts != devices[i].frames || u.Sent != u.Posts ||
			u.Received != 1 || u.Invocations != 2 {
			t.Errorf("the run of %s has usage %+v, and the proxy counted %d requests, %g write units and %d frames",
				users[i], u.Use,
				w.requests, w.units, devices[i].frames)
		}
		if u.GBSeconds <= 0 || u.ReadUnits <= 0 {
			t.Errorf("the run of %s has usage %+v", users[i], u.Use)
		}
	}
	s.DynamoDB().SetHook(nil)
	reported(t, s, used[0])

	const stream = "/stream 50 500"
	less := play(t, s, stream, devices[0])
	use(t, s, build(t, naive))
	more := play(t, s, stream, devices[0])
	if more.Requests < less.Requests+30 || more.Posts < 50 || less.Posts > 20 {
		t.Errorf("50 deltas took Carrel %+v and the naive emitter %+v", less.Use, more.Use)
	}
}

// reported checks that the log and /meters.json report a run's usage.
func reported(t *testing.T, s *stack.Stack, u turn) {
	t.Helper()
	log, err := os.ReadFile(s.Log())
	if err != nil || !bytes.Contains(log, fmt.Appendf(nil, "meters: run %s: ", u.run)) {
		t.Errorf("the log does not report run %s (%v)", u.run, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoints().Page+"meters.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var read meters.Reading
	if err := json.NewDecoder(answer.Body).Decode(&read); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(read.Runs, func(r meters.Run) bool { return r.ID == string(u.run) && r.Use == u.Use }) ||
		len(read.Runs) != 4 {
		t.Errorf("/meters.json reports %+v", read.Runs)
	}
	if c := read.Connections; c.Opened != 2 || c.Open != 2 || c.Minutes <= 0 ||
		read.Functions["ConnectFunction"].Invocations != 2 {
		t.Errorf("/meters.json reports connections %+v and functions %+v", c, read.Functions)
	}
}

// TestReferenceTurn prints the usage of the reference turn, beside the naive design and the budget: make meters.
func TestReferenceTurn(t *testing.T) {
	if os.Getenv("CARREL_METERS") == "" {
		t.Skip("make meters runs it")
	}
	fmt.Println("design    devices  requests  write units  read units  posts  out  in  invocations    GB-s  seconds  " +
		"$ per million")
	naiveTurn := build(t, naive)
	for _, devices := range []int{1, 3} {
		for _, e := range []emitter{carrels, naive} {
			s, all := referenceStack(t, devices)
			if e == naive {
				use(t, s, naiveTurn)
			}
			play(t, s, "/say hello", all...)
			used := play(t, s, reference, all...)
			row(string(e), devices, used)
			stated(t, e, devices, used)
		}
	}
	fmt.Println("budget          1        50           50                  24")
	fmt.Println("budget          3        50           50                  70")
}

// referenceStack starts a stack with the devices of one user on one thread.
func referenceStack(t *testing.T, devices int) (*stack.Stack, []*device) {
	t.Helper()
	s := startStack(t, stack.Config{})
	thread := chat.ThreadID(chat.NewID(time.Now()))
	var all []*device
	for range devices {
		all = append(all, open(t, s.Endpoints(), "alice", thread))
	}
	return s, all
}

// TestBenchTurn records the reference turn for the table. docs/performance.md must state its counts. Of three turns the
// turn with the fewest requests counts, because a busy machine adds flushes.
func TestBenchTurn(t *testing.T) {
	needsTime(t)
	sides := map[emitter]string{carrels: subjectSide}
	naiveTurn := ""
	if !quick() {
		sides[naive], naiveTurn = peerSide, build(t, naive)
	}
	for _, devices := range []int{1, 3} {
		for e, side := range sides {
			s, all := referenceStack(t, devices)
			if e == naive {
				use(t, s, naiveTurn)
			}
			play(t, s, "/say hello", all...)
			best := play(t, s, reference, all...)
			for range size(2, 0) {
				if other := play(t, s, reference, all...); other.Requests < best.Requests {
					best = other
				}
			}
			stated(t, e, devices, best)
			for i, x := range []float64{float64(best.Requests), best.WriteUnits, float64(best.Posts),
				dollars(best, devices) * 1e6} {
				if name := turnMetrics(devices)[i]; name != "" {
					record(t, line{Metric: name, Side: side, sample: sample{Value: x}, Load: load()})
				}
			}
		}
	}
}

// turnMetrics returns the metrics of a reference turn: requests, write units, posts, dollars. The first two do not
// depend on the number of devices.
func turnMetrics(devices int) []string {
	if devices == 1 {
		return []string{turnRequests, turnUnits, turnPosts1, turnDollars1}
	}
	return []string{"", "", turnPosts3, turnDollars3}
}

// stated compares a turn with docs/performance.md. On a busy machine a turn has one or two more flushes.
func stated(t *testing.T, e emitter, devices int, u turn) {
	t.Helper()
	if e == naive {
		return // it is there to be compared with, and its figures are not promised
	}
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, cells, found := strings.Cut(string(page), fmt.Sprintf("\n| Carrel | %d | ", devices))
	var requests, writes int
	if n, err := fmt.Sscanf(cells, "%d | %d |", &requests, &writes); !found || n != 2 {
		t.Fatalf("docs/performance.md has no row of Carrel with %d devices: %v", devices, err)
	}
	if more, extra := u.Requests-requests, int(u.WriteUnits)-writes; more < 0 || more > 2 || extra < 0 || extra > 2 {
		t.Errorf("docs/performance.md states %d requests, %d write units for %d devices; the turn used %d and %g",
			requests, writes, devices, u.Requests, u.WriteUnits)
	}
}

// dollars returns the list price of a turn, with the time of its connections.
func dollars(u turn, devices int) float64 {
	return u.Dollars() + meters.MinuteDollars(float64(devices)*u.took.Minutes())
}

func row(name string, devices int, u turn) {
	fmt.Printf("%-9s %7d %9d %12g %11g %6d %4d %3d %12d %7.3f %8.2f %14.1f\n", name, devices, u.Requests, u.WriteUnits,
		u.ReadUnits,
		u.Posts, u.Sent, u.Received, u.Invocations, u.GBSeconds, u.took.Seconds(), dollars(u, devices)*1e6)
}

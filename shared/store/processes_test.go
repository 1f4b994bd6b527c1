package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// racers is the input of one of the processes of TestRaces.
type racers struct {
	URL, Table, Result string
	Seed               uint64
	N, Of, Races       int // the number of this process, the number of processes, and how many admissions it tries
}

// raced is the result of a process.
type raced struct {
	Counts map[string]int
	First  []string // runs of which it made the first admission, as user/run
	Ran    []string // runs that it claimed
	Wrong  []string
}

func raceUsers() []string { return []string{"alice", "bob", "carol"} }

const raceThreads = 7

// TestRaces has four processes race for the run queues of three users. They admit runs, some of them in several
// processes, and cancel, claim, end and start runs. A run queue never has a sixth slot in use, nor two slots on one
// thread. Each run is accepted once and executed once, and each accepted run ends. RACES sets the number of admissions.
func TestRaces(t *testing.T) {
	t.Attr("row", "A2: four processes admit runs through the real store at once")
	t.Attr("amount", "10000 admissions")
	if input := os.Getenv("CARREL_RACER"); input != "" {
		var r racers
		if err := json.Unmarshal([]byte(input), &r); err != nil {
			t.Fatal(err)
		}
		race(t, r)
		return
	}
	campaign.Only(t, "four processes race for several hundred admissions")
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		races, processes := 240, 4
		if s := os.Getenv("RACES"); s != "" {
			races = int(integer(t, s))
		}
		w := storetest.NewWorld(t, o.client(nil))
		seed, start := uint64(time.Now().UnixNano()), time.Now()
		t.Logf("seed %d", seed)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var watching, all sync.WaitGroup
		looks := map[string]int{}
		watching.Go(func() { watchQueues(ctx, w, looks) })
		results := make([]raced, processes)
		for n := range processes {
			all.Go(func() {
				results[n] = raceIn(t, racers{
					URL: string(o), Table: w.Name, Seed: seed, N: n, Of: processes, Races: races / processes,
					Result: filepath.Join(t.TempDir(), "result.json"),
				})
			})
		}
		all.Wait()
		stop()
		watching.Wait()
		raced := judgeRaces(t, w, results)
		// fewer admissions may end before the first observation
		if raced != races-races%processes || looks["most"] != 5 && races >= 5000 {
			t.Errorf("%d admissions of %d, and up to %d slots in use: the test proves too little", raced, races,
				looks["most"])
		}
		t.Attr("figure",
			fmt.Sprintf("%d admissions from %d processes in %.1f s; run queues read %d times, up to %d slots in use",
				raced, processes,
				time.Since(start).Seconds(), looks["looks"], looks["most"]))
	})
}

// raceIn runs one process to its end.
func raceIn(t *testing.T, r racers) (result raced) {
	input, err := json.Marshal(r)
	if err != nil {
		t.Error(err)
		return result
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRaces$", "-test.timeout", "20m")
	child.Env = append(os.Environ(), "CARREL_RACER="+string(input))
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("process %d: %v\n%s", r.N, err, out)
		return result
	}
	b, err := os.ReadFile(r.Result)
	if err == nil {
		err = json.Unmarshal(b, &result)
	}
	if err != nil {
		t.Errorf("process %d: %v", r.N, err)
	}
	return result
}

// watchQueues checks the run queues until ctx ends.
func watchQueues(ctx context.Context, w *storetest.World, looks map[string]int) {
	for ctx.Err() == nil {
		for _, user := range raceUsers() {
			d, err := w.As(user).RunQueue(ctx)
			if err != nil {
				if ctx.Err() == nil {
					w.T.Errorf("read a run queue: %v", err)
				}
				return
			}
			threads := slices.Compact(slices.Sorted(maps.Values(d.Slots)))
			if len(d.Slots) > 5 || len(threads) != len(d.Slots) || len(d.Queued) > 20 {
				w.T.Errorf("the run queue of %s is %+v", user, d)
				return
			}
			looks["looks"]++
			looks["most"] = max(looks["most"], len(d.Slots))
		}
	}
}

// atOnce is the number of admissions that a process tries at a time. All processes together try several for each slot.
const atOnce = 6

// judgeRaces checks the results of all processes and returns the number of admissions that got a result.
func judgeRaces(t *testing.T, w *storetest.World, results []raced) (admissions int) {
	counts, firsts, ran := map[string]int{}, map[string]int{}, map[string]int{}
	for n, r := range results {
		for what, c := range r.Counts {
			counts[what] += c
		}
		for _, run := range r.First {
			firsts[run]++
		}
		for _, run := range r.Ran {
			ran[run]++
		}
		for _, wrong := range r.Wrong {
			t.Errorf("process %d: %s", n, wrong)
		}
	}
	for run, times := range firsts {
		user, id, _ := strings.Cut(run, "/")
		r, err := w.As(user).Run(t.Context(), chat.RunID(id))
		want := 0
		if r.Status == chat.RunFinished {
			want = 1
		}
		if err != nil || !r.Status.Terminal() || times != 1 || ran[run] != want {
			t.Errorf("%s was accepted %d times, executed %d times and is %s, %v", run, times, ran[run], r.Status, err)
		}
		counts["ended: "+string(r.Status)]++
	}
	for _, user := range raceUsers() {
		counts["log records"] += judgeLogs(t, w.As(user), user, ran)
	}
	if live, err := w.Table.Live(t.Context()); err != nil || len(live) > 0 {
		t.Errorf("the live index still has %v, %v", live, err)
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%8d %s", counts[what], what)
		if what == "known already" || strings.HasPrefix(what, "rejected: ") || strings.HasPrefix(what, "accepted: ") {
			admissions += counts[what]
		}
	}
	return admissions
}

// judgeLogs checks that the logs have no gaps and hold each executed run once.
func judgeLogs(t *testing.T, s *store.Store, user string, ran map[string]int) (records int) {
	shown := map[chat.RunID]int{}
	for n := range raceThreads {
		id := chat.ThreadID(fmt.Sprint("t", n))
		thread, err := s.Thread(t.Context(), id)
		if errors.Is(err, chat.ErrNotFound) {
			continue
		}
		log, err := s.Log(t.Context(), id, thread.Epoch, 0, 1<<20)
		if err != nil {
			t.Error(err)
		}
		next := chat.Seq(1)
		for _, r := range log {
			if r.Seq != next {
				t.Errorf("%s of %s has a record at %d, want %d", id, user, r.Seq, next)
			}
			next += chat.Seq(len(r.Events))
			shown[r.Run] += len(r.Events)
		}
		if thread.Head != next-1 {
			t.Errorf("the head of %s of %s is %d, its log ends at %d", id, user, thread.Head, next-1)
		}
		records += len(log)
	}
	for run, times := range ran {
		if id, ok := strings.CutPrefix(run, user+"/"); ok && (times != 1 || shown[chat.RunID(id)] != 5) {
			t.Errorf("%s was executed %d times and has %d events", run, times, shown[chat.RunID(id)])
		}
	}
	return records
}

package audit_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// The four suites that the audit of a multi-user system asks for are in suite_*_test.go. AUDIT says how large they are:
// quick, normal or full; unset, they are as small as make test has time for.

// extent is how large a suite is.
type extent string

const (
	small  extent = ""
	quick  extent = "quick"
	normal extent = "normal"
	full   extent = "full"
)

func extentOf(t *testing.T) extent {
	t.Helper()
	switch e := extent(os.Getenv("AUDIT")); e {
	case small, quick, normal, full:
		return e
	default:
		t.Fatalf("AUDIT is %q: it must be quick, normal or full, or not set", e)
		return ""
	}
}

// of picks a number: full is normal with more events.
func (e extent) of(forSmall, forQuick, forNormal int) int {
	switch e {
	case small:
		return forSmall
	case quick:
		return forQuick
	default:
		return forNormal
	}
}

// crowd are a suite's users on a stack of their own.
type crowd struct {
	*testing.T
	*stack.Stack
	extent extent
	ctx    context.Context
	stop   context.CancelFunc // ends all that waits, once something is wrong that waiting does not mend
	users  []*person
	seed   uint64
}

// suiteTime bounds one suite; the million events have more.
const suiteTime = 6 * time.Minute

// newCrowd starts a stack for so many users with so many threads each.
func newCrowd(t *testing.T, users, threads int, c stack.Config) *crowd {
	t.Helper()
	e := extentOf(t)
	if e == small || e == quick {
		t.Parallel() // the larger ones would only wait for each other
	}
	limit := suiteTime
	if e == full {
		limit = 40 * time.Minute
	}
	seed := uint64(time.Now().UnixNano())
	if told := os.Getenv("SEED"); told != "" {
		var err error
		if seed, err = strconv.ParseUint(told, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d users; SEED=%d has them do the same", users, seed)
	c.Seed = seed
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	w := &crowd{T: t, extent: e, ctx: ctx, stop: cancel, seed: seed, Stack: startWith(t, c)}
	for i := range users {
		p := &person{name: fmt.Sprintf("user-%02d", i), secret: "secret-" + rand.Text()[:10]}
		for range threads {
			p.threads = append(p.threads, newThread())
		}
		w.users = append(w.users, p)
	}
	return w
}

func newThread() chat.ThreadID { return chat.ThreadID(chat.NewID(time.Now())) }

// dice are what the n-th random schedule follows from.
func (c *crowd) dice(n int) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(c.seed, uint64(n))) }

// figure is a line of the scorecard: it is to be measured.
func (c *crowd) figure(format string, args ...any) { c.Attr("figure", fmt.Sprintf(format, args...)) }

// each has all users do something at once.
func (c *crowd) each(do func(i int, p *person) error) {
	c.Helper()
	err := together(len(c.users), func(i int) error {
		if err := do(i, c.users[i]); err != nil {
			return fmt.Errorf("%s: %w", c.users[i].name, err)
		}
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
}

// together does something so many times at once.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// window opens a thread of a user, and waits until it is ready.
func (c *crowd) window(p *person, thread chat.ThreadID) (*socket, error) {
	s, err := open(c.ctx, c.Endpoints(), p, thread)
	if err != nil {
		return nil, err
	}
	c.Cleanup(s.Close)
	return s, c.until(s, "ready", func(st client.State) bool { return st.Status == client.Ready })
}

// until waits for what a window shows.
func (c *crowd) until(s *socket, what string, wanted func(client.State) bool) error {
	if st, err := s.WaitFor(c.ctx, wanted); err != nil {
		return fmt.Errorf("thread %s: never %s: %w; it shows %.2000s", s.thread, what, err, fmt.Sprintf("%+v", st))
	}
	return nil
}

// asks sends a message and waits until its run is over.
func (c *crowd) asks(s *socket, text string) error {
	if _, err := s.Send(text); err != nil {
		return err
	}
	return c.until(s, "over: "+text, func(st client.State) bool { return idle(st) && says(st, agui.RoleUser, text) })
}

// metrics are what all functions have told, added up. It fails if a guard has refused to mix two users.
func (c *crowd) metrics() map[string]float64 {
	c.Helper()
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.Endpoints().Ops+".json", nil)
	if err != nil {
		c.Fatal(err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer answer.Body.Close()
	var told struct {
		Metrics    map[string]map[string]float64
		Violations []string
	}
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		c.Fatal(err)
	}
	sums := map[string]float64{}
	for name, by := range told.Metrics {
		for _, n := range by {
			sums[name] += n
		}
	}
	if sums["IsolationViolation"] != 0 {
		c.Errorf("%v isolation violations among users who did nothing wrong, such as %s", sums["IsolationViolation"], told.Violations)
	}
	if sums["RunsEnded"] == 0 {
		c.Error("no run was told to have ended: what the functions print is not read")
	}
	return sums
}

// spans are the runs of a thread, however they ended.
func spans(who string, events []agui.Event) (all []run) {
	for _, e := range events {
		switch {
		case e.Type == agui.RunStarted:
			all = append(all, run{who: who, from: e.Timestamp})
		case e.Terminal() && len(all) > 0:
			all[len(all)-1].to = e.Timestamp
		}
	}
	return all
}

// overlap is the largest number of different users who ran at one moment, and of runs of one user.
func overlap(all []run) (users, ofOne int) {
	for _, at := range all {
		running := map[string]int{}
		for _, r := range all {
			if r.from <= at.from && at.from < r.to {
				running[r.who]++
			}
		}
		users = max(users, len(running))
		ofOne = max(ofOne, running[at.who])
	}
	return users, ofOne
}

// verify runs recorded streams through the checker of AG-UI's own client.
func verify(t *testing.T, streams [][]json.RawMessage) {
	t.Helper()
	if _, err := os.Stat("../../web/node_modules/@ag-ui/client"); err != nil {
		missing(t, "@ag-ui/client is not installed: run npm ci in web")
	}
	file := filepath.Join(t.TempDir(), "streams.json")
	b, err := json.Marshal(streams)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", "../../web/tools/verify-events.mjs", file).CombinedOutput()
	if err != nil {
		t.Fatalf("verifyEvents of @ag-ui/client refuses what was recorded: %v\n%s", err, out)
	}
	t.Logf("%s", strings.TrimSpace(string(out)))
}

func mustOpen(t *testing.T, ctx context.Context, e stack.Endpoints, p *person, thread chat.ThreadID) *socket {
	t.Helper()
	s, err := open(ctx, e, p, thread)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.WaitFor(ctx, func(st client.State) bool { return st.Status == client.Ready }); err != nil {
		t.Fatal(err)
	}
	return s
}

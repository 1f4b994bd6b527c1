package suites_test

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// size is how large a suite is, as the environment variable AUDIT says. Unset, a suite fits into make test.
type size string

const (
	small  size = ""
	quick  size = "quick"
	normal size = "normal"
	full   size = "full" // normal with more events
)

func readSize(t *testing.T) size {
	t.Helper()
	switch z := size(os.Getenv("AUDIT")); z {
	case small, quick, normal, full:
		return z
	default:
		t.Fatalf("AUDIT is %q: it must be quick, normal or full, or not set", z)
		return ""
	}
}

// pick returns one of three numbers.
func (z size) pick(forSmall, forQuick, forNormal int) int {
	switch z {
	case small:
		return forSmall
	case quick:
		return forQuick
	default:
		return forNormal
	}
}

// suite is a stack of its own with the users of one suite.
type suite struct {
	*testing.T
	*stack.Stack
	size  size
	ctx   context.Context
	stop  context.CancelFunc // ends all waits, once there is a problem that waiting does not solve
	users []*testkit.User
	seed  uint64
}

// suiteTimeout bounds one suite, and fullTimeout one with a million events.
const (
	suiteTimeout = 6 * time.Minute
	fullTimeout  = 40 * time.Minute
)

// newSuite starts a stack for so many users with so many threads each.
func newSuite(t *testing.T, users, threads int, c stack.Config) *suite {
	t.Helper()
	z := readSize(t)
	if z == small || z == quick {
		t.Parallel() // larger suites would only wait for each other
	}
	limit := suiteTimeout
	if z == full {
		limit = fullTimeout
	}
	c.Seed = testkit.Seed(t)
	t.Logf("%d users", users)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	s := &suite{T: t, size: z, ctx: ctx, stop: cancel, seed: c.Seed, Stack: kit.Start(t, c)}
	for i := range users {
		u := testkit.NewUser(fmt.Sprintf("user-%02d", i), threads)
		u.Secret = u.Secret[:17] // a message has room for 600 of them, see longScript
		s.users = append(s.users, u)
	}
	return s
}

// dice returns the random numbers of the n-th schedule.
func (s *suite) dice(n int) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(s.seed, uint64(n))) }

// figure reports a measured figure for the scorecard.
func (s *suite) figure(format string, args ...any) { s.Attr("figure", fmt.Sprintf(format, args...)) }

// forEachUser does something for all users at once. An error ends the test.
func (s *suite) forEachUser(do func(i int, u *testkit.User) error) {
	s.Helper()
	err := inParallel(len(s.users), func(i int) error {
		if err := do(i, s.users[i]); err != nil {
			return fmt.Errorf("%s: %w", s.users[i].Name, err)
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

// inParallel does something n times at once.
func inParallel(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// open opens a window of a user and waits until it is ready.
func (s *suite) open(u *testkit.User, thread chat.ThreadID) (*testkit.Device, error) {
	d, err := testkit.Dial(s.ctx, s.Endpoints(), u, thread, nil)
	if err != nil {
		return nil, err
	}
	s.Cleanup(d.Close)
	return d, d.WaitUntil(s.ctx, "is ready", func(st client.State) bool { return st.Status == client.Ready })
}

// ask sends a message and waits until its run has ended.
func (s *suite) ask(d *testkit.Device, text string) error {
	if _, err := d.Send(text); err != nil {
		return err
	}
	return d.WaitUntil(s.ctx, "has run "+text, func(st client.State) bool {
		return testkit.Idle(st) && testkit.Says(st, agui.RoleUser, text)
	})
}

// metrics returns the metrics of all functions, added up. The test fails if a guard has recorded an isolation
// violation.
func (s *suite) metrics() map[string]float64 {
	s.Helper()
	ops := testkit.ReadOps(s.T, s.ctx, s.Endpoints())
	totals := ops.Totals()
	if totals["IsolationViolation"] != 0 {
		s.Errorf("%v isolation violations of users who did nothing wrong, such as %s", totals["IsolationViolation"],
			ops.Violations)
	}
	if totals["RunsEnded"] == 0 {
		s.Error("no metric says that a run has ended: the metrics are not read")
	}
	return totals
}

// overlap returns the largest number of users with a run at one moment, and the largest number of runs of one user.
func overlap(runs []testkit.Run) (users, ofOneUser int) {
	for _, at := range runs {
		active := map[string]int{}
		for _, r := range runs {
			if r.From <= at.From && at.From < r.To {
				active[r.User]++
			}
		}
		users, ofOneUser = max(users, len(active)), max(ofOneUser, active[at.User])
	}
	return users, ofOneUser
}

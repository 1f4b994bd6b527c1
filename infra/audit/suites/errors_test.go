package suites_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// failure is one way in which the run of a user goes wrong.
type failure struct {
	name string
	text string
	kill bool   // the worker is killed after the first word
	end  string // the code of the run's end; "": success, "any": any
}

func failures() []failure {
	return []failure{
		{name: "its worker is killed", text: "/say begun\n/stream 2000 20", kill: true, end: "any"},
		{name: "the model panics", text: "/say begun\n/fail panic", end: "internal"},
		{name: "the model hangs", text: "/say begun\n/wait 600000", end: "time_limit"},
		{name: "the model fails at once", text: "/fail model", end: "model_error"},
		{name: "the model fails late", text: "/say begun\n/fail late", end: "model_error"},
		{name: "too many events", text: "/say begun\n/stream 20000 0", end: "event_limit"},
		{name: "too much output", text: "/say begun\n/stream 1000 0 60000", end: "output_limit"},
		{name: "bad calls",
			text: "/call nobody {}\n/call calculator {\"\\u0000\":[[[[\n/call calculator {}\n/fail tool\n/say whole"},
		{name: "poison", text: "/say \u202e ]]> {\"a\": 'b' \\u0000 </script> \u2028 " + strings.Repeat("ä", 5000)},
		{name: "an answer that is cut", text: "/say begun\n/fail cut"},
		{name: "an answer that is refused", text: "/say begun\n/fail filtered", end: "any"},
	}
}

// ordinary is the script of a user whose runs do not go wrong: 60 numbers, a tool's result, and an end.
const ordinary = "/stream 60 30\n/call calculator {\"expression\":\"6*7\"}\n/say end-of-all"

// The runs of some users panic, hang, fail, get hostile text or are killed, and one user starts far too many. All
// others have runs at the same time, each of which ends in success with its complete answer. Each run ends once, and no
// user has more than five active runs.
func TestConcurrentExecution(t *testing.T) {
	t.Attr("row", "A2: a user who requests many runs has at most five at a time")
	t.Attr("row", "B4: runs that fail leave the runs of the other users untouched")
	t.Attr("row", "E7: concurrent execution")
	t.Attr("amount", "50 users")
	campaign.Only(t, "a dozen users run into eleven kinds of failure at once")
	e := readSize(t)
	seconds := e.pick(12, 15, 30) // of a run: a run that hangs ends then
	c := newSuite(t, e.pick(12, 20, 50), 2,
		stack.Config{Parameters: map[string]string{"RunSeconds": fmt.Sprint(seconds)}})
	all := failures()
	if e == small {
		all = all[1:] // waiting for a lease takes 20 seconds; TestResourceCleanup does that
	}
	windows := make([][]*testkit.Device, len(c.users))
	c.forEachUser(func(i int, p *testkit.User) error {
		for _, thread := range p.Threads {
			s, err := c.open(p, thread)
			if err != nil {
				return err
			}
			windows[i] = append(windows[i], s)
		}
		return nil
	})
	flooder := newFlood(c.users[0])
	c.forEachUser(func(i int, p *testkit.User) error {
		switch {
		case i == 0:
			return flooder.run(c, windows[0])
		case i%2 == 1:
			own := failuresOf(all, i/2)
			return inParallel(len(own), func(n int) error { return c.runFailure(own[n], windows[i][n]) })
		}
		return c.runOrdinary(windows[i])
	})
	c.checkLogs(windows, flooder)
}

// failuresOf returns the failures of the n-th user who has any. The kill ends all active runs of a user, so it stands
// alone.
func failuresOf(all []failure, n int) []failure {
	n %= 1 + len(all)/2
	if n == 0 {
		return all[:1]
	}
	return all[2*n-1 : min(2*n+1, len(all))]
}

// runOrdinary has two runs in each window.
func (c *suite) runOrdinary(windows []*testkit.Device) error {
	return inParallel(len(windows), func(i int) error {
		for n := range 2 {
			if err := c.ask(windows[i], fmt.Sprintf("%s %s-%d", ordinary, windows[i].User.Secret, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// runFailure has a run that goes wrong, and then an ordinary one.
func (c *suite) runFailure(f failure, s *testkit.Device) error {
	if _, err := s.Send(f.text); err != nil {
		return err
	}
	if f.kill {
		begun := func(st client.State) bool { return testkit.Says(st, agui.RoleAssistant, "begun") }
		if err := s.WaitUntil(c.ctx, "is begun", begun); err != nil {
			return err
		}
		if n := c.Host().Kill(c.Function("TurnFunction"), s.User.Name); n != 1 {
			return fmt.Errorf("%d workers were killed, want 1", n)
		}
	}
	ended := func(st client.State) bool { return testkit.Idle(st) && st.Seq > 0 }
	if err := s.WaitUntil(c.ctx, "shows the end of the run in which "+f.name, ended); err != nil {
		return err
	}
	code := ""
	if got := s.State().Failure; got != nil {
		code = string(got.Code)
	}
	// A slow machine may reach the short time limit of this stack before another limit.
	outOfTime := strings.HasSuffix(f.end, "_limit") && code == "time_limit"
	if f.end != "any" && code != f.end && !outOfTime {
		return fmt.Errorf("%s: the run ended with %+v, want %q", f.name, s.State().Failure, f.end)
	}
	if err := c.ask(s, "/say an-ordinary-run"); err != nil {
		return err
	}
	if !testkit.Says(s.State(), agui.RoleAssistant, "an-ordinary-run") {
		return fmt.Errorf("after %s the thread has no ordinary run: %+v", f.name, s.State())
	}
	return nil
}

// flood is a user who starts more runs than may be active at once, from three devices.
type flood struct {
	user    *testkit.User
	threads []chat.ThreadID
	devices []*testkit.Device
}

const floodRuns = 20

func newFlood(p *testkit.User) *flood {
	f := &flood{user: p}
	for range 10 {
		f.threads = append(f.threads, testkit.NewThread())
	}
	p.Threads = append(p.Threads, f.threads...)
	return f
}

// run starts all runs at once and waits until all have ended.
func (f *flood) run(c *suite, windows []*testkit.Device) error {
	f.devices = windows
	third, err := c.open(f.user, f.threads[0])
	if err != nil {
		return err
	}
	f.devices = append(slices.Clone(windows), third)
	for n := range floodRuns {
		d := f.devices[n%len(f.devices)]
		if err := d.Open(f.threads[n%len(f.threads)]); err != nil {
			return err
		}
		if _, err := d.Send(fmt.Sprintf("/stream 40 20\n/say flooded-%d", n)); err != nil {
			return err
		}
	}
	for _, id := range f.threads {
		if err := third.Open(id); err != nil {
			return err
		}
		complete := func(st client.State) bool {
			return st.ThreadID == id && testkit.Idle(st) && testkit.CountQuestions(st, "") == floodRuns/len(f.threads)
		}
		if err := third.WaitUntil(c.ctx, "shows all of thread "+string(id), complete); err != nil {
			return err
		}
	}
	return nil
}

// checkLogs checks the logs of all runs.
func (c *suite) checkLogs(windows [][]*testkit.Device, f *flood) {
	c.Helper()
	all := testkit.Logs(c.T, c.ctx, c.Endpoints())
	var runs []testkit.Run
	ends, untouched, failed := 0, 0, 0
	for i, p := range c.users {
		for n, thread := range p.Threads {
			events := testkit.DecodeEvents(c.T, all[thread].Raw(c.T))
			own := testkit.Runs(p.Name, events)
			if err := testkit.CheckRuns(events, len(own)); err != nil {
				c.Errorf("%s, thread %s: %v", p.Name, thread, err)
			}
			runs, ends = append(runs, own...), ends+len(own)
			for _, e := range events {
				if e.Type == agui.RunError {
					failed++
				}
			}
			if i > 0 && i%2 == 0 {
				untouched += c.countComplete(windows[i][n], events)
			}
		}
	}
	users, most := overlap(runs)
	const limit = 5
	_, ofFlooder := overlap(slices.DeleteFunc(slices.Clone(runs),
		func(r testkit.Run) bool { return r.User != f.user.Name }))
	if most > limit || ofFlooder != limit || users < len(c.users)/2 {
		c.Errorf("at one moment up to %d users had active runs, one of them up to %d, and the user with %d runs up "+
			"to %d; want at least %d users and %d runs",
			users, most, floodRuns, ofFlooder, len(c.users)/2, limit)
	}
	c.metrics()
	c.figure("%d users, %d runs, each ended once; %d failed as intended", len(c.users), ends, failed)
	c.figure("%d runs of others at the same time: all finished with their complete answers", untouched)
	c.figure("up to %d users at one moment; at most %d active runs of one user with %d runs on %d devices", users,
		most, floodRuns, len(f.devices))
}

// countComplete counts the ordinary runs that are complete. The test fails for each other one.
func (c *suite) countComplete(s *testkit.Device, events []agui.Event) (n int) {
	c.Helper()
	var numbers strings.Builder
	for i := range 60 {
		fmt.Fprintf(&numbers, "%d ", i+1)
	}
	got, err := testkit.SuccessfulRuns(s.User.Name, events)
	if err != nil || len(got) != 2 {
		c.Errorf("%s: %d runs ended in success, want 2: %v", s.User.Name, len(got), err)
	}
	var answers strings.Builder
	for _, m := range s.State().Messages {
		if m.Role != agui.RoleUser {
			answers.WriteString(m.Content + "|")
		}
	}
	for i := range 2 {
		want := fmt.Sprintf("%s|42|end-of-all %s-%d|", numbers.String(), s.User.Secret, i)
		if strings.Count(answers.String(), want) == 1 {
			n++
			continue
		}
		c.Errorf("%s: the window shows %s, want %s", s.User.Name, answers.String(), want)
	}
	return n
}

package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// trouble is what goes wrong in the run of one user.
type trouble struct {
	name string
	text string
	kill bool   // its worker is killed once it has begun
	end  string // the code of its end; "": it may finish, "any" however
}

func troubles() []trouble {
	return []trouble{
		{name: "its worker is killed", text: "/say begun\n/stream 2000 20", kill: true, end: "any"},
		{name: "the model panics", text: "/say begun\n/fail panic", end: "internal"},
		{name: "the model hangs", text: "/say begun\n/wait 600000", end: "time_limit"},
		{name: "the model fails at once", text: "/fail model", end: "model_error"},
		{name: "the model fails late", text: "/say begun\n/fail late", end: "model_error"},
		{name: "too many events", text: "/say begun\n/stream 20000 0", end: "event_limit"},
		{name: "too much output", text: "/say begun\n/stream 1000 0 60000", end: "output_limit"},
		{name: "bad calls", text: "/call nobody {}\n/call calculator {\"\\u0000\":[[[[\n/call calculator {}\n/fail tool\n/say whole"},
		{name: "poison", text: "/say \u202e ]]> {\"a\": 'b' \\u0000 </script> \u2028 " + strings.Repeat("ä", 5000)},
		{name: "an answer that is cut", text: "/say begun\n/fail cut"},
		{name: "an answer that is refused", text: "/say begun\n/fail filtered", end: "any"},
	}
}

// steady is the work of a user who has nothing to do with that: 60 numbers, a tool's result, and an end.
const steady = "/stream 60 30\n/call calculator {\"expression\":\"6*7\"}\n/say end-of-all"

// Some users' runs panic, hang, fail, are fed poison or are killed, and one floods; everybody else has runs meanwhile, each
// of which ends in success with its whole answer. Each run of anybody ends once, and nobody has more than five at a time.
func TestConcurrentExecution(t *testing.T) {
	t.Attr("row", "A2: a user who requests many runs has at most five at a time")
	t.Attr("row", "B4: runs that fail leave the runs of the other users untouched")
	t.Attr("row", "E7: concurrent execution")
	t.Attr("amount", "50 users")
	e := extentOf(t)
	seconds := e.of(12, 15, 30) // of a run: what hangs ends then
	c := newCrowd(t, e.of(12, 20, 50), 2, stack.Config{Parameters: map[string]string{"RunSeconds": fmt.Sprint(seconds)}})
	all := troubles()
	if e == small {
		all = all[1:] // who waits for a lease waits for 20 seconds; TestResourceCleanup does
	}
	windows := make([][]*socket, len(c.users))
	c.each(func(i int, p *person) error {
		for _, thread := range p.threads {
			s, err := c.window(p, thread)
			if err != nil {
				return err
			}
			windows[i] = append(windows[i], s)
		}
		return nil
	})
	flooder := newFlood(c.users[0])
	c.each(func(i int, p *person) error {
		switch {
		case i == 0:
			return flooder.pours(c, windows[0])
		case i%2 == 1:
			mine := couple(all, i/2)
			return together(len(mine), func(n int) error { return c.suffers(mine[n], windows[i][n]) })
		}
		return c.works(windows[i])
	})
	c.judgeErrors(windows, flooder)
}

// couple are the troubles of the n-th user who has any: the kill, which kills all that a user has at work, comes alone.
func couple(all []trouble, n int) []trouble {
	n %= 1 + len(all)/2
	if n == 0 {
		return all[:1]
	}
	return all[2*n-1 : min(2*n+1, len(all))]
}

// works has a run in each window, twice.
func (c *crowd) works(windows []*socket) error {
	return together(len(windows), func(i int) error {
		for n := range 2 {
			if err := c.asks(windows[i], fmt.Sprintf("%s %s-%d", steady, windows[i].who.secret, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// suffers has a run with a trouble, and then one as if nothing had been.
func (c *crowd) suffers(what trouble, s *socket) error {
	if _, err := s.Send(what.text); err != nil {
		return err
	}
	if what.kill {
		begun := func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") }
		if err := c.until(s, "begun", begun); err != nil {
			return err
		}
		if n := c.Host().Kill(c.Function("TurnFunction"), s.who.name); n != 1 {
			return fmt.Errorf("%d workers were killed, want 1", n)
		}
	}
	over := func(st client.State) bool { return idle(st) && st.Seq > 0 }
	if err := c.until(s, "over, with "+what.name, over); err != nil {
		return err
	}
	if failure := s.State().Failure; what.end != "any" && (failure == nil) != (what.end == "") || failure != nil && what.end != "any" && string(failure.Code) != what.end {
		return fmt.Errorf("%s: it ended with %+v, want %q", what.name, failure, what.end)
	}
	if err := c.asks(s, "/say as-if-nothing-had-been"); err != nil {
		return err
	}
	if !says(s.State(), agui.RoleAssistant, "as-if-nothing-had-been") {
		return fmt.Errorf("after %s the thread does not go on: %+v", what.name, s.State())
	}
	return nil
}

// flood is a user with more runs than may go on at once, from three devices.
type flood struct {
	who     *person
	threads []chat.ThreadID
	devices []*socket
}

const floods = 20 // runs

func newFlood(p *person) *flood {
	f := &flood{who: p}
	for range 10 {
		f.threads = append(f.threads, newThread())
	}
	p.threads = append(p.threads, f.threads...)
	return f
}

// pours sends all of it at once and waits until it is over.
func (f *flood) pours(c *crowd, windows []*socket) error {
	f.devices = windows
	third, err := c.window(f.who, f.threads[0])
	if err != nil {
		return err
	}
	f.devices = append(slices.Clone(windows), third)
	for n := range floods {
		d := f.devices[n%len(f.devices)]
		if err := d.Open(f.threads[n%len(f.threads)]); err != nil {
			return err
		}
		if _, err := d.Send(fmt.Sprintf("/stream 40 20\n/say poured-%d", n)); err != nil {
			return err
		}
	}
	for _, id := range f.threads {
		if err := third.Open(id); err != nil {
			return err
		}
		whole := func(st client.State) bool {
			return st.ThreadID == id && idle(st) && asked(st, "") == floods/len(f.threads)
		}
		if err := c.until(third, "over: thread "+string(id), whole); err != nil {
			return err
		}
	}
	return nil
}

// judgeErrors looks at the logs of all runs.
func (c *crowd) judgeErrors(windows [][]*socket, f *flood) {
	c.Helper()
	all, err := logs(c.ctx, c.Endpoints())
	if err != nil {
		c.Fatal(err)
	}
	var runs []run
	ends, untouched, failed := 0, 0, 0
	for i, p := range c.users {
		for n, thread := range p.threads {
			events := parse(c.T, all[thread].raw())
			mine := spans(p.name, events)
			if err := ended(events, len(mine)); err != nil {
				c.Errorf("%s, thread %s: %v", p.name, thread, err)
			}
			runs, ends = append(runs, mine...), ends+len(mine)
			for _, e := range events {
				if e.Type == agui.RunError {
					failed++
				}
			}
			if i > 0 && i%2 == 0 {
				untouched += c.whole(windows[i][n], events)
			}
		}
	}
	users, most := overlap(runs)
	const limit = 5
	_, poured := overlap(slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.who != f.who.name }))
	if most > limit || poured != limit || users < len(c.users)/2 {
		c.Errorf("at one moment up to %d users had runs, one of them up to %d, and who had %d wanted up to %d; want at least %d users, and %d runs",
			users, most, floods, poured, len(c.users)/2, limit)
	}
	c.metrics()
	c.figure("%d users, %d runs, each ended once; %d failed as they were meant to", len(c.users), ends, failed)
	c.figure("%d runs of others meanwhile: all finished with their whole answers", untouched)
	c.figure("up to %d users at one moment; at most %d runs of one, who wanted %d on %d devices", users, most, floods, len(f.devices))
}

// whole counts the runs of a steady worker that are whole, and fails for those that are not.
func (c *crowd) whole(s *socket, events []agui.Event) (n int) {
	c.Helper()
	var numbers strings.Builder
	for i := range 60 {
		fmt.Fprintf(&numbers, "%d ", i+1)
	}
	got, err := runs(s.who.name, events)
	if err != nil || len(got) != 2 {
		c.Errorf("%s: %d runs went well, want 2: %v", s.who.name, len(got), err)
	}
	var answers strings.Builder
	for _, m := range s.State().Messages {
		if m.Role != agui.RoleUser {
			answers.WriteString(m.Content + "|")
		}
	}
	for i := range 2 {
		want := fmt.Sprintf("%s|42|end-of-all %s-%d|", numbers.String(), s.who.secret, i)
		if strings.Count(answers.String(), want) == 1 {
			n++
			continue
		}
		c.Errorf("%s was disturbed: its window shows %s, want %s", s.who.name, answers.String(), want)
	}
	return n
}

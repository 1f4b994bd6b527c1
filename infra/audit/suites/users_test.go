package suites_test

import (
	"carrel/infra/testkit"

	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
)

// kinds returns the places where a user's secret is put. The last one is the model's input.
func kinds() []string {
	return []string{"message", "argument", "note", "error", "unfinished", "history"}
}

// secretIn returns a user's secret as it is put in one place.
func secretIn(u *testkit.User, kind string) string { return u.Secret + "." + kind }

// secretScripts returns messages that put the user's secret into messages, tools' arguments, data and errors, failing
// runs, and the history of the thread. They can be sent in any order.
func secretScripts(u *testkit.User) []string {
	message, argument, note := secretIn(u, "message"), secretIn(u, "argument"), secretIn(u, "note")
	failed, unfinished, history := secretIn(u, "error"), secretIn(u, "unfinished"), secretIn(u, "history")
	return []string{
		"/say " + message + "\n/call notes_save {\"text\":\"" + note + "\"}\n/call notes_search {\"words\":\"" +
			argument +
			"\"}\n/call notes_search {\"words\":\"secret-\"}\n/call " + failed +
			" {}\n/call calculator {\"expression\":\"" +
			failed + "\"}\n/call notes_list {}",
		"/say " + unfinished + "\n/fail late",
		"/say " + unfinished + "\n/fail panic",
		"/no-such-directive " + failed,
		"/stream 20 40\n/say " + history,
	}
}

// Many users at once, each with several threads and windows, put their secrets everywhere: into messages, into tools'
// arguments, results and errors, into runs that fail, and into the history that later runs are given. Each secret is
// found where it belongs and nowhere else: in no byte of a foreign socket, in no log, in no input of a foreign run's
// model, and in the table only under its owner's key.
func TestMultiUserIsolation(t *testing.T) {
	t.Attr("row", "B2: users' secret markers appear in no other user's frames, logs or records")
	t.Attr("row", "E7: multi-user isolation")
	t.Attr("amount", "50 users")
	e := readSize(t)
	c := newSuite(t, e.pick(10, 10, 50), e.pick(1, 2, 2), stack.Config{})
	sockets := make([][]*testkit.Device, len(c.users)) // two of each thread
	c.forEachUser(func(i int, p *testkit.User) error {
		for _, thread := range p.Threads {
			for range 2 {
				s, err := c.open(p, thread)
				if err != nil {
					return err
				}
				sockets[i] = append(sockets[i], s)
			}
		}
		return nil
	})
	c.forEachUser(func(i int, p *testkit.User) error {
		return inParallel(len(p.Threads), func(n int) error {
			return c.sendSecrets(i*10+n, sockets[i][2*n],
				sockets[i][2*n+1])
		})
	})
	c.checkSockets(slices.Concat(sockets...))
	c.checkLog()
	c.checkTable()
	c.metrics()
}

// sendSecrets sends a thread's scripts in some order, from one window and the other, and then has the model recite what
// it was given.
func (c *suite) sendSecrets(n int, first, second *testkit.Device) error {
	dice, scripts := c.dice(n), secretScripts(first.User)
	dice.Shuffle(len(scripts), func(i, j int) { scripts[i], scripts[j] = scripts[j], scripts[i] })
	for i, text := range append(scripts, "/recite") {
		if err := c.ask([]*testkit.Device{first, second}[i%2], text); err != nil {
			return err
		}
	}
	for _, s := range []*testkit.Device{first, second} {
		err := s.WaitUntil(c.ctx, "is shown whole", func(st client.State) bool {
			return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, "user: /recite")
		})
		if err != nil {
			return err
		}
		for _, kind := range kinds() { // the model recites its input
			recited := slices.ContainsFunc(s.State().Messages, func(m agui.Message) bool {
				return m.Role == agui.RoleAssistant && strings.HasPrefix(m.Content, "system: ") &&
					strings.Contains(m.Content, secretIn(s.User, kind))
			})
			if !recited {
				return fmt.Errorf("the model was not given the %s of the own thread: this proves nothing", kind)
			}
		}
	}
	return nil
}

// checkSockets checks every byte that was sent.
func (c *suite) checkSockets(sockets []*testkit.Device) {
	c.Helper()
	var all []testkit.Run
	var streams [][]json.RawMessage
	frames, bytes, foreign, notices := 0, 0, 0, 0
	for i, s := range sockets {
		got := s.Received(c.T, c.users)
		frames, foreign = frames+got.Frames, foreign+got.Foreign
		for _, m := range s.Messages() {
			bytes += len(m)
		}
		notices += got.GatewayErrors
		events, raw, err := got.Stream(s.State().Seq)
		if err == nil {
			err = testkit.CheckRuns(events, len(secretScripts(s.User))+1)
		}
		if err != nil {
			c.Errorf("%s, thread %s: %v", s.User.Name, s.Thread, err)
		}
		if i%2 == 0 {
			all, streams = append(all, testkit.Runs(s.User.Name, events)...), append(streams, raw)
		}
	}
	most, _ := overlap(all)
	if most < len(c.users)/2 {
		c.Errorf("at most %d users ran at the same time: the runs overlapped too little to prove anything", most)
	}
	c.figure("%d users, %d sockets, %d runs, up to %d users at one moment", len(c.users), len(sockets), len(all), most)
	c.figure("%d secrets or threads of others in %d frames (%.1f MB); "+
		"%d frames met a busy function and were sent again",
		foreign, frames,
		float64(bytes)/1e6, notices)
	testkit.VerifyWithAGUI(c.T, streams)
}

// checkLog checks that no secret is in the log of the functions and the stack, neither as it is nor in base64, in which
// a logger writes bytes. The log must have a line of every user's runs, or the check proves nothing.
func (c *suite) checkLog() {
	c.Helper()
	log := testkit.Log(c.T, c.Stack)
	lines, found, forms := 0, 0, append(inBase64("secret-"), "secret-")
	for _, p := range c.users {
		if who := chattest.User(c.T, p.Name).Hash(); !strings.Contains(log, who) {
			c.Errorf("the log has no line of %s: this proves nothing", p.Name)
		}
	}
	for line := range strings.Lines(log) {
		lines++
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(line, form) }) {
			if found++; found < 5 {
				c.Errorf("the log has a secret: %.300s", line)
			}
		}
	}
	c.figure("%d secrets in %d lines of logs", found, lines)
}

// inBase64 returns the base64 characters of a text for each of its three possible offsets.
func inBase64(text string) (forms []string) {
	for before := range 3 {
		whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text))
		forms = append(forms, whole[(before*8+5)/6:(before+len(text))*8/6])
	}
	return forms
}

// checkTable checks the whole table with the rights of an operator.
func (c *suite) checkTable() {
	c.Helper()
	found, foreign, items := map[string]int{}, 0, testkit.Items(c.T, c.ctx, c.Endpoints())
	for key, text := range items {
		for _, p := range c.users {
			if !strings.Contains(key+text, p.Secret) {
				continue
			}
			if !strings.HasPrefix(key, "U#"+p.Name+"#") && !strings.HasPrefix(key, "U#"+p.Name+" ") {
				foreign++
				c.Errorf("%s holds the secret of %s", key, p.Name)
			}
			for _, kind := range kinds() {
				if strings.Contains(text, secretIn(p, kind)) {
					found[p.Name+" "+kind]++
				}
			}
		}
	}
	total := 0
	for _, p := range c.users {
		for _, kind := range kinds() {
			n := found[p.Name+" "+kind]
			if total += n; n == 0 {
				c.Errorf("the %s of %s is nowhere in the table: this proves nothing", kind, p.Name)
			}
		}
	}
	c.figure("%d of %d secrets in the table's %d items are not under their owner's key", foreign, total, len(items))
}

// A secret is found in base64 at any offset.
func TestInBase64_AnyOffset(t *testing.T) {
	for before := range 7 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("{", before) + "secret-of-alice"))
		if !slices.ContainsFunc(inBase64("secret-"), func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("after %d bytes: none of %q is in %s", before, inBase64("secret-"), text)
		}
	}
}

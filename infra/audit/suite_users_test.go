package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
)

// kinds are where a user's secret is put. The last is what a model was given of the others.
func kinds() []string {
	return []string{"message", "argument", "note", "error", "unfinished", "history"}
}

// mark is a user's secret as it is put in one place.
func (p *person) mark(kind string) string { return p.secret + "." + kind }

// chores are messages that put the secret into what users say, tools' arguments, data and errors, failing runs, and the
// history of the thread; each in one message, in any order.
func (p *person) chores() []string {
	return []string{
		"/say " + p.mark("message") + "\n/call notes_save {\"text\":\"" + p.mark("note") + "\"}\n/call notes_search {\"words\":\"" + p.mark("argument") + "\"}\n/call notes_search {\"words\":\"secret-\"}\n" +
			"/call " + p.mark("error") + " {}\n/call calculator {\"expression\":\"" + p.mark("error") + "\"}\n/call notes_list {}",
		"/say " + p.mark("unfinished") + "\n/fail late",
		"/say " + p.mark("unfinished") + "\n/fail panic",
		"/no-such-directive " + p.mark("error"),
		"/stream 20 40\n/say " + p.mark("history"),
	}
}

// Users at once, each with several threads and windows, put their secrets everywhere: into what they say, into tools'
// arguments, results and errors, into runs that fail, and into what later runs are told. Each secret is found where it
// belongs, and nowhere else: in no byte of anybody else's sockets, in no log, in nothing that anybody else's model was
// given, and in the table below its owner's key only.
func TestMultiUserIsolation(t *testing.T) {
	t.Attr("row", "B2: users' secret markers appear in no other user's frames, logs or records")
	t.Attr("row", "E7: multi-user isolation")
	t.Attr("amount", "50 users")
	e := extentOf(t)
	c := newCrowd(t, e.of(10, 10, 50), e.of(1, 2, 2), stack.Config{})
	sockets := make([][]*socket, len(c.users)) // two of each thread
	c.each(func(i int, p *person) error {
		for _, thread := range p.threads {
			for range 2 {
				s, err := c.window(p, thread)
				if err != nil {
					return err
				}
				sockets[i] = append(sockets[i], s)
			}
		}
		return nil
	})
	c.each(func(i int, p *person) error {
		return together(len(p.threads), func(n int) error { return c.confides(i*10+n, sockets[i][2*n], sockets[i][2*n+1]) })
	})
	c.aloneOnSockets(slices.Concat(sockets...))
	c.aloneInLogs()
	c.aloneInTable()
	c.metrics()
}

// confides has a thread's chores done in some order, from one window and the other, and then the model say what it was
// given.
func (c *crowd) confides(n int, first, second *socket) error {
	dice, chores := c.dice(n), first.who.chores()
	dice.Shuffle(len(chores), func(i, j int) { chores[i], chores[j] = chores[j], chores[i] })
	for i, text := range append(chores, "/recite") {
		if err := c.asks([]*socket{first, second}[i%2], text); err != nil {
			return err
		}
	}
	for _, s := range []*socket{first, second} {
		err := c.until(s, "shown whole", func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "user: /recite") })
		if err != nil {
			return err
		}
		for _, kind := range kinds() { // what was recited is what the model was given
			told := slices.ContainsFunc(s.State().Messages, func(m agui.Message) bool {
				return m.Role == agui.RoleAssistant && strings.HasPrefix(m.Content, "system: ") && strings.Contains(m.Content, s.who.mark(kind))
			})
			if !told {
				return fmt.Errorf("the model was not given the %s of the thread itself: what it was given proves nothing", kind)
			}
		}
	}
	return nil
}

// aloneOnSockets looks at every byte that was sent.
func (c *crowd) aloneOnSockets(sockets []*socket) {
	c.Helper()
	var all []run
	var streams [][]json.RawMessage
	frames, bytes, foreign, notices := 0, 0, 0, 0
	for i, s := range sockets {
		got := s.read(c.T, c.users)
		frames, foreign = frames+got.frames, foreign+got.foreign
		for _, m := range s.messages {
			bytes += len(m)
		}
		notices += got.notices
		events, raw, err := got.stream(s.State().Seq)
		if err == nil {
			err = ended(events, len(s.who.chores())+1)
		}
		if err != nil {
			c.Errorf("%s, thread %s: %v", s.who.name, s.thread, err)
		}
		if i%2 == 0 {
			all, streams = append(all, spans(s.who.name, events)...), append(streams, raw)
		}
	}
	most, _ := overlap(all)
	if most < len(c.users)/2 {
		c.Errorf("at most %d users ran at the same time: the runs did not overlap enough to prove anything", most)
	}
	c.figure("%d users, %d sockets, %d runs, up to %d users at one moment", len(c.users), len(sockets), len(all), most)
	c.figure("%d secrets or threads of others in %d frames (%.1f MB); %d frames met a function that was too busy, and were sent again", foreign, frames,
		float64(bytes)/1e6, notices)
	verify(c.T, streams)
}

// aloneInLogs wants no secret of anybody in what the functions and the stack have written, as it is or as base64, in which a
// logger writes bytes; and a line of everybody's runs, without which the look at it proves nothing.
func (c *crowd) aloneInLogs() {
	c.Helper()
	log, err := os.ReadFile(c.Log())
	if err != nil {
		c.Fatal(err)
	}
	lines, found, forms := 0, 0, append(inBase64("secret-"), "secret-")
	for _, p := range c.users {
		if who := chattest.User(c.T, p.name).Hash(); !strings.Contains(string(log), who) {
			c.Errorf("the log has no line of %s: the look at it proves nothing", p.name)
		}
	}
	for line := range strings.Lines(string(log)) {
		lines++
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(line, form) }) {
			if found++; found < 5 {
				c.Errorf("the log has a secret: %.300s", line)
			}
		}
	}
	c.figure("%d secrets in %d lines of logs", found, lines)
}

// inBase64 are the letters that a text has in base64, wherever in it it stands.
func inBase64(text string) (forms []string) {
	for before := range 3 {
		whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text))
		forms = append(forms, whole[(before*8+5)/6:(before+len(text))*8/6])
	}
	return forms
}

// aloneInTable reads the whole table as an operator.
func (c *crowd) aloneInTable() {
	c.Helper()
	found, foreign, items := map[string]int{}, 0, newScanner(c.T, c.Endpoints()).items(c.ctx)
	for key, text := range items {
		for _, p := range c.users {
			if !strings.Contains(key+text, p.secret) {
				continue
			}
			if !strings.HasPrefix(key, "U#"+p.name+"#") && !strings.HasPrefix(key, "U#"+p.name+" ") {
				foreign++
				c.Errorf("%s holds the secret of %s", key, p.name)
			}
			for _, kind := range kinds() {
				if strings.Contains(text, p.mark(kind)) {
					found[p.name+" "+kind]++
				}
			}
		}
	}
	total := 0
	for _, p := range c.users {
		for _, kind := range kinds() {
			n := found[p.name+" "+kind]
			if total += n; n == 0 {
				c.Errorf("the %s of %s is nowhere in the table: the look at it proves nothing", kind, p.name)
			}
		}
	}
	c.figure("%d of %d secrets in the table's %d items are not below their owner's key", foreign, total, len(items))
}

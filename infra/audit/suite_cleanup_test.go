package audit_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
	"carrel/shared/store"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Sessions of all users end in every way there is: runs that finish, fail, are cancelled while they run and while they
// wait, whose worker is killed, whose thread is deleted under them; sockets that are closed, cut off and dropped. What is
// left then is what was said, and nothing else.
func TestResourceCleanup(t *testing.T) {
	t.Attr("row", "E1: nothing remains after all sessions have ended")
	t.Attr("row", "E7: resource clean-up")
	t.Attr("amount", "50 users")
	e := extentOf(t)
	c := newCrowd(t, e.of(5, 10, 50), 4, stack.Config{Minute: time.Second})
	c.each(func(_ int, p *person) error { return c.session(p) })
	left := c.settles()
	m := c.metrics()
	for name, want := range map[string]float64{
		"Residue": 0, "ContextsActive": 0, "ContextsMade": m["ContextsCleaned"], "RunsEnded": m["RunsFinished"] + m["RunsFailed"] + m["RunsCancelled"],
		"SweepSlots": 0, "SweepStarted": 0, "SweepExpired": 0, "SweepErased": 0, "SweepEnded": 0,
	} {
		if m[name] != want {
			c.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if m["ContextsMade"] < m["RunsEnded"] {
		c.Errorf("%v runs ended, and %v contexts were made", m["RunsEnded"], m["ContextsMade"])
	}
	if n := float64(len(c.users)); m["SweepResumed"] < n || m["RunsFinished"] < n || m["RunsFailed"] < n || m["RunsCancelled"] < n {
		c.Errorf("%v runs were resumed, %v finished, %v failed, %v were cancelled: want each of every user", m["SweepResumed"], m["RunsFinished"],
			m["RunsFailed"], m["RunsCancelled"])
	}
	c.figure("%d users, %v runs ended, %d workers killed on the way: %d leftovers", len(c.users), m["RunsEnded"], len(c.users), len(left))
	c.figure("%d sockets whose $disconnect was throttled: their records end by themselves", len(c.lostDisconnects()))
	c.figure("%v contexts made, %v cleaned, %v active, %v pieces of residue", m["ContextsMade"], m["ContextsCleaned"], m["ContextsActive"], m["Residue"])
	c.sweepFindsNothing(m)
}

// session is all that a user does.
func (c *crowd) session(p *person) error {
	windows := make([]*socket, len(p.threads))
	err := together(len(windows), func(i int) (err error) {
		windows[i], err = c.window(p, p.threads[i])
		return err
	})
	if err != nil {
		return err
	}
	killed, good, stopped, deleted := windows[0], windows[1], windows[2], windows[3]
	if err := c.begins(killed, "/say begun\n/stream 100 20\n/say end-of-killed"); err != nil {
		return err
	}
	if n := c.Host().Kill(c.Function("TurnFunction"), p.name); n != 1 {
		return fmt.Errorf("%d workers were killed, want 1", n)
	}
	c.Gateway().Cut(string(good.ready(c.T).ConnectionID)) // its client opens another
	err = together(3, func(i int) error {
		switch i {
		case 0:
			return cmp.Or(c.asks(good, "what is 6*7?"), c.asks(good, "/say half\n/fail late"))
		case 1:
			return c.stops(stopped)
		}
		if err := c.begins(deleted, "/say begun\n/stream 20000 20"); err != nil {
			return err
		}
		return good.Delete(c.ctx, deleted.thread)
	})
	if err != nil {
		return err
	}
	over := func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "end-of-killed") }
	if err := c.until(killed, "over, though its worker was killed", over); err != nil {
		return err
	}
	for i, w := range windows {
		if i%2 == 0 {
			if err := w.Cut(); err != nil {
				return err
			}
		}
		w.Close()
	}
	return nil
}

// begins sends a message and waits for the first words of its answer.
func (c *crowd) begins(s *socket, text string) error {
	if _, err := s.Send(text); err != nil {
		return err
	}
	return c.until(s, "begun", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
}

// stops cancels a run that runs and one that waits behind it.
func (c *crowd) stops(s *socket) error {
	if err := c.begins(s, "/say begun\n/stream 20000 20"); err != nil {
		return err
	}
	waits, err := s.Send("/say never")
	if err != nil {
		return err
	}
	if err := c.until(s, "queued", func(st client.State) bool { return slices.Contains(st.Queued, waits) }); err != nil {
		return err
	}
	for _, id := range []chat.RunID{waits, s.State().Active} {
		if err := s.Cancel(id); err != nil {
			return err
		}
	}
	return c.until(s, "stopped", idle)
}

// settles waits until nothing is left, and returns what is left all the same. A worker may have written to a deleted thread
// before it learned of that: this goes with the second pass, 20 minutes later, which is had now.
func (c *crowd) settles() []string {
	c.Helper()
	if left := c.awaits(func(thing string) bool { return strings.Contains(thing, "deleted") }); len(left) > 0 {
		return left
	}
	table := newScanner(c.T, c.Endpoints())
	for key := range table.items(c.ctx) {
		if pk, sk, _ := strings.Cut(key, " "); strings.HasPrefix(sk, "ERASE#") {
			now := time.Now()
			table.set(c.ctx, pk, sk, map[string]time.Time{"marked": now.Add(-21 * time.Minute), "due": now}, time.Millisecond)
		}
	}
	left := c.awaits(func(string) bool { return false })
	return append(left, c.verified()...)
}

// awaits waits until only what may stay is left.
func (c *crowd) awaits(stays func(thing string) bool) []string {
	c.Helper()
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(time.Minute); ; <-look.C {
		left := slices.DeleteFunc(c.leftovers(), stays)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(until) {
			c.Errorf("%d things are left, such as %s", len(left), strings.Join(left[:min(5, len(left))], "; "))
			return left
		}
	}
}

// verified are what operators are told of each user that does not fit.
func (c *crowd) verified() (left []string) {
	c.Helper()
	db := store.NewClient(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(c.Endpoints().DynamoDB),
		Credentials: c.Endpoints().Operator()})
	table := store.New(db, store.Config{Name: c.Endpoints().Table, Limits: chat.DefaultLimits()})
	for _, p := range c.users {
		s, err := table.For(chattest.User(c.T, p.name))
		if err != nil {
			c.Fatal(err)
		}
		found, err1 := s.Verify(c.ctx)
		orphans, err2 := s.Orphans(c.ctx)
		if err1 != nil || err2 != nil {
			c.Fatal(err1, err2)
		}
		for _, f := range append(found, orphans...) {
			left = append(left, f.Kind+" "+f.Thing)
			c.Errorf("%s: %s: %s %s", p.name, f.Kind, f.Thing, f.Detail)
		}
	}
	return left
}

// leftovers reads the whole table, and asks the gateway, for what should have gone.
func (c *crowd) leftovers() (left []string) {
	c.Helper()
	for _, id := range c.Gateway().Connections() {
		left = append(left, "an open socket: "+id)
	}
	deleted := map[string]bool{}
	for _, p := range c.users {
		deleted["U#"+p.name+"#T#"+string(p.threads[3])] = true
	}
	items := newScanner(c.T, c.Endpoints()).items(c.ctx)
	lost := c.lostDisconnects()
	for _, key := range slices.Sorted(maps.Keys(items)) {
		var item struct {
			PK, SK, Live, Status string
			Expires              int64
			Slots                map[string]string
			Queued               []any
		}
		if err := json.Unmarshal([]byte(items[key]), &item); err != nil {
			c.Fatal(err)
		}
		kind, _, _ := strings.Cut(item.SK, "#")
		epoch := strings.LastIndexByte(item.PK, '#')
		switch {
		case strings.HasPrefix(item.PK, "C#"), kind == "CONN":
			socket := strings.TrimPrefix(item.PK, "C#")
			if kind == "CONN" {
				socket = strings.TrimPrefix(item.SK, "CONN#")
			}
			if slices.Contains(lost, socket) && item.Expires > 0 && time.Until(time.Unix(item.Expires, 0)) <= 130*time.Minute {
				continue
			}
			left = append(left, "a socket's record: "+key)
		case kind == "QUEUE" && len(item.Slots)+len(item.Queued) > 0:
			left = append(left, "a taken seat or a place in the queue: "+items[key])
		case kind == "RUN" && !chat.RunStatus(item.Status).Terminal():
			left = append(left, "a run that is "+item.Status+": "+key)
		case kind == "ERASE":
			left = append(left, "a deleted thread to be erased: "+key)
		case item.Live != "":
			left = append(left, "something for sweep: "+key)
		case epoch > 0 && deleted[item.PK[:epoch]]:
			left = append(left, "something of a deleted thread: "+key)
		}
	}
	return left
}

// lostDisconnects are the sockets of whose end nobody was told, because too many functions ran at once: $disconnect is best
// effort. Their records go by their time to live.
func (c *crowd) lostDisconnects() (sockets []string) {
	c.Helper()
	log, err := os.ReadFile(c.Log())
	if err != nil {
		c.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`\$disconnect of (\S+): function \S+ failed: .*TooManyRequests`).FindAllSubmatch(log, -1) {
		sockets = append(sockets, string(found[1]))
	}
	return sockets
}

// sweepFindsNothing has sweep look once more: it repairs nothing.
func (c *crowd) sweepFindsNothing(before map[string]float64) {
	c.Helper()
	event, err := os.ReadFile("../events/sweep-schedule.json")
	if err != nil {
		c.Fatal(err)
	}
	answer, failure, err := c.Host().Invoke(c.ctx, c.Function("SweepFunction"), event)
	if err != nil || failure != "" {
		c.Fatalf("sweep: %v %s %s", err, failure, answer)
	}
	found := 0.0
	for name, n := range c.metrics() {
		if strings.HasPrefix(name, "Sweep") {
			found += n - before[name]
		}
	}
	if found != 0 {
		c.Errorf("sweep has found %v things to repair after all was over", found)
	}
	c.figure("%v repairs by a sweep afterwards", found)
}

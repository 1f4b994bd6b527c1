package suites_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"
	"context"

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

// The sessions of all users end in every possible way: runs finish, fail, are cancelled while active and while queued,
// lose their worker and their thread; sockets are closed, cut and dropped. Only the transcripts are left afterwards.
func TestResourceCleanup(t *testing.T) {
	t.Attr("row", "E1: nothing remains after all sessions have ended")
	t.Attr("row", "E7: resource clean-up")
	t.Attr("amount", "50 users")
	campaign.Only(t, "it ends sessions in every way beside running runs")
	e := readSize(t)
	c := newSuite(t, e.pick(5, 10, 50), 4, stack.Config{Minute: time.Second})
	c.forEachUser(func(_ int, p *testkit.User) error { return c.session(p) })
	left := c.settle()
	m := c.metrics()
	for name, want := range map[string]float64{
		"Residue": 0, "ContextsActive": 0, "ContextsMade": m["ContextsCleaned"], "RunsEnded": m["RunsFinished"] +
			m["RunsFailed"] + m["RunsCancelled"],
		"SweepSlots": 0, "SweepStarted": 0, "SweepExpired": 0, "SweepErased": 0, "SweepEnded": 0,
	} {
		if m[name] != want {
			c.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if m["ContextsMade"] < m["RunsEnded"] {
		c.Errorf("%v runs ended, and %v contexts were made", m["RunsEnded"], m["ContextsMade"])
	}
	if n := float64(len(c.users)); m["SweepResumed"] < n || m["RunsFinished"] < n || m["RunsFailed"] < n ||
		m["RunsCancelled"] < n {
		c.Errorf("%v runs were resumed, %v finished, %v failed, %v were cancelled: want each of every user",
			m["SweepResumed"], m["RunsFinished"],
			m["RunsFailed"], m["RunsCancelled"])
	}
	c.figure("%d users, %v runs ended, %d workers killed on the way: %d leftovers", len(c.users), m["RunsEnded"],
		len(c.users), len(left))
	c.figure("%d sockets whose $disconnect was throttled: their records end by themselves", len(c.lostDisconnects()))
	c.figure("%v contexts made, %v cleaned, %v active, %v pieces of residue", m["ContextsMade"], m["ContextsCleaned"],
		m["ContextsActive"], m["Residue"])
	c.sweepFindsNothing(m)
}

// session does all that one user does.
func (c *suite) session(p *testkit.User) error {
	windows := make([]*testkit.Device, len(p.Threads))
	err := inParallel(len(windows), func(i int) (err error) {
		windows[i], err = c.open(p, p.Threads[i])
		return err
	})
	if err != nil {
		return err
	}
	killed, good, stopped, deleted := windows[0], windows[1], windows[2], windows[3]
	if err := c.begin(killed, "/say begun\n/stream 100 20\n/say end-of-killed"); err != nil {
		return err
	}
	if n := c.Host().Kill(c.Function("TurnFunction"), p.Name); n != 1 {
		return fmt.Errorf("%d workers were killed, want 1", n)
	}
	c.Gateway().Cut(good.Connection(c.T)) // its client opens another one
	err = inParallel(3, func(i int) error {
		switch i {
		case 0:
			return cmp.Or(c.ask(good, "what is 6*7?"), c.ask(good, "/say half\n/fail late"))
		case 1:
			return c.cancelBoth(stopped)
		}
		if err := c.begin(deleted, "/say begun\n/stream 20000 20"); err != nil {
			return err
		}
		return good.Delete(c.ctx, deleted.Thread)
	})
	if err != nil {
		return err
	}
	ended := func(st client.State) bool {
		return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, "end-of-killed")
	}
	if err := killed.WaitUntil(c.ctx, "is ended, though its worker was killed", ended); err != nil {
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

// begin sends a message and waits for the first words of its answer.
func (c *suite) begin(s *testkit.Device, text string) error {
	if _, err := s.Send(text); err != nil {
		return err
	}
	return s.WaitUntil(c.ctx, "is begun", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant,
			"begun")
	})
}

// cancelBoth cancels an active run and a run that is queued behind it.
func (c *suite) cancelBoth(s *testkit.Device) error {
	if err := c.begin(s, "/say begun\n/stream 20000 20"); err != nil {
		return err
	}
	waits, err := s.Send("/say never")
	if err != nil {
		return err
	}
	if err := s.WaitUntil(c.ctx, "is queued", func(st client.State) bool {
		return slices.Contains(st.Queued,
			waits)
	}); err != nil {
		return err
	}
	for _, id := range []chat.RunID{waits, s.State().Active} {
		if err := s.Cancel(id); err != nil {
			return err
		}
	}
	return s.WaitUntil(c.ctx, "is stopped", testkit.Idle)
}

// settle waits until nothing is left, and returns the leftovers. A worker may have written to a deleted thread before
// it noticed the deletion. The second pass of the erasure, 20 minutes later, deletes this; it is made due now.
func (c *suite) settle() []string {
	c.Helper()
	if left := c.waitForLeftovers(func(thing string) bool {
		return strings.Contains(thing,
			"deleted")
	}); len(left) > 0 {
		return left
	}
	for key := range testkit.Items(c.T, c.ctx, c.Endpoints()) {
		if pk, sk, _ := strings.Cut(key, " "); strings.HasPrefix(sk, "ERASE#") {
			now := time.Now()
			testkit.SetTimes(c.T, c.ctx, c.Endpoints(), pk, sk, time.Millisecond,
				map[string]time.Time{"marked": now.Add(-21 * time.Minute), "due": now})
		}
	}
	left := c.waitForLeftovers(func(string) bool { return false })
	return append(left, c.findings()...)
}

// waitForLeftovers waits until only permitted leftovers exist, and returns the others after a minute.
func (c *suite) waitForLeftovers(stays func(thing string) bool) (left []string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	err := testkit.Poll(ctx, func() bool {
		left = slices.DeleteFunc(c.leftovers(), stays)
		return len(left) == 0
	})
	if err != nil {
		c.Errorf("%d things are left, such as %s", len(left), strings.Join(left[:min(5, len(left))], "; "))
	}
	return left
}

// findings returns what make ops verify finds wrong with each user.
func (c *suite) findings() (left []string) {
	c.Helper()
	db := store.NewClient(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(c.Endpoints().DynamoDB),
		Credentials: c.Endpoints().Operator()})
	table := store.New(db, store.Config{Name: c.Endpoints().Table, Limits: chat.DefaultLimits()})
	for _, p := range c.users {
		s, err := table.For(chattest.User(c.T, p.Name))
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
			c.Errorf("%s: %s: %s %s", p.Name, f.Kind, f.Thing, f.Detail)
		}
	}
	return left
}

// leftovers lists what should not be left: in the whole table, and among the sockets of the gateway.
func (c *suite) leftovers() (left []string) {
	c.Helper()
	for _, id := range c.Gateway().Connections() {
		left = append(left, "an open socket: "+id)
	}
	deleted := map[string]bool{}
	for _, p := range c.users {
		deleted["U#"+p.Name+"#T#"+string(p.Threads[3])] = true
	}
	items := testkit.Items(c.T, c.ctx, c.Endpoints())
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
			if slices.Contains(lost, socket) && item.Expires > 0 &&
				time.Until(time.Unix(item.Expires, 0)) <= 130*time.Minute {
				continue
			}
			left = append(left, "a socket's record: "+key)
		case kind == "QUEUE" && len(item.Slots)+len(item.Queued) > 0:
			left = append(left, "a taken slot or a queued run: "+items[key])
		case kind == "RUN" && !chat.RunStatus(item.Status).Terminal():
			left = append(left, "a run that is "+item.Status+": "+key)
		case kind == "ERASE":
			left = append(left, "a deleted thread to be erased: "+key)
		case item.Live != "":
			left = append(left, "something that sweep must repair: "+key)
		case epoch > 0 && deleted[item.PK[:epoch]]:
			left = append(left, "something of a deleted thread: "+key)
		}
	}
	return left
}

// lostDisconnects returns the sockets whose $disconnect was throttled, because too many functions ran at once:
// $disconnect is best effort. DynamoDB deletes their records by their time to live.
func (c *suite) lostDisconnects() (sockets []string) {
	c.Helper()
	throttled := regexp.MustCompile(`\$disconnect of (\S+): function \S+ failed: .*TooManyRequests`)
	for _, found := range throttled.FindAllStringSubmatch(testkit.Log(c.T, c.Stack), -1) {
		sockets = append(sockets, found[1])
	}
	return sockets
}

// sweepFindsNothing invokes sweep once more, which must repair nothing.
func (c *suite) sweepFindsNothing(before map[string]float64) {
	c.Helper()
	event, err := os.ReadFile(testkit.Path(c.T, "infra/events/sweep-schedule.json"))
	if err != nil {
		c.Fatal(err)
	}
	answer, failure, err := c.Host().Invoke(c.ctx, c.Function("SweepFunction"), event)
	if err != nil || failure != "" {
		c.Fatalf("invoke sweep: %v %s %s", err, failure, answer)
	}
	found := 0.0
	for name, n := range c.metrics() {
		if strings.HasPrefix(name, "Sweep") {
			found += n - before[name]
		}
	}
	if found != 0 {
		c.Errorf("sweep made %v repairs after everything had ended", found)
	}
	c.figure("%v repairs by a sweep afterwards", found)
}

package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// atOnce is the largest number of users with a run at the same time: more would measure a queue for two processors.
const atOnce = 20

// place identifies an event of a thread.
type place struct {
	thread string
	seq    chat.Seq
}

// path records when each record was durable, and when it arrived at the devices.
type path struct {
	mu      sync.Mutex
	durable map[place]time.Time
	took    times
}

// watch records the time at which the table has stored each record.
func (p *path) watch(r proxy.Request) (proxy.Fault, func()) {
	if r.Operation != "PutItem" {
		return proxy.Fine, nil
	}
	var put struct {
		Item struct{ PK, SK struct{ S string } }
	}
	if json.Unmarshal(r.Body, &put) != nil {
		return proxy.Fine, nil
	}
	number, isRecord := strings.CutPrefix(put.Item.SK.S, "E#")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !isRecord || err != nil {
		return proxy.Fine, nil
	}
	thread := strings.Split(put.Item.PK.S, "#")[3] // U#<u>#T#<thread>#<epoch>
	return proxy.Fine, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.durable[place{thread, chat.Seq(seq)}] = time.Now()
	}
}

// arrived records a frame at a device, with the time since each of its records was durable.
func (p *path) arrived(e *wire.Events, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range e.Events {
		if since, ok := p.durable[place{string(e.ThreadID), e.Seq + chat.Seq(i)}]; ok {
			p.took = append(p.took, at.Sub(since))
		}
	}
}

// follow reads a device until a run has ended.
func (p *path) follow(ctx context.Context, d *device) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if _, err := d.await(ctx, "{"); err != nil {
			return err
		}
		f, err := wire.DecodeServer(d.last)
		if err != nil {
			return err
		}
		e, ok := f.(*wire.Events)
		if !ok {
			continue
		}
		p.arrived(e, d.at)
		for _, ev := range e.Events {
			if ev.Terminal() {
				return nil
			}
		}
	}
}

// TestBenchPath measures the time from the moment at which a record is durable to its arrival at a device. Users
// stream 20 deltas a second, at most 20 users at once. Each line is measured twice, which shows the machine's noise.
func TestBenchPath(t *testing.T) {
	needsTime(t)
	type load struct{ users, devices, rounds int }
	for _, c := range size([]load{{1, 1, 3}, {1, 3, 3}, {1, 10, 3}, {20, 1, 1}, {100, 1, 1}}, []load{{2, 3, 1}}) {
		s := startStack(t, stack.Config{Parameters: generous()})
		p := &path{durable: map[place]time.Time{}}
		s.DynamoDB().SetHook(p.watch)
		people := connectUsers(t, s, c.users, c.devices)
		stream(t, p, people, "/stream 2 20", 1) // starts processes
		var twice [2]times
		for i := range twice {
			p.took = nil
			stream(t, p, people, size("/stream 80 20", "/stream 10 20"), c.rounds)
			twice[i] = p.took
		}
		fmt.Printf("%3d users with %2d devices: append to client p50 %.2f p99 %.2f ms (%d arrivals); against itself "+
			"p50 %.2f× p99 %.2f×\n", c.users, c.devices,
			twice[0].at(.5), twice[0].at(.99), len(twice[0]), twice[1].at(.5)/twice[0].at(.5),
			twice[1].at(.99)/twice[0].at(.99))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBenchThroughput lets users stream as fast as the model can.
func TestBenchThroughput(t *testing.T) {
	needsTime(t)
	deltas := size(9000, 300)
	type load struct{ users, devices int }
	for _, c := range size([]load{{1, 1}, {1, 3}, {1, 10}, {20, 1}}, []load{{2, 3}}) {
		s := startStack(t, stack.Config{Parameters: generous()})
		p := &path{}
		people := connectUsers(t, s, c.users, c.devices)
		stream(t, p, people, "/stream 2 20", 1)
		var rates [2]float64
		for i := range rates {
			at := time.Now()
			stream(t, p, people, fmt.Sprintf("/stream %d 0", deltas), 3)
			rates[i] = float64(3*deltas*c.users) / time.Since(at).Seconds()
		}
		fmt.Printf("%3d users with %2d devices: %.0f deltas/s, at each device; against itself %.2f×\n", c.users,
			c.devices, rates[0], rates[1]/rates[0])
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// connectUsers connects users with their devices; each user has a thread.
func connectUsers(t testing.TB, s *stack.Stack, users, devices int) [][]*device {
	t.Helper()
	all := make([][]*device, users)
	for i := range all {
		thread := chat.ThreadID(chat.NewID(time.Now()))
		for range devices {
			all[i] = append(all[i], open(t, s.Endpoints(), fmt.Sprint("user-", i), thread))
		}
	}
	return all
}

// stream lets each user play a script this number of times, atOnce users at a time.
func stream(t testing.TB, p *path, people [][]*device, script string, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, devices := range people {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			for range rounds {
				if err := p.play(t.Context(), devices, script); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// play lets one user play a script on all devices.
func (p *path) play(ctx context.Context, devices []*device, script string) error {
	if _, err := devices[0].ask(ctx, script); err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, len(devices))
	for i, d := range devices {
		all.Go(func() { errs[i] = p.follow(ctx, d) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

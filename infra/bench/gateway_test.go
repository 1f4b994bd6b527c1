package bench_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// callers is the number of connections that post at the same time.
const callers = 16

// freshSignature is the age at which requests are signed again. A signature is valid for five minutes.
const freshSignature = 3 * time.Minute

// startGateway starts the local stack's API Gateway in a process of its own.
func startGateway(t *testing.T) (*process, server) {
	t.Helper()
	p := launch(t, "gateway", exec.Command(compile(t, "gateway", "gateway")))
	s := server{dialect: dialect{greet: connectionID}}
	p.address(t, &s)
	return p, s
}

// connectionID asks for a socket's id: API Gateway answers a frame without a route with an error that has it.
func connectionID(l *listener) (string, error) {
	if err := l.write("{}"); err != nil {
		return "", err
	}
	message, err := l.next()
	if err != nil {
		return "", err
	}
	var answer struct{ ConnectionID string }
	if err := json.Unmarshal(message, &answer); err != nil || answer.ConnectionID == "" {
		return "", fmt.Errorf("the server answered %q", message)
	}
	return answer.ConnectionID, nil
}

// TestBenchGateway measures the local stack's API Gateway beside the library centrifuge: posts, fan-out, idle sockets.
func TestBenchGateway(t *testing.T) {
	needsTime(t)
	gateway, ours := startGateway(t)
	centrifuge, theirs, why := startCentrifuge(t)
	if why != nil {
		centrifuge = nil
	}
	for _, c := range []struct {
		name       string
		sockets, n int
	}{{"posts, 16 callers", 1, size(3000, 200)}, {"fan-out to 3, 16 callers", 3, size(1500, 100)}} {
		if why != nil {
			missing(t, c.name, why.Error())
		}
		compare(t, c.name, posting(t, gateway, ours, callers, callers, c.sockets, c.n),
			posting(t, centrifuge, theirs, callers, callers, c.sockets, c.n))
	}
	if why != nil {
		missing(t, "idle socket", why.Error())
	}
	compare(t, "idle socket", idle(gateway, ours), idle(centrifuge, theirs))
}

// TestBenchPush measures posts to few sockets beside serverless-offline, which does the same for the same purpose.
func TestBenchPush(t *testing.T) {
	needsTime(t)
	gateway, ours := startGateway(t)
	serverless, theirs, why := startServerless(t)
	if why != nil {
		serverless = nil
	}
	for _, c := range []struct {
		name                string
		callers, targets, n int
	}{{"push to one socket", 1, 1, size(4000, 50)}, {"push to 50 sockets", callers, 50, size(200, 4)}} {
		if why != nil {
			missing(t, c.name, why.Error())
		}
		compare(t, c.name, posting(t, gateway, ours, c.callers, c.targets, 1, c.n),
			posting(t, serverless, theirs, c.callers, c.targets, 1, c.n))
	}
}

// posting returns a trial, or nil without a server: connections post n messages to each of several names, each of
// which some sockets have. The figure is messages per second, from the first post until all have arrived.
func posting(t *testing.T, p *process, s server, connections, names, sockets, n int) func(*testing.T) sample {
	t.Helper()
	if p == nil {
		return nil
	}
	var all []*listener
	targets := make([][]string, names)
	for i := range names {
		name := fmt.Sprintf("name-%d-of-%d", i, names)
		for j := range sockets {
			l := listen(t, s, name)
			all = append(all, l)
			if j == 0 || !s.dialect.shared {
				targets[i] = append(targets[i], l.target)
			}
		}
	}
	var posters []*caller
	for range connections {
		posters = append(posters, call(t, s))
	}
	var requests [][][]byte // of each connection
	var signed time.Time
	return func(t *testing.T) sample {
		t.Helper()
		if time.Since(signed) > freshSignature {
			requests, signed = make([][][]byte, connections), time.Now()
			for k := range n {
				for i := range names {
					for _, target := range targets[i] {
						r := s.post(t, fmt.Sprintf("name-%d-of-%d", i, names), target, k)
						requests[i%connections] = append(requests[i%connections], r)
					}
				}
			}
		}
		for _, l := range all {
			l.expect(n)
		}
		before, at := p.used(t), time.Now()
		postAll(t, posters, requests)
		for _, l := range all {
			l.await(t)
		}
		took := time.Since(at)
		return sample{float64(n*names) / took.Seconds(), p.used(t).since(before, n*names)}
	}
}

// postAll lets each caller send its requests, one after another.
func postAll(t *testing.T, posters []*caller, requests [][][]byte) {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, len(posters))
	for i, c := range posters {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for _, r := range requests[i] {
				if errs[i] = c.do(r); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// idle returns a trial, or nil without a server: the memory of an idle socket in KiB.
func idle(p *process, s server) func(*testing.T) sample {
	if p == nil {
		return nil
	}
	return func(t *testing.T) sample {
		t.Helper()
		n := size(2000, 200)
		before := p.resident(t)
		var open []*listener
		for i := range n {
			l, err := dialSocket(t.Context(), s, fmt.Sprintf("idle-%d", i))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, l)
		}
		after := p.resident(t)
		for _, l := range open {
			if err := l.conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return sample{Value: (after - before) / float64(n) / 1024}
	}
}

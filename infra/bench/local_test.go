package bench_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/infra/testkit"
)

// startLocal starts the whole local stack in a process of its own, with the template of a folder and an empty table.
func startLocal(t *testing.T, root string) (*process, endpoints.Endpoints) {
	t.Helper()
	testkit.NeedEngine(t)
	state := t.TempDir()
	var parameters []string
	if root == "../.." {
		for _, name := range slices.Sorted(maps.Keys(generous())) {
			parameters = append(parameters, name+"="+generous()[name])
		}
	}
	c := exec.Command(compile(t, "carrel-local", "../local"))
	c.Dir, c.Env = root, append(os.Environ(), "PORT=0", "GATEWAY_PORT=0", "WATCH=0", "FRESH=1", "STATE="+state,
		"PARAMETERS="+strings.Join(parameters, " "))
	p := launch(t, "local", c)
	if line, err := p.lines.ReadString('\n'); err != nil {
		t.Fatalf("start the local stack: it printed %q: %v; see .carrel/bench/local.log", line, err)
	}
	var e endpoints.Endpoints
	text, err := os.ReadFile(filepath.Join(state, "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, e
}

// TestBenchConnects measures connections that are opened, authorized and closed, beside serverless-offline. Both have
// an authorizer, a $connect and a $disconnect function; here they are processes, there worker threads, its default.
func TestBenchConnects(t *testing.T) {
	needsTime(t)
	const name = "connects, local stack"
	local, e := startLocal(t, "testdata/site")
	serverless, theirs, why := startServerless(t)
	if why != nil {
		serverless = nil
		missing(t, name, why.Error())
	}
	ours := server{WebSocket: e.WebSocket + "?token=bench", dialect: dialect{greet: noGreeting}}
	theirs.dialect.greet = noGreeting
	compare(t, name, connecting(local, ours), connecting(serverless, theirs))
}

// noGreeting is for sockets that receive no posts.
func noGreeting(*listener) (string, error) { return "", nil }

// connecting returns a trial, or nil without a server.
func connecting(p *process, s server) func(*testing.T) sample {
	if p == nil {
		return nil
	}
	return func(t *testing.T) sample {
		t.Helper()
		each := size(20, 4) // few: after some thousands serverless-offline becomes slow
		before, at := p.used(t), time.Now()
		var all sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			all.Go(func() {
				for n := range each {
					l, err := dialSocket(t.Context(), s, fmt.Sprintf("connect-%d-%d", i, n))
					if err == nil {
						err = l.conn.Close()
					}
					if err != nil {
						errs[i] = err
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
		took := time.Since(at)
		return sample{float64(callers*each) / took.Seconds(), p.used(t).since(before, callers*each)}
	}
}

package bench_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/wire"
)

// Assumed times of a write and a post on AWS, for the lag only.
const (
	putTakes  = 5 * time.Millisecond
	postTakes = 15 * time.Millisecond
)

// TestBenchLag measures the delay of deltas at a client when a write and a post take as long as on AWS: 200 deltas at
// 50 a second, each compared with the moment at which an undelayed model would have sent it.
func TestBenchLag(t *testing.T) {
	needsTime(t)
	turns := map[emitter]string{carrels: build(t, carrels), naive: build(t, naive)}
	for _, devices := range []int{1, 3} {
		s := startStack(t, stack.Config{})
		slow(t, s)
		all := connectUsers(t, s, 1, devices)[0]
		for range 2 {
			for _, e := range []emitter{carrels, naive} {
				use(t, s, turns[e])
				play(t, s, "/say hello", all...)
				run, err := all[0].ask(t.Context(), "/stream 200 50")
				if err != nil {
					t.Fatal(err)
				}
				lag := lags(t, all[0])
				for _, d := range all[1:] {
					if _, err := d.await(t.Context(), `"RUN_FINISHED"`); err != nil {
						t.Fatal(err)
					}
				}
				used, err := settled(t.Context(), s, run)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Printf("%-7s %d devices: delay of a delta p50 %.0f p99 %.0f ms, the first %.0f ms; %d posts\n", e,
					devices,
					lag.at(.5), lag.at(.99), float64(lag[0].Microseconds())/1000, used.Posts)
			}
		}
	}
}

// slow lets the writes of turn and all posts take as long as on AWS.
func slow(t testing.TB, s *stack.Stack) {
	t.Helper()
	wait := func(r *http.Request, d time.Duration) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	through := func(to string, takes func(*http.Request) time.Duration) string {
		target, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { // the host stays: it is signed
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		}}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wait(r, takes(r))
			forward.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	gateway := strings.TrimSuffix(s.Endpoints().Connections, "/@connections")
	root, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	posts := through(root.Scheme+"://"+root.Host, func(*http.Request) time.Duration { return postTakes }) + root.Path
	s.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Operation == "PutItem" {
			<-time.After(putTakes)
		}
		return proxy.Fine, nil
	})
	s.Host().SetFaults(lambda.Faults{Env: func(string, string) map[string]string {
		return map[string]string{"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": posts, "ENDPOINT": posts}
	}})
}

// lags reads a run's stream and returns the delay of each delta. The text's first event marks the start of the stream.
func lags(t testing.TB, d *device) times {
	t.Helper()
	var began time.Time
	var late times
	for {
		_, m, err := d.conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		f, err := wire.DecodeServer(m)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := f.(*wire.Events)
		if !ok {
			continue
		}
		for _, ev := range e.Events {
			switch {
			case ev.Type == agui.TextMessageStart:
				began = time.UnixMilli(ev.Timestamp)
			case ev.Type == agui.TextMessageContent:
				for _, word := range strings.Fields(ev.Delta) {
					n, err := strconv.Atoi(word)
					if err != nil {
						t.Fatal(err)
					}
					late = append(late, at.Sub(began.Add(time.Duration(n-1)*time.Second/50)))
				}
			case ev.Terminal():
				if len(late) != 200 {
					t.Fatalf("%d deltas arrived", len(late))
				}
				return late
			}
		}
	}
}

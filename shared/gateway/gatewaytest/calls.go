package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// Calls counts how many calls of a function come one after the other: requests to DynamoDB, posts and invocations. It
// uses no clock. It holds each call until the function is idle, which means that every goroutine waits for a call, a
// timer or another goroutine. Then it makes all held calls at once: that is one round. So calls that a function makes
// beside each other are in one round, and a call that needs the result of another is in a later round. The round of a
// call is the length of the longest chain of calls up to and including it.
//
//	calls := gatewaytest.NewCalls(t, config)           // starts the engine
//	calls.Run(t, func(t *testing.T) {
//		h := handler{table: calls.Table, poster: calls.Edge(edge), …}
//		…                                              // prepare: every call is held here too
//		calls.Reset()
//		h.Handle(t.Context(), event)
//		calls.Round("post events")                     // the round of the first such call
//	})
//
// Everything that waits must be made inside Run, with the t of Run: contexts, timers and the Edge. Time is synctest's:
// it begins in the year 2000 and passes only while no call is held.
type Calls struct {
	Table *store.Table // an empty table, whose requests are calls

	mu    sync.Mutex
	held  []chan struct{}
	wake  chan struct{} // signalled at each new held call
	round int
	made  []Call
}

// Call is one call of a function.
type Call struct {
	Round int    // from 1
	Name  string // such as "UpdateItem CONN#w1", "BatchGetItem QUEUE RUN#r1", "invoke turn", "post events", "close"
}

// String returns the round and the name.
func (c Call) String() string { return fmt.Sprintf("%2d %s", c.Round, c.Name) }

// NewCalls starts an engine with an empty table. config configures the store.
func NewCalls(tb testing.TB, config store.Config) *Calls {
	tb.Helper()
	_, client := open(tb, &config)
	url := aws.ToString(client.Options().BaseEndpoint)
	c := &Calls{}
	c.Table = store.New(store.NewClient(aws.Config{
		Region: "local", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: heldTransport{c}},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}), config)
	return c
}

// Run calls f in a bubble of synctest and makes the held calls round by round until f has returned and no call is held.
func (c *Calls) Run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.wake = make(chan struct{}, 1)
		ended := make(chan struct{})
		var subject sync.WaitGroup
		subject.Go(func() {
			defer close(ended)
			f(t)
		})
		defer subject.Wait()
		for {
			synctest.Wait()
			if c.release() {
				continue
			}
			select { // time passes
			case <-c.wake:
			case <-ended:
				for synctest.Wait(); c.release(); synctest.Wait() {
				}
				return
			}
		}
	})
}

// release makes the held calls, as one round. It returns false if there are none.
func (c *Calls) release() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.held {
		close(call)
	}
	released := len(c.held) > 0
	c.held = nil
	if released {
		c.round++
	}
	return released
}

// hold records a call and returns when its round begins.
func (c *Calls) hold(ctx context.Context, name string) error {
	begin := make(chan struct{})
	c.mu.Lock()
	c.held = append(c.held, begin)
	c.made = append(c.made, Call{Round: c.round + 1, Name: name})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case <-begin:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reset forgets the calls so far: the next call is in round 1.
func (c *Calls) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.round, c.made = 0, nil
}

// Made returns the calls since Reset, by round.
func (c *Calls) Made() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	made := slices.Clone(c.made)
	slices.SortFunc(made, func(a, b Call) int {
		if a.Round != b.Round {
			return a.Round - b.Round
		}
		return strings.Compare(a.Name, b.Name)
	})
	return made
}

// Round returns the round of the first call whose name begins with prefix, or 0 if there is none.
func (c *Calls) Round(prefix string) int {
	for _, call := range c.Made() {
		if strings.HasPrefix(call.Name, prefix) {
			return call.Round
		}
	}
	return 0
}

// String lists the calls since Reset, one on each line.
func (c *Calls) String() string {
	var lines []string
	for _, call := range c.Made() {
		lines = append(lines, call.String())
	}
	return strings.Join(lines, "\n")
}

// Edge returns e with each post, invocation and close as a call.
func (c *Calls) Edge(e *Edge) HeldEdge { return HeldEdge{c, e} }

// HeldEdge is an Edge whose methods are calls.
type HeldEdge struct {
	calls *Calls
	edge  *Edge
}

// Post is gateway.Poster's. Its name is "post" and the type of the frame.
func (h HeldEdge) Post(ctx context.Context, m lasthop.Message) error {
	var f wire.Kind
	if err := json.Unmarshal(m.Body(), &f); err != nil {
		return err
	}
	if err := h.calls.hold(ctx, "post "+string(f.Type)); err != nil {
		return err
	}
	return h.edge.Post(ctx, m)
}

// Close is gateway.Poster's.
func (h HeldEdge) Close(ctx context.Context, id chat.ConnectionID) error {
	if err := h.calls.hold(ctx, "close"); err != nil {
		return err
	}
	return h.edge.Close(ctx, id)
}

// Turn is gateway.Invoker's.
func (h HeldEdge) Turn(ctx context.Context, u chat.User, run chat.RunID) error {
	if err := h.calls.hold(ctx, "invoke turn"); err != nil {
		return err
	}
	return h.edge.Turn(ctx, u, run)
}

// EraseUser is gateway.Invoker's.
func (h HeldEdge) EraseUser(ctx context.Context, u chat.User) error {
	if err := h.calls.hold(ctx, "invoke turn"); err != nil {
		return err
	}
	return h.edge.EraseUser(ctx, u)
}

// heldTransport makes requests to DynamoDB as calls. It keeps no connection open, because a goroutine that waits for
// the network is never idle.
type heldTransport struct{ calls *Calls }

// RoundTrip implements http.RoundTripper. It returns the whole response.
func (t heldTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	name := strings.Join(append([]string{operation}, sortKeys(body)...), " ")
	if err := t.calls.hold(req.Context(), name); err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, err
}

// sortKeys returns the sort keys of the items that a request names, or the lower bound of its query, in order.
func sortKeys(body []byte) []string {
	var keys []string
	var find func(name string, v any)
	find = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if s, ok := v["S"].(string); ok && (name == "sk" || name == ":low") {
				keys = append(keys, s)
				return
			}
			for name, v := range v {
				find(name, v)
			}
		case []any:
			for _, v := range v {
				find("", v)
			}
		}
	}
	var request any
	if json.Unmarshal(body, &request) == nil {
		find("", request)
	}
	slices.Sort(keys)
	return keys
}

var _ lasthop.Closer = HeldEdge{}

package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/mcp"
	"carrel/shared/usercontext"
)

// Short names of the SDK's types, and the schema of any object.
type (
	toolCall   = *sdk.CallToolRequest
	toolResult = *sdk.CallToolResult
)

const object = `{"type":"object"}`

// request is one request as the server received it.
type request struct {
	method, session, authorization string
	body                           string
}

// server is an MCP server of the official SDK. before, if set, may answer a request in its place.
type server struct {
	*httptest.Server
	mcp    *sdk.Server
	before func(w http.ResponseWriter, r request) bool

	mu       sync.Mutex
	requests []request
	calls    []string // the idempotency key of each call that reached a tool
}

// serve starts a server with the tool echo, which returns its argument.
func serve(t *testing.T) *server {
	t.Helper()
	s := &server{mcp: sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)}
	s.add("echo", `{"type":"object","properties":{"say":{"type":"string"}},"required":["say"]}`, nil,
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			var in struct{ Say string }
			err := json.Unmarshal(r.Params.Arguments, &in)
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: in.Say}}}, err
		})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s.mcp }, nil)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body := string(text)
		r.Body = io.NopCloser(strings.NewReader(body))
		got := request{r.Method, r.Header.Get("Mcp-Session-Id"), r.Header.Get("Authorization"), body}
		s.mu.Lock()
		s.requests = append(s.requests, got)
		before := s.before
		s.mu.Unlock()
		if before != nil && before(w, got) {
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// add adds a tool to the server and records its calls.
func (s *server) add(name, schema string, a *sdk.ToolAnnotations, handle sdk.ToolHandler) {
	t := &sdk.Tool{Name: name, Description: "Does " + name + ".", InputSchema: json.RawMessage(schema), Annotations: a}
	s.mcp.AddTool(t, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		key, _ := r.Params.Meta[mcp.KeyName].(string)
		s.mu.Lock()
		s.calls = append(s.calls, key)
		s.mu.Unlock()
		return handle(ctx, r)
	})
}

// seen returns the requests so far.
func (s *server) seen() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// declare returns the declaration of the server.
func (s *server) declare(name string) mcp.Server {
	return mcp.Server{Name: name, URL: s.URL, Grant: name, Tools: []string{"*"}, ReadOnly: []string{"*"},
		Ask: mcp.AskWrites, Credentials: mcp.None}
}

// run is one run of a user with the tools of a source.
type run struct {
	t    *testing.T
	uc   *usercontext.Context
	d    *tool.Dispatcher
	errs []error
	logs []string
}

// begin makes a run with the tools of the servers.
func begin(t *testing.T, user string, c mcp.Config, grants ...string) *run {
	t.Helper()
	r := &run{t: t}
	var err error
	r.uc, err = usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, user), Thread: "t", Run: "r", Request: "q", Grants: grants,
	})
	if err != nil {
		t.Fatal(err)
	}
	source, err := mcp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := tool.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	registry := empty.WithSources(r.uc.Context(), r.uc, func(err error) { r.errs = append(r.errs, err) }, source)
	if r.d, err = tool.NewDispatcher(r.uc, registry, registry.Names()); err != nil {
		t.Fatal(err)
	}
	r.d.Logf = func(format string, args ...any) { r.logs = append(r.logs, fmt.Sprintf(format, args...)) }
	t.Cleanup(r.end)
	return r
}

// end closes the run's context, which leaves nothing.
func (r *run) end() {
	if err := r.uc.Close(context.Background()); err != nil {
		r.t.Error(err)
	}
}

// call makes a call and returns its outcome and result as one text.
func (r *run) call(id, name, arguments string) string {
	got := r.d.Call(r.uc.Context(), tool.Call{ID: id, Name: name, Arguments: arguments})
	return fmt.Sprintf("%s %s", got.Outcome, got.Content)
}

// names returns the offered tools.
func (r *run) names() string {
	var all []string
	for _, s := range r.d.Specs() {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// A server's tools are offered and called under the server's name. Results keep their text, and other parts
// become notes. They are marked as text from outside unless the server is trusted.
func TestSource_Calls(t *testing.T) {
	s := serve(t)
	s.add("picture", object, nil, func(context.Context, toolCall) (toolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "see"},
			&sdk.ImageContent{Data: make([]byte, 2048), MIMEType: "image/png"}}}, nil
	})
	s.add("fails", object, nil, func(context.Context, toolCall) (toolResult, error) {
		return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: "no such city"}}}, nil
	})
	s.add("refuses", object, nil, func(context.Context, toolCall) (toolResult, error) {
		return nil, errors.New("not today")
	})
	r := begin(t, "alice", mcp.Config{Servers: []mcp.Server{s.declare("git")}}, "git")
	if got := r.names(); got != "git_echo git_fails git_picture git_refuses" || len(r.errs) > 0 {
		t.Fatalf("offered %q, errors %v", got, r.errs)
	}
	for name, c := range map[string]struct{ arguments, want string }{
		"git_echo":    {`{"say":"hello"}`, "ok hello"},
		"git_picture": {`{}`, "ok see\n[image/png, 2.0 KB, not kept]"},
		"git_fails":   {`{}`, "failed The tool failed: no such city"},
		"git_refuses": {`{}`, "failed The server git refused the call: not today"},
	} {
		if got := r.call(name, name, c.arguments); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := r.call("w", "git_echo", `{"say":1}`); !strings.HasPrefix(got, "bad_arguments") {
		t.Errorf("wrong arguments: %s", got)
	}
	if got := r.d.Call(r.uc.Context(), tool.Call{ID: "o", Name: "git_echo", Arguments: `{"say":"x"}`}); !got.Outside {
		t.Error("the result is not marked as text from outside")
	}
	trusted := s.declare("git")
	trusted.Trusted = true
	other := begin(t, "alice", mcp.Config{Servers: []mcp.Server{trusted}}, "git")
	if got := other.d.Call(other.uc.Context(), tool.Call{ID: "o", Name: "git_echo",
		Arguments: `{"say":"x"}`}); got.Outside || got.Content != "x" {
		t.Errorf("the result of a trusted server: %+v", got)
	}
}

// A user without the server's grant neither sees its tools nor reaches it.
func TestSource_Grants(t *testing.T) {
	t.Attr("row", "D2: the tools of an MCP server need its grant")
	s := serve(t)
	r := begin(t, "mallory", mcp.Config{Servers: []mcp.Server{s.declare("git")}}, "other")
	if got := r.call("c", "git_echo", `{"say":"x"}`); r.names() != "" || !strings.HasPrefix(got, "unknown") {
		t.Errorf("offered %q, and a call is %s", r.names(), got)
	}
	pinned := mcp.Config{Servers: []mcp.Server{s.declare("git")}, Pins: pinsOf(t, s.declare("git"))}
	before := len(s.seen())
	if r := begin(t, "mallory", pinned, "other"); r.names() != "" || len(s.seen()) != before {
		t.Errorf("offered %q, and the server received %v", r.names(), s.seen()[before:])
	}
	t.Attr("figure", fmt.Sprintf("%d requests reached a pinned server whose grant is missing", len(s.seen())-before))
}

// pinsOf lists the tools of a server and pins them.
func pinsOf(t *testing.T, s mcp.Server) mcp.Pins {
	t.Helper()
	pins, err := mcp.Pin(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mcp.Pins{Servers: map[string]mcp.Pinned{s.Name: pins}}
}

// Each run has a session of its own, which ends with the run. Two users' calls have different keys, and a repeated
// call has the same key.
func TestSource_Sessions(t *testing.T) {
	t.Attr("row", "D4: no two runs share a session of an MCP server")
	s := serve(t)
	c := mcp.Config{Servers: []mcp.Server{s.declare("git")}}
	var sessions []string
	for _, user := range []string{"alice", "bob", "alice"} {
		before := len(s.seen())
		r := begin(t, user, c, "git")
		for _, id := range []string{"c1", "c1", "c2"} {
			if got := r.call(id, "git_echo", `{"say":"x"}`); got != "ok x" {
				t.Fatal(got)
			}
		}
		r.end()
		all := s.seen()[before:]
		last := all[len(all)-1]
		if last.method != http.MethodDelete || last.session == "" {
			t.Errorf("the last request of %s's run is %s of the session %q", user, last.method, last.session)
		}
		sessions = append(sessions, last.session)
		for _, r := range all {
			if r.session != "" && r.session != last.session || r.method == http.MethodGet {
				t.Errorf("a run with the session %s sent a %s of %q", last.session, r.method, r.session)
			}
		}
	}
	if slices.Sort(sessions); len(slices.Compact(sessions)) != 3 {
		t.Errorf("three runs had the sessions %q", sessions)
	}
	k := s.calls
	if len(k) != 9 || k[0] != k[1] || k[0] == k[2] || k[0] == k[3] || k[0] != k[6] || k[0] == "" ||
		strings.Contains(fmt.Sprint(s.seen()), chattest.User(t, "alice").Hash()) {
		t.Errorf("the calls of alice, bob and alice's repeated run have the keys %q", k)
	}
	t.Attr("figure",
		fmt.Sprintf("%d runs of two users had sessions of their own, and made %d calls", len(sessions), len(k)))
}

// A server that is down or late costs its own tools, and the run learns which server it is.
func TestSource_ServerDown(t *testing.T) {
	up, down, late := serve(t), serve(t), serve(t)
	down.Close()
	release := make(chan struct{})
	defer close(release)
	late.before = func(http.ResponseWriter, request) bool { <-release; return true }
	began := time.Now()
	servers := []mcp.Server{up.declare("up"), down.declare("down"), late.declare("late")}
	r := begin(t, "alice", mcp.Config{Servers: servers}, "up", "down", "late")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the run waited %v for its tools", took)
	}
	if got := r.names(); got != "up_echo" {
		t.Errorf("offered %q", got)
	}
	states := map[string]string{}
	for _, err := range r.errs {
		for _, e := range mcp.Missing(err) {
			states[e.Server] = e.State
		}
	}
	if len(states) != 2 || states["down"] != mcp.Down || states["late"] != mcp.Late {
		t.Errorf("reported %v: %v", states, r.errs)
	}
	d := up.declare("up")
	pins := pinsOf(t, d)
	up.Close()
	r = begin(t, "alice", mcp.Config{Servers: []mcp.Server{d}, Pins: pins}, "up")
	const want = "failed The server up cannot be reached. The call was not made."
	if got := r.call("c", "up_echo", `{"say":"x"}`); got != want {
		t.Errorf("a pinned server that is down: %s", got)
	}
}

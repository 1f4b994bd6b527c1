package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/agui"
	"carrel/shared/tool"
	"carrel/shared/tool/mcp"
)

// If the server does not know the session any more, the call is made once, in a new session. A server that never knows
// it is not asked without end. A server with state is not called again: the model learns that the state is lost.
func TestCall_LostSession(t *testing.T) {
	const rpcError = `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`
	const lost = "failed The connection to the server git was lost. "
	for name, c := range map[string]struct {
		body     string
		times    int
		stateful bool
		want     string
		calls    int
	}{
		"once, plain text":       {"Session not found", 1, false, "ok x", 1},
		"once, a JSON-RPC error": {rpcError, 1, false, "ok x", 1},
		"always":                 {"Session not found", 1000, false, lost + "The call was not made.", 0},
		"with state": {"Session not found", 1, true, "failed The server git has lost the state of earlier calls. " +
			"This call was not made. Begin again with the calls that build that state.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			d := s.declare("git")
			d.Stateful = c.stateful
			r := begin(t, "alice", mcp.Config{Servers: []mcp.Server{d}}, "git")
			left := c.times
			s.mu.Lock()
			s.before = func(w http.ResponseWriter, r request) bool {
				if left == 0 || !strings.Contains(r.body, `"tools/call"`) {
					return false
				}
				left--
				if c.body == rpcError {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, c.body)
				return true
			}
			s.mu.Unlock()
			if got := r.call("c", "git_echo", `{"say":"x"}`); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if len(s.calls) != c.calls {
				t.Errorf("the tool was called %d times, want %d", len(s.calls), c.calls)
			}
			posts := 0
			for _, r := range s.seen() {
				if strings.Contains(r.body, `"tools/call"`) {
					posts++
				}
			}
			if posts > 2 {
				t.Errorf("the call was sent %d times", posts)
			}
		})
	}
}

// A connection that breaks during a call leaves the call's outcome open, and the next call works.
func TestCall_BrokenConnection(t *testing.T) {
	s := serve(t)
	r := begin(t, "alice", mcp.Config{Servers: []mcp.Server{s.declare("git")}}, "git")
	broken := false
	s.mu.Lock()
	s.before = func(w http.ResponseWriter, r request) bool {
		if broken || !strings.Contains(r.body, `"tools/call"`) {
			return false
		}
		broken = true
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			err = conn.Close()
		}
		if err != nil {
			t.Error(err)
		}
		return true
	}
	s.mu.Unlock()
	if got := r.call("c1", "git_echo", `{"say":"x"}`); !strings.Contains(got, "not known whether the call was made") {
		t.Errorf("during the break: %s", got)
	}
	if got := r.call("c2", "git_echo", `{"say":"x"}`); got != "ok x" || len(s.calls) != 1 {
		t.Errorf("after it: %s, %d calls", got, len(s.calls))
	}
	if len(r.logs) != 1 || !strings.Contains(r.logs[0], "EOF") {
		t.Errorf("the operator reads %q", r.logs)
	}
}

// A call reports the progress that its server reports.
func TestCall_Progress(t *testing.T) {
	s, reported := serve(t), make(chan struct{})
	s.add("long", object, nil, func(ctx context.Context, r toolCall) (toolResult, error) {
		err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
			ProgressToken: r.Params.GetProgressToken(), Progress: 1, Total: 2, Message: "half"})
		<-reported
		return &sdk.CallToolResult{}, err
	})
	r := begin(t, "alice", mcp.Config{Servers: []mcp.Server{s.declare("git")}}, "git")
	var values []string
	got := r.d.Call(r.uc.Context(), tool.Call{ID: "c1", Name: "git_long", Progress: func(e agui.Event) {
		values = append(values, string(e.Value))
		close(reported)
	}})
	if want := `{"toolCallId":"c1","done":1,"total":2,"message":"half"}`; got.Outcome != tool.OK ||
		len(values) != 1 || values[0] != want {
		t.Errorf("%s %q, want %s", got.Outcome, values, want)
	}
}

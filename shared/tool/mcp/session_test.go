package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/tool/mcp"
	"carrel/shared/usercontext"
)

// A server that does not answer the end of a lost connection holds up the end of the run for two seconds at most.
func TestSession_SilentServer(t *testing.T) {
	s, release := serve(t), make(chan struct{})
	defer close(release)
	s.before = func(w http.ResponseWriter, r request) bool {
		switch {
		case r.method == http.MethodDelete:
			<-release
		case strings.Contains(r.body, `"tools/call"`):
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
		default:
			return false
		}
		return true
	}
	r := begin(t, "alice", mcp.Config{Servers: []mcp.Server{s.declare("git")}}, "git")
	if got := r.call("c", "git_echo", `{"say":"x"}`); !strings.Contains(got, "was lost") {
		t.Errorf("the call: %s", got)
	}
	began := time.Now()
	r.end()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end of the run took %v", took)
	}
}

// panics panics at one request of a session.
type panics struct{ left *atomic.Int32 }

func (p panics) Authorize(context.Context, *usercontext.Context, *http.Request) error {
	if p.left.Add(-1) == 0 {
		panic("as the test says")
	}
	return nil
}

// A panic while a server lists its tools costs its own tools only.
func TestSession_Panic(t *testing.T) {
	for _, at := range []int32{1, 3} { // to connect, and to list
		t.Run(fmt.Sprintf("request %d", at), func(t *testing.T) {
			up, bad := serve(t), serve(t)
			d := bad.declare("bad")
			d.Credentials = mcp.Secret
			left := &atomic.Int32{}
			left.Store(at)
			r := begin(t, "alice", mcp.Config{
				Servers:     []mcp.Server{up.declare("up"), d},
				Credentials: func(mcp.Server) (mcp.Credentials, error) { return panics{left}, nil },
			}, "up", "bad")
			if got := r.names(); got != "up_echo" || r.uc.Context().Err() != nil {
				t.Errorf("offered %q, and the run's context has the error %v", got, r.uc.Context().Err())
			}
			if len(r.errs) != 1 || len(mcp.Missing(r.errs[0])) != 1 ||
				!strings.Contains(r.errs[0].Error(), "panic: as the test says") {
				t.Errorf("reported %v", r.errs)
			}
		})
	}
}

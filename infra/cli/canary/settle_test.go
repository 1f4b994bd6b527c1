package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// little is as much of a stack as the end of a go asks for. It never tells of the end of a run.
type little struct {
	things things
	taken  atomic.Bool // the one has deleted what the other has
}

func (l *little) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer socket.CloseNow()
	for {
		_, raw, err := socket.Read(r.Context())
		if err != nil {
			return
		}
		var f struct {
			Type      wire.Type
			RequestID string
			ThreadID  chat.ThreadID
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			panic(err)
		}
		messages, err := wire.Encode(l.answer(f.Type, f.RequestID, f.ThreadID), "p")
		if err != nil {
			panic(err)
		}
		if socket.Write(r.Context(), websocket.MessageText, messages[0]) != nil {
			return
		}
	}
}

func (l *little) answer(typ wire.Type, id string, thread chat.ThreadID) wire.ServerFrame {
	there := !l.taken.Load()
	switch typ {
	case wire.TypeHello:
		return &wire.Ready{RequestID: id, ThreadID: thread}
	case wire.TypeHistory:
		page := &wire.HistoryPage{RequestID: id, ThreadID: thread}
		if there {
			page.Messages = []agui.Message{{ID: "m", Role: agui.RoleUser, Content: "hello"}}
		}
		return page
	case wire.TypeThreads:
		return &wire.ThreadList{RequestID: id}
	case wire.TypeRuns:
		list := &wire.RunList{RequestID: id}
		if there {
			list.Runs = []wire.RunInfo{{RunID: l.things.liveRun, Status: chat.RunRunning}}
		}
		return list
	}
	return &wire.Done{RequestID: id, ThreadID: thread}
}

// Who deletes another's threads ends the other's run unheard. That is a leak, and no go that could not be run to its end;
// where nothing was taken, it is such a go.
func TestAnEndThatDoesNotCome(t *testing.T) {
	for _, taken := range []bool{true, false} {
		l := &little{things: newThings()}
		server := httptest.NewServer(l)
		defer server.Close()
		c := &canary{theirs: l.things, nobodys: newThings(), own: "canary of the one", report: report{}}
		var err error
		for _, p := range []**person{&c.one, &c.other} {
			if *p, err = connect(t.Context(), "somebody", server.URL, "token"); err != nil {
				t.Fatal(err)
			}
			defer (*p).close()
		}
		c.other.ends = time.Millisecond
		before, err := c.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.taken.Store(taken)
		err = c.settle(t.Context(), before, true)
		if err == nil || !strings.Contains(err.Error(), "the end of a run") {
			t.Errorf("the end did not come, and it says %v", err)
		}
		if found := strings.Join(c.report.leaks(), "; "); strings.Contains(found, "what was said on the thread that was talked on has changed") != taken ||
			strings.Contains(found, "taken away") != taken || !taken && found != "" {
			t.Errorf("taken: %v; found: %s", taken, found)
		}
	}
}

// What comes between two tries is looked through as well.
func TestWhatComesLateIsSearched(t *testing.T) {
	c := &canary{one: &person{}, secrets: map[string]string{"secret": "a word"}, report: report{}}
	c.search(wire.TypeHello)
	c.one.messages = append(c.one.messages, message{raw: []byte("late: secret")})
	c.search(wire.TypePing)
	c.search(wire.TypeRun)
	if found := strings.Join(c.report[wire.TypePing].leaks, "; "); found != "a word came through" || len(c.report.leaks()) != 1 {
		t.Errorf("found %q of %v", found, c.report)
	}
}

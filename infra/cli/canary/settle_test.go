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

// little is a server with as much of a stack as settle needs. It never reports the end of a run.
type little struct {
	ids   ids
	taken atomic.Bool // the attacker has deleted the victim's threads
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
			list.Runs = []wire.RunInfo{{RunID: l.ids.liveRun, Status: chat.RunRunning}}
		}
		return list
	}
	return &wire.Done{RequestID: id, ThreadID: thread}
}

// If the attacker deletes the victim's threads, the victim's run never reports its end. That is a leak. Without a
// deletion, a missing end is an error of the canary.
func TestSettle_MissingEnd(t *testing.T) {
	for _, taken := range []bool{true, false} {
		l := &little{ids: newIDs()}
		server := httptest.NewServer(l)
		defer server.Close()
		c := &canary{existing: l.ids, absent: newIDs(), own: "canary of the attacker", report: report{}}
		var err error
		for _, p := range []**person{&c.attacker, &c.victim} {
			if *p, err = connect(t.Context(), "user", server.URL, "token"); err != nil {
				t.Fatal(err)
			}
			defer (*p).close()
		}
		c.victim.ends = time.Millisecond
		before, err := c.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.taken.Store(taken)
		err = c.settle(t.Context(), before, true)
		if err == nil || !strings.Contains(err.Error(), "the end of a run") {
			t.Errorf("the end of the run is missing, and the error is %v", err)
		}
		const changed = "the history of the thread with messages has changed"
		if found := strings.Join(c.report.leaks(), "; "); strings.Contains(found, changed) != taken ||
			strings.Contains(found, "or deleted") != taken || !taken && found != "" {
			t.Errorf("taken: %v; found: %s", taken, found)
		}
	}
}

// Messages between two attempts are searched as well.
func TestSearch_LateMessage(t *testing.T) {
	c := &canary{attacker: &person{}, secrets: map[string]string{"secret": "a word"}, report: report{}}
	c.search(wire.TypeHello)
	c.attacker.messages = append(c.attacker.messages, message{raw: []byte("late: secret")})
	c.search(wire.TypePing)
	c.search(wire.TypeRun)
	if found := strings.Join(c.report[wire.TypePing].leaks, "; "); found != "a word leaked" ||
		len(c.report.leaks()) != 1 {
		t.Errorf("found %q of %v", found, c.report)
	}
}

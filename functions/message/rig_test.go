package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// rig is message on a real table; the clock stands still.
type rig struct {
	*handler
	t    *testing.T
	edge *gatewaytest.Edge
	log  bytes.Buffer
	at   time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, edge: gatewaytest.NewEdge(t), at: time.UnixMilli(time.Now().UnixMilli())}
	now := func() time.Time { return r.at }
	log := slog.New(slog.NewJSONHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	limits := chat.DefaultLimits()
	set, err := agents.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	limits.RunBurst = 1000 // a clock that stands still fills no bucket
	r.handler = &handler{
		table:  gatewaytest.Table(t, store.Config{Limits: limits, Now: now}),
		poster: r.edge, invoker: r.edge, agents: set, limits: limits,
		jitter:  func() time.Duration { return 10 * time.Minute },
		monitor: monitor.New(&r.log, "message", log), log: log, now: now,
		frames: newFrameLimits(chat.Limits{FrameBurst: 100_000}), // nor this one
	}
	return r
}

// agentsOf returns a set of agents without tools.
func agentsOf(t *testing.T, all ...agent.Definition) *agent.Set {
	t.Helper()
	set, err := agent.NewSet(nil, all...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// window is one connection of one user.
type window struct {
	*rig
	user chat.User
	id   chat.ConnectionID
	life time.Duration // of its token

	signIn  chat.SignIn
	request string // the gateway's id of its next frame; "": q
}

// window opens a connection and records it as connect does, unless it is another user's.
func (r *rig) window(user, id string) window {
	r.t.Helper()
	w := r.unrecorded(user, id)
	_, err := w.store().Connect(r.t.Context(), chat.Connection{
		ID: w.id, Thread: "own", Connected: r.at, TokenExpires: r.at.Add(w.life), SignedIn: r.at,
	})
	if err != nil && !errors.Is(err, chat.ErrForeign) {
		r.t.Fatal(err)
	}
	return w
}

// unrecorded is a window whose connection has no row.
func (r *rig) unrecorded(user, id string) window {
	return window{rig: r, user: chattest.User(r.t, user), id: chat.ConnectionID(id), life: time.Hour,
		signIn: chat.SignIn{At: r.at, Proven: true}}
}

func (w window) store() *store.Store {
	w.t.Helper()
	s, err := w.table.For(w.user)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// send sends a frame as it stands and returns what the window is posted.
func (w window) send(body string) []wire.ServerFrame {
	w.t.Helper()
	if err := w.try(body); err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	return w.edge.Frames(w.id)
}

func (w window) try(body string) error { return w.tryOf(body, w.signIn) }

// tryOf sends a frame with a token of this sign-in.
func (w window) tryOf(body string, signIn chat.SignIn) error {
	_, err := w.Handle(w.t.Context(), gatewaytest.Message(w.t, gateway.Inbound{
		User: w.user, Connection: w.id, Grants: []string{"calculator"}, ConnectedAt: w.at,
		TokenExpires: w.at.Add(w.life), Body: []byte(body), RequestID: cmp.Or(w.request, "q"), SignIn: signIn,
	}))
	return err
}

// sendOf is send with a token of this sign-in.
func (w window) sendOf(body string, signedIn time.Time) []wire.ServerFrame {
	w.t.Helper()
	if err := w.tryOf(body, chat.SignIn{At: signedIn, Proven: true}); err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	return w.edge.Frames(w.id)
}

// answers checks what a frame is answered with, as JSON; {now} stands for the clock, in ms,
// and {now+1} for an id that had to be newer.
func (w window) answers(body string, want ...string) {
	w.t.Helper()
	got := w.send(body)
	var texts []string
	for _, f := range got {
		b, err := json.Marshal(f)
		if err != nil {
			w.t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	for i := range want {
		for ahead, name := range []string{"{now}", "{now+1}", "{now+2}", "{now+3}"} {
			want[i] = strings.ReplaceAll(want[i], name, fmt.Sprint(w.at.UnixMilli()+int64(ahead)))
		}
	}
	if !slices.Equal(texts, want) {
		w.t.Errorf("%s\n got %s\nwant %s", body, strings.Join(texts, "\n     "), strings.Join(want, "\n     "))
	}
}

// does plays turn: it claims a run, writes an answer to the log and, if wanted, ends it.
func (w window) does(run chat.RunID, answer string, end bool) {
	w.t.Helper()
	h, err := w.store().Claim(w.t.Context(), run)
	if err != nil {
		w.t.Fatal(err)
	}
	events := []agui.Event{
		{Type: agui.RunStarted, ThreadID: "t", RunID: run, Timestamp: 7, Metadata: agui.Marks{Agent: "echo"}.Metadata(),
			Input: &agui.RunInput{ThreadID: "t", RunID: run, Messages: h.Input().Messages}},
		{Type: agui.TextMessageStart, MessageID: "a-" + string(run), Role: agui.RoleAssistant},
		{Type: agui.TextMessageContent, MessageID: "a-" + string(run), Delta: answer},
		{Type: agui.TextMessageEnd, MessageID: "a-" + string(run)},
	}
	if _, err := h.Append(w.t.Context(), events[:2]); err != nil {
		w.t.Fatal(err)
	}
	if _, err := h.Append(w.t.Context(), events[2:]); err != nil {
		w.t.Fatal(err)
	}
	if !end {
		return
	}
	last := []agui.Event{{Type: agui.RunFinished, ThreadID: "t", RunID: run,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess},
		Usage:   []agui.Usage{{Model: "m-" + string(run), InputTokens: 1, OutputTokens: 2}}}}
	if _, err := h.End(w.t.Context(), last); err != nil {
		w.t.Fatal(err)
	}
}

// epoch is the thread's.
func (w window) epoch() chat.Epoch {
	w.t.Helper()
	th, err := w.store().Thread(w.t.Context(), "t")
	if err != nil {
		w.t.Fatal(err)
	}
	return th.Epoch
}

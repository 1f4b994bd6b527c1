package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// holdings are ids that an account of its own has.
type holdings struct{ thread, run, epoch, interrupt, message string }

func newHoldings() holdings {
	id := func() string { return chat.NewID(time.Now()) }
	return holdings{thread: id(), run: id(), interrupt: id(), message: id()}
}

// asks is a frame that asks for the holdings' run, with as many messages as there are texts.
func (h holdings) asks(texts ...string) []byte {
	type message struct {
		ID      string `json:"id"`
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var all []message
	for i, text := range texts {
		all = append(all, message{fmt.Sprintf("%s.%d", h.run, i+1), "user", text})
	}
	b, err := json.Marshal(map[string]any{"type": "run", "n": json.Number(countsUp), "runId": h.run, "threadId": h.thread, "messages": all})
	if err != nil {
		panic(err) // text always encodes
	}
	return b
}

// victim has everything that there is to find. What it says holds secrets; nothing of it stands in any frame of an
// attacker unless the attacker says it first.
type victim struct {
	name    string
	secrets []string            // what was said, titles, what a tool made of it
	ids     map[string][]string // by kind: thread, run, connection, interrupt, epoch, message, key

	past, ask, running, notes holdings
	waiting                   string   // a run behind the running one
	parties                   []*party // several sockets; the first only asks how things stand
}

// mark is a new secret.
func (v *victim) mark(what string) string {
	m := "secret-" + what + "-" + rand.Text()
	v.secrets = append(v.secrets, m)
	return m
}

// newVictim sets a victim up: threads, one with several pages of history, a running run, a waiting one, an open question,
// notes, and sockets.
func newVictim(t *testing.T, ctx context.Context, e stack.Endpoints) *victim {
	t.Helper()
	v := &victim{name: "victim", ids: map[string][]string{}, past: newHoldings(), ask: newHoldings(), running: newHoldings(), notes: newHoldings()}
	for range 5 {
		token, err := signIn(ctx, e.Token, v.name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := dialParty(ctx, e.WebSocket, v.name, token)
		if err != nil {
			t.Fatal(err)
		}
		v.parties = append(v.parties, p)
	}
	past, ask, running := v.parties[1], v.parties[2], v.parties[3]
	v.pages(t, ctx, past)
	v.runs(t, ctx, ask, &v.notes, fmt.Sprintf(`/call notes_save {"text":%q}`, v.mark("note")))
	v.runs(t, ctx, ask, &v.ask, "/say "+v.mark("asked")+"\n/call notes_clear")
	v.must(t, ctx, running, v.running.asks("/say "+v.mark("title")+"\n/stream 100000 2"), "accepted")
	if err := running.until(ctx, func(raw []byte) bool { return bytes.Contains(raw, []byte("TEXT_MESSAGE_CONTENT")) }); err != nil {
		t.Fatal(err)
	}
	behind := v.running
	behind.run = chat.NewID(time.Now())
	v.must(t, ctx, running, behind.asks("/say "+v.mark("queued")), "accepted")
	v.waiting = behind.run
	v.collect(t, ctx)
	return v
}

// pages makes a thread whose history has several pages, and the result of a calculation that nobody else makes.
func (v *victim) pages(t *testing.T, ctx context.Context, p *party) {
	t.Helper()
	for range 7 {
		texts := make([]string, 8)
		for i := range texts {
			texts[i] = v.mark("past")
		}
		texts[7] = "/say " + texts[7]
		v.runs(t, ctx, p, &v.past, texts...)
	}
	v.runs(t, ctx, p, &v.past, fmt.Sprintf(`/call calculator {"expression":"%d*%d"}`, 100_003+mathrand.N(800_000), 100_003+mathrand.N(800_000)))
}

// runs has a new run of a thread carried out.
func (v *victim) runs(t *testing.T, ctx context.Context, p *party, h *holdings, texts ...string) {
	t.Helper()
	h.run = chat.NewID(time.Now())
	v.must(t, ctx, p, h.asks(texts...), "accepted")
	if err := p.ends(ctx, h.run); err != nil {
		t.Fatalf("the victim's run does not end: %v", err)
	}
}

// must asks and wants an answer of a type.
func (v *victim) must(t *testing.T, ctx context.Context, p *party, frame []byte, want string) answer {
	t.Helper()
	a, err := p.ask(ctx, frame)
	if err != nil || a.Type != want {
		t.Fatalf("the victim's %.200s is answered with %.300s, %v", frame, a.raw, err)
	}
	return a
}

// collect writes down all ids, and the results of tools among the secrets.
func (v *victim) collect(t *testing.T, ctx context.Context) {
	t.Helper()
	add := func(kind string, ids ...string) {
		for _, id := range ids {
			if id != "" && !slices.Contains(v.ids[kind], id) {
				v.ids[kind] = append(v.ids[kind], id)
			}
		}
	}
	for i, h := range []*holdings{&v.notes, &v.past, &v.ask, &v.running, &v.running} {
		ready := v.must(t, ctx, v.parties[max(i, 1)], fmt.Appendf(nil, `{"type":"hello","n":%d,"threadId":%q}`, 100+i, h.thread), "ready")
		h.epoch = ready.Epoch
		add("epoch", ready.Epoch)
		add("connection", ready.ConnectionID)
		for _, q := range ready.Interrupts {
			h.interrupt = string(q.ID)
			add("interrupt", h.interrupt)
		}
		add("thread", h.thread)
		add("key", "U#"+v.name, "U#"+v.name+"#T#"+h.thread+"#"+h.epoch, v.name+"#T#"+h.thread, "THREAD#"+h.thread)
	}
	for _, r := range v.must(t, ctx, v.parties[0], []byte(`{"type":"runs","limit":100}`), "runs").Runs {
		add("run", r.RunID)
		add("status of a run", r.Status)
	}
	for _, raw := range v.transcripts(t, ctx) {
		a, _ := asAnswer(raw)
		for _, m := range a.Messages {
			add("message", m.ID)
			if m.Role == "tool" && len(m.Content) > 8 && !strings.Contains(m.Content, " ") {
				v.secrets = append(v.secrets, m.Content) // the number
			}
		}
	}
	found := len(v.ids["thread"]) == 4 && len(v.ids["epoch"]) == 4 && len(v.ids["interrupt"]) == 1 && len(v.ids["connection"]) == 4 &&
		len(v.ids["message"]) > 60 && slices.Contains(v.ids["status of a run"], "queued") && slices.Contains(v.ids["status of a run"], "running")
	if !found || len(v.secrets) != 7*8+5 {
		t.Fatalf("the victim has not everything that there is to find: %d secrets, ids %v", len(v.secrets), v.ids)
	}
	delete(v.ids, "status of a run")
}

// transcripts are all pages of the history of all threads.
func (v *victim) transcripts(t *testing.T, ctx context.Context) (pages [][]byte) {
	t.Helper()
	for _, h := range []holdings{v.past, v.ask, v.running, v.notes} {
		before := ""
		for more := true; more; {
			a := v.must(t, ctx, v.parties[0], fmt.Appendf(nil, `{"type":"history","threadId":%q,"limit":20%s}`, h.thread, before), "history")
			pages = append(pages, a.raw)
			more, before = a.More, fmt.Sprintf(`,"before":%v`, a.Before)
		}
	}
	return pages
}

// sees is all that the victim can ask for and that does not change by itself, as the bytes that it comes in.
func (v *victim) sees(t *testing.T, ctx context.Context) (all []string) {
	t.Helper()
	for frame, want := range map[string]string{`{"type":"threads","limit":100}`: "threads", `{"type":"runs","limit":100}`: "runs", `{"type":"ping"}`: "pong"} {
		all = append(all, string(v.must(t, ctx, v.parties[0], []byte(frame), want).raw))
	}
	slices.Sort(all)
	for _, page := range v.transcripts(t, ctx) {
		all = append(all, string(page))
	}
	return all
}

// treasures are what must not reach anybody else: secrets, and ids.
func (v *victim) treasures() []string {
	all := slices.Clone(v.secrets)
	for kind, ids := range v.ids {
		if kind != "key" {
			all = append(all, ids...)
		}
	}
	return all
}

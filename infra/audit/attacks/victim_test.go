package attacks_test

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
	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// ids are the ids of a thread of an account, its epoch, and a run, an interrupt and a message of it.
type ids struct{ thread, run, epoch, interrupt, message string }

func newIDs() ids {
	id := func() string { return chat.NewID(time.Now()) }
	return ids{thread: id(), run: id(), interrupt: id(), message: id()}
}

// runFrame returns a frame that starts the run, with as many messages as there are texts.
func (h ids) runFrame(texts ...string) []byte {
	type message struct {
		ID      string `json:"id"`
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var all []message
	for i, text := range texts {
		all = append(all, message{fmt.Sprintf("%s.%d", h.run, i+1), "user", text})
	}
	frame, err := json.Marshal(map[string]any{"type": "run", "n": json.Number(testkit.NextN), "runId": h.run,
		"threadId": h.thread, "messages": all})
	if err != nil {
		panic(err) // text always encodes
	}
	return frame
}

// victim is a user who has everything that an attacker could look for. All that the victim says holds secrets. No
// secret and no id of the victim may stand in a frame to an attacker, unless the attacker sent it first.
type victim struct {
	name    string
	secrets []string            // messages, titles, a tool's result
	ids     map[string][]string // by kind: thread, run, connection, interrupt, epoch, message, key

	history     ids    // a thread with several pages of history
	interrupted ids    // a thread with an open interrupt
	running     ids    // a thread with an active run
	notes       ids    // a thread whose run saved a note
	queued      string // a run that is queued behind the active one

	sockets []*testkit.Raw // the first one only reads the victim's view
}

// newSecret returns a new secret of the victim.
func (v *victim) newSecret(of string) string {
	secret := "secret-" + of + "-" + rand.Text()
	v.secrets = append(v.secrets, secret)
	return secret
}

// newVictim sets a victim up: threads, one with several pages of history, an active run, a queued run, an open
// interrupt, notes, and sockets.
func newVictim(t *testing.T, ctx context.Context, e stack.Endpoints) *victim {
	t.Helper()
	v := &victim{name: "victim", ids: map[string][]string{}, history: newIDs(), interrupted: newIDs(),
		running: newIDs(),
		notes:   newIDs()}
	for range 5 {
		p, _, err := testkit.DialRaw(ctx, e, v.name, testkit.Token(t, ctx, e, v.name, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		v.sockets = append(v.sockets, p)
	}
	history, interrupted, running := v.sockets[1], v.sockets[2], v.sockets[3]
	v.fillHistory(t, ctx, history)
	v.run(t, ctx, interrupted, &v.notes, fmt.Sprintf(`/call notes_save {"text":%q}`, v.newSecret("note")))
	v.run(t, ctx, interrupted, &v.interrupted, "/say "+v.newSecret("asked")+"\n/call notes_clear")
	v.request(t, ctx, running, v.running.runFrame("/say "+v.newSecret("title")+"\n/stream 100000 2"), "accepted")
	if err := running.ReadUntil(ctx, hasContent); err != nil {
		t.Fatal(err)
	}
	behind := v.running
	behind.run = chat.NewID(time.Now())
	v.request(t, ctx, running, behind.runFrame("/say "+v.newSecret("queued")), "accepted")
	v.queued = behind.run
	v.collect(t, ctx)
	return v
}

// hasContent reports whether a frame has a piece of an answer.
func hasContent(frame []byte) bool { return bytes.Contains(frame, []byte("TEXT_MESSAGE_CONTENT")) }

// fillHistory makes a thread whose history has several pages, and the result of a calculation that is unique.
func (v *victim) fillHistory(t *testing.T, ctx context.Context, p *testkit.Raw) {
	t.Helper()
	for range 7 {
		texts := make([]string, 8)
		for i := range texts {
			texts[i] = v.newSecret("past")
		}
		texts[7] = "/say " + texts[7]
		v.run(t, ctx, p, &v.history, texts...)
	}
	v.run(t, ctx, p, &v.history, fmt.Sprintf(`/call calculator {"expression":"%d*%d"}`,
		100_003+mathrand.N(800_000), 100_003+mathrand.N(800_000)))
}

// run has a new run of a thread carried out.
func (v *victim) run(t *testing.T, ctx context.Context, p *testkit.Raw, h *ids, texts ...string) {
	t.Helper()
	h.run = chat.NewID(time.Now())
	v.request(t, ctx, p, h.runFrame(texts...), "accepted")
	if err := readRunEnd(ctx, p, h.run); err != nil {
		t.Fatalf("wait for the end of the victim's run: %v", err)
	}
}

// readRunEnd reads until a run of the thread that a socket watches has ended.
func readRunEnd(ctx context.Context, p *testkit.Raw, run string) error {
	return p.ReadUntil(ctx, func(frame []byte) bool {
		f, err := wire.DecodeServer(frame)
		e, ok := f.(*wire.Events)
		return err == nil && ok && string(e.RunID) == run && e.Events[len(e.Events)-1].Terminal()
	})
}

// request sends a frame, whose answer must have this type, or the test ends.
func (v *victim) request(t *testing.T, ctx context.Context, p *testkit.Raw, frame []byte, want string) testkit.Answer {
	t.Helper()
	a, err := p.Request(ctx, frame)
	if err != nil || a.Type != want {
		t.Fatalf("the victim's %.200s is answered with %.300s, %v", frame, a.Raw, err)
	}
	return a
}

// collect records all ids, and adds the results of tools to the secrets.
func (v *victim) collect(t *testing.T, ctx context.Context) {
	t.Helper()
	add := func(kind string, ids ...string) {
		for _, id := range ids {
			if id != "" && !slices.Contains(v.ids[kind], id) {
				v.ids[kind] = append(v.ids[kind], id)
			}
		}
	}
	for i, h := range []*ids{&v.notes, &v.history, &v.interrupted, &v.running, &v.running} {
		hello := fmt.Appendf(nil, `{"type":"hello","n":%d,"threadId":%q}`, 100+i, h.thread)
		ready := v.request(t, ctx, v.sockets[max(i, 1)], hello, "ready")
		h.epoch = ready.Epoch
		add("epoch", ready.Epoch)
		add("connection", ready.ConnectionID)
		for _, interrupt := range ready.Interrupts {
			h.interrupt = string(interrupt.ID)
			add("interrupt", h.interrupt)
		}
		add("thread", h.thread)
		add("key", "U#"+v.name, "U#"+v.name+"#T#"+h.thread+"#"+h.epoch, v.name+"#T#"+h.thread, "THREAD#"+h.thread)
	}
	for _, r := range v.request(t, ctx, v.sockets[0], []byte(`{"type":"runs","limit":100}`), "runs").Runs {
		add("run", r.RunID)
		add("status of a run", r.Status)
	}
	for _, raw := range v.transcripts(t, ctx) {
		a, _ := testkit.ParseAnswer(raw)
		for _, m := range a.Messages {
			add("message", m.ID)
			if m.Role == "tool" && len(m.Content) > 8 && !strings.Contains(m.Content, " ") {
				v.secrets = append(v.secrets, m.Content) // the result of the calculation
			}
		}
	}
	complete := len(v.ids["thread"]) == 4 && len(v.ids["epoch"]) == 4 && len(v.ids["interrupt"]) == 1 &&
		len(v.ids["connection"]) == 4 && len(v.ids["message"]) > 60 &&
		slices.Contains(v.ids["status of a run"], "queued") && slices.Contains(v.ids["status of a run"], "running")
	if !complete || len(v.secrets) != 7*8+5 {
		t.Fatalf("the victim does not have everything that it should: %d secrets, ids %v", len(v.secrets), v.ids)
	}
	delete(v.ids, "status of a run")
}

// transcripts returns all pages of the history of all threads.
func (v *victim) transcripts(t *testing.T, ctx context.Context) (pages [][]byte) {
	t.Helper()
	for _, h := range []ids{v.history, v.interrupted, v.running, v.notes} {
		before := ""
		for more := true; more; {
			frame := fmt.Appendf(nil, `{"type":"history","threadId":%q,"limit":20%s}`, h.thread, before)
			a := v.request(t, ctx, v.sockets[0], frame, "history")
			pages = append(pages, a.Raw)
			more, before = a.More, fmt.Sprintf(`,"before":%v`, a.Before)
		}
	}
	return pages
}

// view returns all that the victim can request and that does not change while the run is active, as the bytes that are
// sent.
func (v *victim) view(t *testing.T, ctx context.Context) (all []string) {
	t.Helper()
	for frame, want := range map[string]string{`{"type":"threads","limit":100}`: "threads",
		`{"type":"runs","limit":100}`: "runs", `{"type":"ping"}`: "pong"} {
		all = append(all, string(v.request(t, ctx, v.sockets[0], []byte(frame), want).Raw))
	}
	slices.Sort(all)
	for _, page := range v.transcripts(t, ctx) {
		all = append(all, string(page))
	}
	return all
}

// secretsAndIDs returns all that no other user may be sent.
func (v *victim) secretsAndIDs() []string {
	all := slices.Clone(v.secrets)
	for kind, ids := range v.ids {
		if kind != "key" {
			all = append(all, ids...)
		}
	}
	return all
}

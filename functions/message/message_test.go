package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

const hi = `{"type":"run","requestId":"q1","n":2,"runId":"r1","threadId":"t","messages":[{"id":"r1.u1","role":"user",` +
	`"content":"hi"}]}`

func TestRun_Accepted(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
	if got, want := r.edge.Invoked(), []gatewaytest.Invocation{{User: w.user, Run: "r1"}}; !slices.Equal(got, want) {
		t.Errorf("invoked %v, want %v", got, want)
	}
	row, err := w.store().Connection(t.Context(), w.id)
	if err != nil || row.Thread != "t" || row.N != 2 {
		t.Errorf("the connection watches %+v, error %v", row, err)
	}
	in, err := w.store().Input(t.Context(), "r1")
	if err != nil || !slices.Equal(in.Grants, []string{"calculator"}) || in.Messages[0].Content != "hi" {
		t.Errorf("admitted with %+v, error %v", in, err)
	}

	// The same frame again: the same run, and turn is invoked again while the run is unclaimed.
	w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
	if len(r.edge.Invoked()) != 1 {
		t.Error("a repeat of an unclaimed run did not invoke turn again")
	}
	second := strings.ReplaceAll(strings.ReplaceAll(hi, "r1", "r2"), `"n":2`, `"n":3`)
	w.answers(second, `{"type":"accepted","requestId":"q1","runId":"r2","threadId":"t","state":"queued","position":1}`,
		`{"type":"thread","threadId":"t","title":"hi","status":"running","created":{now},"updated":{now+1},`+
			`"used":{now},"head":0}`)
	if got := r.edge.Invoked(); len(got) != 0 {
		t.Errorf("a waiting run was invoked: %v", got)
	}
	w.does("r1", "hello", true)
	w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"ended"}`)
}

func TestRun_Rejected(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	reject := func(old, new, code, sentence string) {
		t.Helper()
		body := strings.Replace(strings.ReplaceAll(hi, "r1", "r2"), old, new, 1)
		w.answers(body, fmt.Sprintf(`{"type":"rejected","requestId":"q1","runId":"r2","code":%q,"message":%q}`, code,
			sentence))
	}
	reject(`"messages"`, `"agent":"nobody","messages"`, "unknown_agent",
		"There is no agent of this name. Choose another one.")
	reject(`"messages"`, `"whenBusy":"reject","messages"`, "busy",
		"This conversation is busy. Wait for the answer, or stop it first.")
	other := strings.Replace(hi, `"threadId":"t"`, `"threadId":"t2"`, 1)
	const taken = `{"type":"error","requestId":"q1","code":"bad_frame","message":"runId: This id names another run. ` +
		`Use a new one.","field":"runId"}`
	w.answers(other, taken)
	w.answers(strings.Replace(hi, `"content":"hi"`, `"content":"something else"`, 1), taken)
	w.send(`{"type":"run","n":3,"runId":"r3","threadId":"t","messages":[{"id":"m","role":"user","content":"hi"}]}`)
	w.answers(`{"type":"run","requestId":"q1","n":4,"runId":"r4","threadId":"t","messages":[{"id":"r4.1",`+
		`"role":"user","content":"hi"},{"id":"m","role":"user","content":"hi"}]}`,
		`{"type":"error","requestId":"q1","code":"bad_frame","message":"messages[1].id: Another message of this `+
			`thread has this id. Use a new one.","field":"messages[1].id"}`)
}

func TestRun_InvokeFails(t *testing.T) {
	r := newRig(t)
	r.edge.Fail(errors.New("throttled"))
	r.window("alice", "w1=").answers(hi,
		`{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
	if !strings.Contains(r.log.String(), "throttled") {
		t.Error("the failure is not in the log")
	}
}

// The invocation of turn and the post of accepted run beside each other. If the post fails, the run is started all the
// same, and the repeated frame is the same run.
func TestRun_AcceptedFails(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	r.poster = failing{r.edge}
	if err := w.try(hi); err == nil {
		t.Error("the frame succeeded, but its answer was not posted")
	}
	want := []gatewaytest.Invocation{{User: w.user, Run: "r1"}}
	if got := r.edge.Invoked(); !slices.Equal(got, want) {
		t.Errorf("invoked %v, want %v", got, want)
	}
	r.poster = r.edge
	w.does("r1", "hello", true)
	w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"ended"}`)
	if got := r.edge.Invoked(); len(got) > 0 {
		t.Errorf("the repeated frame invoked %v", got)
	}
}

// failing is an edge whose posts fail.
type failing struct{ *gatewaytest.Edge }

// Post fails.
func (failing) Post(context.Context, lasthop.Message) error { return errors.New("no route") }

func TestFrame_BadFrame(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	for _, body := range []string{"", "nonsense", `{"type":"dance"}`, `{"type":"hello","n":0}`,
		`{"type":"run","requestId":"q"}`, `{"type":"ping","x":1}`} {
		got := w.send(body)
		if len(got) != 1 {
			t.Errorf("%s: %d frames", body, len(got))
			continue
		}
		if e, ok := got[0].(*wire.Error); !ok || e.Code != wire.CodeBadFrame || e.Message == "" {
			t.Errorf("%s: answered %+v", body, got[0])
		}
	}
}

func TestFrame_ExpiredToken(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.life = 0
	w.answers(`{"type":"runs","requestId":"q7"}`,
		`{"type":"error","requestId":"q7","code":"token_expired","message":"Your sign-in has expired. Sign in again `+
			`and reconnect."}`)
}

func TestFrame_ListsAndPing(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.answers(`{"type":"runs"}`, `{"type":"runs","runs":[],"more":false}`)
	w.answers(`{"type":"threads"}`, `{"type":"threads","threads":[],"more":false}`)
	w.answers(`{"type":"ping","requestId":"p"}`, `{"type":"pong","requestId":"p","runs":[]}`)
	w.answers(`{"type":"ping","threadId":"t"}`, `{"type":"pong","threadId":"t","runs":[]}`)
	w.answers(`{"type":"history","threadId":"t"}`,
		`{"type":"history","threadId":"t","messages":[],"runs":[],"more":false}`)
	w.send(hi)
	w.send(strings.ReplaceAll(strings.ReplaceAll(hi, "r1", "r2"), `"t"`, `"t"`))
	w.answers(`{"type":"runs"}`,
		`{"type":"runs","runs":[{"runId":"r2","threadId":"t","status":"queued","created":{now},"attempts":0},`+
			`{"runId":"r1","threadId":"t","status":"running","created":{now},"attempts":0}],"more":false}`)
	w.does("r1", "hello", false)
	epoch := string(w.epoch())
	w.answers(`{"type":"ping","threadId":"t"}`, `{"type":"pong","threadId":"t","epoch":"`+epoch+`","head":4,"runs":[`+
		`{"runId":"r1","threadId":"t","status":"running"},{"runId":"r2","threadId":"t","status":"queued"}]}`)
	w.answers(`{"type":"threads"}`,
		`{"type":"threads","threads":[{"threadId":"t","title":"hi","status":"running","created":{now},`+
			`"updated":{now+1},"used":{now},"head":0}],"more":false}`)
}

func TestHistory_Pages(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	for _, run := range []string{"r1", "r2", "r3"} {
		w.send(strings.ReplaceAll(hi, "r1", run))
		w.does(chat.RunID(run), "answer to "+run, true)
	}
	epoch := string(w.epoch())
	message := func(run string) string {
		return `{"id":"` + run + `.u1","role":"user","content":"hi"},{"id":"a-` + run +
			`","role":"assistant","content":"answer to ` + run + `"}`
	}
	header := func(run, seq string) string {
		return `{"runId":"` + run + `","seq":` + seq + `,"messages":2,"at":7,"agent":"echo","model":"m-` + run +
			`","usage":[{"model":"m-` + run + `","inputTokens":1,"outputTokens":2}]}`
	}
	w.answers(`{"type":"history","threadId":"t","limit":2}`,
		`{"type":"history","threadId":"t","epoch":"`+epoch+`","messages":[`+message("r3")+`],"runs":[`+header("r3",
			"11")+`],"more":true,"before":11}`)
	w.answers(`{"type":"history","threadId":"t","limit":100,"before":11}`,
		`{"type":"history","threadId":"t","epoch":"`+epoch+`","messages":[`+message("r1")+`,`+message("r2")+
			`],"runs":[`+header("r1", "1")+`,`+header("r2", "6")+`],"more":false}`)
	r.window("bob", "w2=").answers(`{"type":"history","threadId":"t"}`,
		`{"type":"history","threadId":"t","messages":[],"runs":[],"more":false}`)
}

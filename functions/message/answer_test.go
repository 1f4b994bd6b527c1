package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// wants is a question for a city, asked by this agent's run.
func (w window) wants(id chat.InterruptID, by string) agui.Interrupt {
	q := question(id, w.at.Add(time.Hour))
	q.Reason, q.Message = agui.ReasonInputRequired, "Which city?"
	q.ResponseSchema = json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],` +
		`"additionalProperties":false}`)
	q.Metadata = json.RawMessage(fmt.Sprintf(`{"carrel":{"runId":"r1","tool":"ask","arguments":"{}","agent":%q}}`, by))
	return q
}

// resumes is a run frame with one answer, as it stands.
func resumes(run, answer string) string {
	return fmt.Sprintf(`{"type":"run","requestId":"q","n":3,"runId":%q,"threadId":"t","messages":[],`+
		`"resume":[{"interruptId":"i1",%s}]}`, run, answer)
}

// A response that does not fit its interrupt is refused with the reason. The interrupt stays open and nothing is stored
// or started.
func TestRun_ResponseMustFitInterrupt(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.puts("r1", w.wants("i1", "assistant"))
	wrong := map[string]string{
		`"status":"resolved"`:                                          "the payload is missing",
		`"status":"resolved","payload":"hunter2"`:                      `want \"object\"`,
		`"status":"resolved","payload":{"town":"hunter2"}`:             "town",
		`"status":"resolved","payload":{"city":17}`:                    `want \"string\"`,
		`"status":"resolved","payload":{"city":"hunter2","country":1}`: "country",
	}
	for answer, says := range wrong {
		no := w.rejected(resumes("r2", answer))
		message, err := json.Marshal(no.Message)
		if err != nil || idsOf(no.Interrupts) != "i1" || !strings.Contains(string(message), says) ||
			!strings.Contains(no.Message, "Which city?") || !strings.Contains(no.Message, "answer it again") {
			t.Errorf("%s was refused with %+v", answer, no)
		}
		if _, err := w.store().Run(t.Context(), "r2"); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("%s: the run is known: %v", answer, err)
		}
	}
	if g := w.hello(`{"type":"hello","n":4,"threadId":"t"}`); idsOf(g.ready.Interrupts) != "i1" {
		t.Errorf("after wrong answers %q is open", idsOf(g.ready.Interrupts))
	}
	if strings.Contains(r.log.String(), "hunter2") {
		t.Errorf("the log holds the response: %s", &r.log)
	}
	w.answers(resumes("r2", `"status":"resolved","payload":{"city":"Bern"}`),
		`{"type":"accepted","requestId":"q","runId":"r2","threadId":"t","state":"running"}`)
	t.Attr("figure", fmt.Sprintf("%d answers that do not fit were refused, and the question stayed open", len(wrong)))
}

// A refusal needs no response that fits. An approval with another value than yes is treated as a refusal.
func TestRun_ResponsesThatNeedNotFit(t *testing.T) {
	for answer, field := range map[string]string{
		`"status":"cancelled"`:                                           "",
		`"status":"cancelled","payload":5`:                               "",
		`"status":"resolved","payload":{"approved":false}`:               "",
		`"status":"resolved","payload":{"approved":"true"}`:              "resume[0].payload.approved",
		`"status":"resolved","payload":false`:                            "resume[0].payload",
		`"status":"resolved","payload":"no"`:                             "resume[0].payload",
		`"status":"resolved","payload":{"accepted":false}`:               "resume[0].payload.accepted",
		`"status":"resolved","payload":{"type":"reject"}`:                "resume[0].payload.type",
		`"status":"resolved","payload":{"approved":true,"arguments":{}}`: "resume[0].payload.arguments",
	} {
		for _, reason := range []string{agui.ReasonInputRequired, agui.ReasonToolCall} {
			w := newRig(t).window("alice", "w1=")
			w.send(hi)
			q := w.wants("i1", "")
			if q.Reason = reason; reason == agui.ReasonToolCall {
				q.ResponseSchema = nil
			}
			w.puts("r1", q)
			if field == "" {
				if got, ok := w.send(resumes("r2", answer))[0].(*wire.Accepted); !ok {
					t.Errorf("%s to %s: %+v", answer, reason, got)
				}
				continue
			}
			no := w.rejected(resumes("r2", answer))
			if idsOf(no.Interrupts) != "i1" || reason == agui.ReasonToolCall && no.Field != field {
				t.Errorf("%s to %s: %+v, want the field %s", answer, reason, no, field)
			}
			if _, err := w.store().Run(t.Context(), "r2"); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("%s to %s: the run is known: %v", answer, reason, err)
			}
		}
	}
}

// A run that answers goes on with the agent that asked, unless it names one.
func TestRun_AgentOfResponse(t *testing.T) {
	bern := `"status":"resolved","payload":{"city":"Bern"}`
	for name, c := range map[string]struct {
		asker, named, want string
		code               wire.Code
	}{
		"the agent that asked":      {asker: "second", want: "second"},
		"the named agent":           {asker: "second", named: "first", want: "first"},
		"a run without an agent":    {want: ""},
		"a removed agent":           {asker: "third", code: wire.CodeUnknownAgent},
		"a removed agent, replaced": {asker: "third", named: "first", want: "first"},
		"an unknown agent":          {asker: "second", named: "third", code: wire.CodeUnknownAgent},
	} {
		r := newRig(t)
		r.agents = agentsOf(t, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
			agent.Definition{Name: "second", Grant: agent.Open})
		w := r.window("alice", "w1=")
		w.send(hi)
		w.puts("r1", w.wants("i1", c.asker))
		body := resumes("r2", bern)
		if c.named != "" {
			body = strings.Replace(body, `"messages"`, fmt.Sprintf(`"agent":%q,"messages"`, c.named), 1)
		}
		got := w.send(body)[0]
		if no, ok := got.(*wire.Rejected); c.code != "" {
			if !ok || no.Code != c.code {
				t.Errorf("%s: answered %+v", name, got)
			}
			continue
		}
		run, err := w.store().Run(t.Context(), "r2")
		in, err2 := w.store().Input(t.Context(), "r2")
		if errors.Join(err, err2) != nil || run.Agent != c.want || in.Agent != c.want {
			t.Errorf("%s: the run is %q's, its input %q's, %v; want %q", name, run.Agent, in.Agent,
				errors.Join(err, err2), c.want)
		}
	}
}

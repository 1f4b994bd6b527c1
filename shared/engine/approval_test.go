package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// question returns the interrupt of a run about a call of other with these arguments.
func question(t *testing.T, arguments string) agui.Interrupt {
	t.Helper()
	var keys []string
	f := setUp(t, says([]engine.Delta{start("other"), args(arguments), stop(engine.StopTools)}), chat.Limits{},
		made(t, &keys).AskFirst("Really?"))
	end := f.runAsking()
	if end.Outcome == nil || len(end.Outcome.Interrupts) != 1 {
		t.Fatalf("ended with %+v", end)
	}
	return end.Outcome.Interrupts[0]
}

func resolved(payload string) agui.Resume {
	return agui.Resume{Status: agui.ResumeResolved, Payload: json.RawMessage(payload)}
}

// reading is the expected meaning of a response about a call.
type reading struct {
	approved bool
	field    string // that is wrong; "": the answer is accepted
}

func readings() map[string]reading {
	return map[string]reading{
		"":                        {true, ""},
		`{"approved":true}`:       {true, ""},
		` { "approved" : true } `: {true, ""},
		`{"approved":false}`:      {false, ""},
		`{"approved":false,"arguments":{"say":"y"}}`: {false, ""},
		`false`:                               {false, "payload"},
		`true`:                                {false, "payload"},
		`"yes"`:                               {false, "payload"},
		`"no"`:                                {false, "payload"},
		`0`:                                   {false, "payload"},
		`1`:                                   {false, "payload"},
		`[]`:                                  {false, "payload"},
		`[{"approved":true}]`:                 {false, "payload"},
		`"{\"approved\":true}"`:               {false, "payload"},
		`null`:                                {false, "payload"},
		`{"approved":true`:                    {false, "payload"},
		`{"approved":true}{"approved":false}`: {false, "payload"},
		`{"approved":true,"approved":true}`:   {false, "payload"},
		`{"approved":false,"approved":true}`:  {false, "payload"},
		`{}`:                                  {false, "payload.approved"},
		`{"arguments":{"say":"y"}}`:           {false, "payload.approved"},
		`{"approved":"true"}`:                 {false, "payload.approved"},
		`{"approved":1}`:                      {false, "payload.approved"},
		`{"approved":null}`:                   {false, "payload.approved"},
		`{"approved":[true]}`:                 {false, "payload.approved"},
		`{"Approved":true}`:                   {false, "payload.Approved"},
		`{"approve":true}`:                    {false, "payload.approve"},
		`{"accepted":false}`:                  {false, "payload.accepted"},
		`{"confirmed":true}`:                  {false, "payload.confirmed"},
		`{"type":"accept"}`:                   {false, "payload.type"},
		`{"decisions":[{"type":"reject"}]}`:   {false, "payload.decisions"},
		`{"approved":true,"note":"but not today"}`:            {false, "payload.note"},
		`{"approved":true,"arguments":"{}"}`:                  {false, "payload.arguments"},
		`{"approved":true,"arguments":null}`:                  {false, "payload.arguments"},
		`{"approved":true,"arguments":{}}`:                    {false, "payload.arguments"},
		`{"approved":true,"arguments":{"say":5}}`:             {false, "payload.arguments"},
		`{"approved":true,"arguments":{"say":"y","x":1}}`:     {false, "payload.arguments"},
		`{"approved":true,"arguments":{"say":"y","say":"x"}}`: {false, "payload.arguments"},
		strings.Repeat("[", 200) + strings.Repeat("]", 200):   {false, "payload"},
	}
}

// No payload and {"approved": true} approve a call. Every other form is rejected with the name of its field, and does
// not make the call even if it were admitted.
func TestApproval_Forms(t *testing.T) {
	q := question(t, `{"say":"x"}`)
	for payload, c := range readings() {
		wrong := engine.CheckResponse(q, resolved(payload))
		if (wrong == nil) != (c.field == "") || wrong != nil &&
			(wrong.Field != c.field || !strings.Contains(wrong.Text, "still open")) {
			t.Errorf("%s: rejected with %+v, want the field %q", payload, wrong, c.field)
		}
		p, err := engine.Resolve(q, resolved(payload))
		if err != nil || p.Approved != c.approved || (p.Result == nil) != c.approved || p.Edited != "" {
			t.Errorf("%s: goes on with %+v, %v; want approved: %v", payload, p, err, c.approved)
		}
		if p.Result != nil && (p.Result.Outcome != tool.Refused || !strings.Contains(p.Result.Content, "not called")) {
			t.Errorf("%s: the result is %+v", payload, p.Result)
		}
	}
	q.Reason = "something_new"
	if p, err := engine.Resolve(q, resolved("")); err != nil || p.Approved {
		t.Errorf("a question of an unknown kind is approved: %+v, %v", p, err)
	}
}

// needs is a tool that requests a color from a person.
func needs(t *testing.T) tool.Tool {
	t.Helper()
	made, err := tool.Define("other", "", "all", func(context.Context, input) (string, error) {
		return "", &tool.InputError{Message: "Which color?"}
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The tool is called with the person's edited arguments, and the result names them. The call keeps the model's
// arguments.
func TestApproval_Edited(t *testing.T) {
	q := question(t, `{"say": "x"}`)
	same, err := engine.Resolve(q, resolved(`{"approved":true,"arguments":{ "say" :"x"}}`))
	if err != nil || !same.Approved || same.Edited != "" {
		t.Errorf("arguments that are the same: %+v, %v", same, err)
	}
	if wrong := engine.CheckResponse(q, resolved(`{"approved":true,"arguments":{"say":"y"}}`)); wrong != nil {
		t.Fatalf("rejected with %+v", wrong)
	}
	p, err := engine.Resolve(q, resolved(`{"approved":true,"arguments":{"say":"y"}}`))
	if err != nil || !p.Approved || p.Edited != `{"say":"y"}` || p.Call.Function.Arguments != `{"say": "x"}` {
		t.Fatalf("goes on with %+v, %v", p, err)
	}
	var keys []string
	m := done()
	f := setUp(t, m, chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	f.config.History = []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "do it"},
		{ID: "a", Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{p.Call}}}
	f.config.Pending = []engine.PendingCall{p}
	f.run()
	want := "A person changed the arguments to {\"say\":\"y\"}\ndid y"
	sent := m.asked[0].Messages
	if len(sent) != 3 || sent[2].Content != want || sent[1].ToolCalls[0].Function.Arguments != `{"say": "x"}` {
		t.Errorf("the model was sent %+v", sent)
	}
	for _, e := range f.sink.events {
		if e.Type == agui.ToolCallResult && (*e.Content != want || string(e.Metadata) != `{"carrel":{"edited":true}}`) {
			t.Errorf("the result is %q with %s", *e.Content, e.Metadata)
		}
	}

	f = setUp(t, done(), chat.Limits{}, needs(t).AskFirst("Really?"))
	f.config.Pending = []engine.PendingCall{p}
	asked := f.runAsking().Outcome.Interrupts
	if len(asked) != 1 || asked[0].Reason != agui.ReasonInputRequired {
		t.Fatalf("an edited call that needs input asks %+v", asked)
	}
	then, err := engine.Resolve(asked[0], resolved(`"red"`))
	if err != nil || then.Result == nil ||
		then.Result.Content != "A person changed the arguments to {\"say\":\"y\"}\nred" {
		t.Errorf("its result is %+v, %v", then.Result, err)
	}

	q.ResponseSchema = json.RawMessage(tool.PlainApproval) // as of a tool whose schema is too long
	answer := resolved(`{"approved":true,"arguments":{"say":"y"}}`)
	if wrong := engine.CheckResponse(q, answer); wrong == nil || wrong.Field != "payload.arguments" ||
		!strings.Contains(wrong.Text, "cannot be changed") {
		t.Errorf("arguments that cannot be edited were rejected with %+v", wrong)
	}
	if p, err := engine.Resolve(q, answer); err != nil || p.Approved {
		t.Errorf("arguments that cannot be edited: %+v, %v", p, err)
	}
}

// An interrupt shows no character that a person cannot see, and its JSON keeps its value.
func TestInterrupt_HiddenCharacters(t *testing.T) {
	q := question(t, "{\"say\":\"pay \u202eBob\u200b \U000E0141 نمی\u200cدانم\"}")
	want := `{"say":"pay \u202eBob\u200b \udb40\udd41 ` + "نمی\u200cدانم" + `"}`
	var about struct {
		Carrel struct {
			Arguments string `json:"arguments"`
		} `json:"carrel"`
	}
	if err := json.Unmarshal(q.Metadata, &about); err != nil || about.Carrel.Arguments != want {
		t.Errorf("the question shows the arguments %q, %v; want %q", about.Carrel.Arguments, err, want)
	}
	p, err := engine.Resolve(q, resolved(`{"approved":true}`))
	if err != nil || p.Call.Function.Arguments != want {
		t.Errorf("the call is made with %q, %v", p.Call.Function.Arguments, err)
	}
	q.Message = "Really?\x1b[2J"
	if wrong := engine.CheckResponse(q, resolved(`{"a\u202e":1}`)); wrong == nil ||
		wrong.Field != "payload.a[U+202E]" || strings.ContainsAny(wrong.Text, "\x1b\u202e") {
		t.Errorf("an answer is rejected with %+q", wrong)
	}
}

// The schemas for edited arguments never displace an interrupt.
func TestInterrupt_SchemaYieldsToInterrupts(t *testing.T) {
	var deltas []engine.Delta
	for i := range 4 {
		deltas = append(deltas, start("other"), args(fmt.Sprintf(`{"say":"%d%s"}`, i, strings.Repeat("x", 7905))))
	}
	var keys []string
	f := setUp(t, says(append(deltas, stop(engine.StopTools))), chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	end := f.runAsking()
	size, editable := 0, 0
	for _, i := range end.Outcome.Interrupts {
		size += len(i.Metadata) + len(i.ResponseSchema) + len(i.Message)
		if strings.Contains(string(i.ResponseSchema), `"arguments"`) {
			editable++
		}
	}
	if len(end.Outcome.Interrupts) != 4 || editable == 0 || editable == 4 || size > 32<<10 {
		t.Errorf("asked %d questions of %d bytes, of which %d can be edited", len(end.Outcome.Interrupts), size,
			editable)
	}
}

// A response that looks like a choice counts as that choice, in every encoding.
func TestResponse_LooksLikeAChoice(t *testing.T) {
	q := question(t, `{"say":"x"}`)
	q.Reason, q.ResponseSchema = agui.ReasonInputRequired,
		json.RawMessage(`{"type":"string","enum":["Zoe\u0308","Bob",7,"a","a\u200b"]}`)
	for payload, want := range map[string]string{
		`"Zo\u00eb"`: "Zoe\u0308", `"Bob"`: "Bob", `" Bob\u200b "`: "Bob", `"a"`: "a", `"a\u200b"`: "a\u200b",
		`"a\u2060"`: "", `"bob"`: "", `"Zoe"`: "", `"7"`: "", // like two, and like none
	} {
		wrong := engine.CheckResponse(q, resolved(payload))
		if (wrong == nil) != (want != "") {
			t.Errorf("%s was rejected with %+v, want %q", payload, wrong, want)
		}
		if p, err := engine.Resolve(q, resolved(payload)); want != "" &&
			(err != nil || p.Result == nil || p.Result.Content != want) {
			t.Errorf("%s became %+v, %v; want %q", payload, p.Result, err, want)
		}
	}
}

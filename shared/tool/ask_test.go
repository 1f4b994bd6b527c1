package tool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// All other checks precede the question to a person.
func TestCall_QuestionIsTheLastCheck(t *testing.T) {
	called := 0
	count := func(_ context.Context, in order) (string, error) {
		called++
		return echo(context.Background(), in)
	}
	for name, c := range map[string]struct {
		call tool.Call
		want tool.Outcome
	}{
		"may be made": {tool.Call{Name: "order", Arguments: good}, tool.Asked},
		"agreed to":   {tool.Call{Name: "order", Arguments: good, Approved: true}, tool.OK},
		"agreed to, again": {tool.Call{Name: "order", Arguments: good, Approved: true, MayHaveRun: true},
			tool.UnknownCall},
		"again, not asked":   {tool.Call{Name: "order", Arguments: good, MayHaveRun: true}, tool.Asked},
		"bad arguments":      {tool.Call{Name: "order", Arguments: `{}`}, tool.BadArguments},
		"bad, though agreed": {tool.Call{Name: "order", Arguments: `{}`, Approved: true}, tool.BadArguments},
		"not granted":        {tool.Call{Name: "other", Arguments: good}, tool.Denied},
		"no such tool":       {tool.Call{Name: "nothing", Arguments: good, Approved: true}, tool.Unknown},
		"too long to be seen": {tool.Call{Name: "order", Arguments: `{"item":"` + strings.Repeat("x", 8<<10) +
			`","count":1}`}, tool.Refused},
	} {
		called = 0
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, define(t, "order", count).AskFirst("Order it?"),
			define(t, "other", count).AskFirst("Really?"))
		got := d.Call(uc.Context(), c.call)
		if got.Outcome != c.want || (called == 1) != (c.want == tool.OK) ||
			(got.Content == "") != (c.want == tool.Asked) {
			t.Errorf("%s: %+v, called %d times", name, got, called)
		}
		if c.want == tool.Asked && (got.Question == nil || got.Question.Message != "Order it?" ||
			got.Question.Reason != agui.ReasonToolCall) {
			t.Errorf("%s: asked %+v", name, got.Question)
		}
		uc.Close(context.Background())
	}
}

func TestTool_BuildersReturnCopies(t *testing.T) {
	plain := define(t, "order", echo)
	plain.AskFirst("Order it?")
	plain.Idempotent()
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, plain)
	if got := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good}); got.Outcome != tool.OK {
		t.Errorf("a plain tool: %+v", got)
	}
	if got := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good,
		MayHaveRun: true}); got.Outcome != tool.UnknownCall || !strings.Contains(got.Content, "not known") {
		t.Errorf("a plain tool, again: %+v", got)
	}
}

// A repeated call has the same key, and each other call has another key.
func TestIdempotencyKey(t *testing.T) {
	var keys []string
	again := define(t, "order", func(ctx context.Context, _ order) (string, error) {
		keys = append(keys, tool.IdempotencyKey(ctx))
		return "", nil
	}).Idempotent()
	for range 2 { // two workers
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, again)
		for _, id := range []string{"c1", "c2"} {
			if got := d.Call(uc.Context(), tool.Call{ID: id, Name: "order", Arguments: good,
				MayHaveRun: true}); got.Outcome != tool.OK {
				t.Errorf("%s: %+v", id, got)
			}
		}
		uc.Close(context.Background())
	}
	alice := chattest.User(t, "alice").Hash()
	if want := []string{alice + ":r:c1", alice + ":r:c2", alice + ":r:c1", alice + ":r:c2"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if got := tool.IdempotencyKey(context.Background()); got != "" {
		t.Errorf("outside of a handler: %q", got)
	}
}

// Another user's run and call with the same ids have another key. So an external system never takes one user's call for
// a repetition of the other's.
func TestIdempotencyKey_TwoUsers(t *testing.T) {
	t.Attr("row", "D4: a call's idempotency key contains its user")
	keys := map[string]bool{}
	again := define(t, "order", func(ctx context.Context, _ order) (string, error) {
		keys[tool.IdempotencyKey(ctx)] = true
		return "", nil
	}).Idempotent()
	users := []string{"alice", "mallory", "alice:r", "alice#r"}
	for _, user := range users {
		uc, err := usercontext.New(t.Context(), usercontext.Config{
			User: chattest.User(t, user), Thread: "t", Run: "r", Request: "q", Grants: []string{"order"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := dispatcher(t, uc, again).Call(uc.Context(),
			tool.Call{ID: "c", Name: "order", Arguments: good}); got.Outcome != tool.OK {
			t.Errorf("%s: %+v", user, got)
		}
		if err := uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d keys of %d users whose runs and calls have the same ids", len(keys), len(users)))
	if len(keys) != len(users) {
		t.Errorf("%d users have %d keys", len(users), len(keys))
	}
	t.Attr("figure", fmt.Sprintf("%d users with a run and a call of the same ids: %d keys", len(users), len(keys)))
}

// A question that cannot be shown refuses the call.
func TestInputError_Bounds(t *testing.T) {
	for name, c := range map[string]struct {
		input tool.InputError
		want  tool.Outcome
	}{
		"fine":          {tool.InputError{Message: "Which?", Schema: json.RawMessage(`{}`)}, tool.Asked},
		"a long one":    {tool.InputError{Message: strings.Repeat("x", 1001)}, tool.Refused},
		"a long schema": {tool.InputError{Message: "Which?", Schema: make(json.RawMessage, 8<<10+1)}, tool.Refused},
		"no JSON":       {tool.InputError{Message: "Which?", Schema: json.RawMessage(`{"type":`)}, tool.Failed},
		"null":          {tool.InputError{Message: "Which?", Schema: json.RawMessage(`null`)}, tool.Failed},
		"no schema": {tool.InputError{Message: "Which?", Schema: json.RawMessage(`{"type":"text","pattern":"("}`)},
			tool.Failed},
		"another day": {tool.InputError{Message: "Which?",
			Schema: json.RawMessage(`{"$schema":"http://json-schema.org/draft-04/schema#"}`)}, tool.Failed},
		"its draft": {tool.InputError{Message: "Which?",
			Schema: json.RawMessage(`{"$schema":"https://json-schema.org/draft/2020-12/schema"}`)}, tool.Asked},
		"a circle": {tool.InputError{Message: "Which?", Schema: json.RawMessage(`{"$ref":"#"}`)}, tool.Failed},
	} {
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) { return "", &c.input }))
		if got := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good}); got.Outcome != c.want ||
			c.want == tool.Asked && (got.Question.Reason != agui.ReasonInputRequired ||
				got.Question.Message != "Which?") {
			t.Errorf("%s: %+v", name, got)
		}
		uc.Close(context.Background())
	}
	hides := &tool.InputError{Message: "Which\u200b?", Schema: json.RawMessage("{\"enum\":[\"a\u202e\"]}")}
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) { return "", hides }))
	got := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good})
	if got.Question == nil || got.Question.Message != "Which[U+200B]?" ||
		string(got.Question.Schema) != `{"enum":["a\u202e"]}` {
		t.Errorf("what hides something is asked as %+v", got.Question)
	}
	if got := tool.ResponseResult(strings.Repeat("x", tool.MaxResult+1)); len(got.Content) > tool.MaxResult+100 ||
		!strings.Contains(got.Content, "[cut") {
		t.Errorf("a long answer became %d bytes", len(got.Content))
	}
}

// A destructive tool asks a person by default, with its own question or a general one. A read-only tool is called again
// after a worker's death.
func TestDestructive(t *testing.T) {
	plain := define(t, "order", func(context.Context, order) (string, error) { return "done", nil })
	for name, c := range map[string]struct {
		tool tool.Tool
		call tool.Call
		want tool.Outcome
		says string
	}{
		"destructive": {plain.Destructive(), tool.Call{}, tool.Asked,
			"May order be called? It can delete or overwrite something."},
		"in its own words":        {plain.AskFirst("Order it?").Destructive(), tool.Call{}, tool.Asked, "Order it?"},
		"without words":           {plain.Destructive().AskFirst(""), tool.Call{}, tool.Asked, "May order be called?"},
		"destructive, idempotent": {plain.Destructive().Idempotent(), tool.Call{}, tool.Asked, "May order be called?"},
		"approved":                {plain.Destructive(), tool.Call{Approved: true}, tool.OK, "done"},
		"read-only":               {plain.ReadOnly(), tool.Call{MayHaveRun: true}, tool.OK, "done"},
		"idempotent":              {plain.Idempotent(), tool.Call{MayHaveRun: true}, tool.OK, "done"},
		"nothing declared":        {plain, tool.Call{MayHaveRun: true}, tool.UnknownCall, "not known"},
		"nothing declared, once":  {plain, tool.Call{}, tool.OK, "done"},
	} {
		c.call.ID, c.call.Name, c.call.Arguments = "c", "order", `{"item":"tea","count":2}`
		uc := contextOf(t, "order")
		got := dispatcher(t, uc, c.tool).Call(uc.Context(), c.call)
		uc.Close(context.Background())
		says := got.Content
		if got.Question != nil {
			says = got.Question.Message
		}
		if got.Outcome != c.want || !strings.Contains(says, c.says) {
			t.Errorf("%s: %+v %q, want %s %q", name, got, says, c.want, c.says)
		}
	}
	if _, err := tool.NewRegistry(plain.ReadOnly().Destructive()); err == nil {
		t.Error("a tool is read-only and destructive")
	}
}

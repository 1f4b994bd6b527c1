package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

type order struct {
	Item  string   `json:"item" jsonschema:"what to order"`
	Count int      `json:"count"`
	Notes []string `json:"notes,omitempty"`
}

// define makes a tool with this name and the handler f. Its grant is its name.
func define(tb testing.TB, name string, f func(context.Context, order) (string, error)) tool.Tool {
	tb.Helper()
	made, err := tool.Define(name, "Orders things.", name, f)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func echo(_ context.Context, in order) (string, error) {
	return fmt.Sprintf("%d %s", in.Count, in.Item), nil
}

func contextOf(tb testing.TB, grants ...string) *usercontext.Context {
	tb.Helper()
	uc, err := usercontext.New(context.Background(), usercontext.Config{
		User: chattest.User(tb, "alice"), Thread: "t", Run: "r", Request: "q", Grants: grants,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return uc
}

func dispatcher(tb testing.TB, uc *usercontext.Context, tools ...tool.Tool) *tool.Dispatcher {
	tb.Helper()
	registry, err := tool.NewRegistry(tools...)
	if err != nil {
		tb.Fatal(err)
	}
	names := make([]string, len(tools))
	for i, s := range []string{"order", "other", "third"}[:len(tools)] {
		names[i] = s
	}
	d, err := tool.NewDispatcher(uc, registry, names)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

const good = `{"item":"book","count":2}`

func TestCall_Outcomes(t *testing.T) {
	t.Attr("row", "D1: each outcome of a call")
	tests := []struct {
		name, tool, arguments string
		handle                func(context.Context, order) (string, error)
		want                  tool.Outcome
		says                  string
	}{
		{"fine", "order", good, echo, tool.OK, "2 book"},
		{"optional", "order", `{"item":"b","count":1,"notes":["x"]}`, echo, tool.OK, "1 b"},
		{"unknown tool", "nothing", good, echo, tool.Unknown, `There is no tool "nothing". There are: order.`},
		{"not granted", "other", good, echo, tool.Denied, `not permitted to use the tool "other". There are: order.`},
		{"not granted, bad arguments", "other", `{`, echo, tool.Denied, "not permitted"},
		{"no arguments", "order", "", echo, tool.BadArguments, `missing properties`},
		{"missing", "order", `{"item":"b"}`, echo, tool.BadArguments, `count`},
		{"extra", "order", `{"item":"b","count":1,"color":"red"}`, echo, tool.BadArguments, `color`},
		{"other case", "order", `{"Item":"b","count":1}`, echo, tool.BadArguments, `Item`},
		{"wrong type", "order", `{"item":3,"count":1}`, echo, tool.BadArguments, `want "string"`},
		{"fraction", "order", `{"item":"b","count":1.5}`, echo, tool.BadArguments, `want "integer"`},
		{"too large a number", "order", `{"item":"b","count":1e300}`, echo, tool.BadArguments,
			`maximum: 1e+300 is greater than 9007199254740991. Send`},
		{"null", "order", `{"item":null,"count":1}`, echo, tool.BadArguments, `want "string"`},
		{"no object", "order", `[]`, echo, tool.BadArguments, `want "object"`},
		{"no JSON", "order", `{"item":`, echo, tool.BadArguments, `not valid JSON`},
		{"two objects", "order", good + good, echo, tool.BadArguments, `not valid JSON`},
		{"told error", "order", good, func(context.Context, order) (string, error) {
			return "", fmt.Errorf("deep: %w", &tool.Error{Text: "there are no books; order a pen"})
		}, tool.Failed, "there are no books; order a pen"},
		{"secret error", "order", good, func(context.Context, order) (string, error) {
			return "", errors.New("password=hunter2")
		}, tool.Failed, "The tool order failed."},
		{"panic", "order", good, func(context.Context, order) (string, error) { panic("password=hunter2") },
			tool.Panicked, "The tool order failed unexpectedly."},
		{"bad text", "order", good, func(context.Context, order) (string, error) { return "a\xffb", nil }, tool.OK,
			"a\uFFFDb"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			uc := contextOf(t, "order")
			defer uc.Close(context.Background())
			d := dispatcher(t, uc, define(t, "order", c.handle), define(t, "other", echo))
			var decisions []tool.Decision
			var log []string
			d.Record = func(decision tool.Decision) { decisions = append(decisions, decision) }
			d.Logf = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
			got := d.Call(uc.Context(), tool.Call{ID: "c1", Name: c.tool, Arguments: c.arguments})
			if got.Outcome != c.want || !strings.Contains(got.Content, c.says) ||
				strings.Contains(got.Content, "hunter2") {
				t.Errorf("have %+v, want %s with %q", got, c.want, c.says)
			}
			if c.want == tool.BadArguments && !strings.Contains(got.Content, `"properties"`) {
				t.Errorf("the model does not receive the schema: %s", got.Content)
			}
			recorded(t, decisions, c.tool, c.want, len(c.arguments))
			if secret := c.name == "secret error" || c.name == "panic"; secret != (len(log) == 1) {
				t.Errorf("logged %q", log)
			}
		})
	}
}

// recorded checks that there is one record of a call of a tool whose grant is its name.
func recorded(t *testing.T, decisions []tool.Decision, name string, outcome tool.Outcome, bytes int) {
	t.Helper()
	if outcome == tool.Unknown {
		name = "" // what the model made up is content
	}
	want := tool.Decision{Run: "r", Call: "c1", Tool: name, Grant: name, Outcome: outcome, ArgumentBytes: bytes}
	if len(decisions) == 1 {
		want.Took = decisions[0].Took
	}
	if len(decisions) != 1 || decisions[0] != want {
		t.Errorf("recorded %+v, want %+v", decisions, want)
	}
}

func TestSpecs(t *testing.T) {
	t.Attr("row", "D2: a model is shown exactly the tools that its run may call")
	uc := contextOf(t, "third", "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, define(t, "third", echo), define(t, "other", echo), define(t, "order", echo))
	specs := d.Specs()
	if len(specs) != 2 || specs[0].Name != "order" || specs[1].Name != "third" ||
		specs[0].Description != "Orders things." {
		t.Fatalf("offered %+v", specs)
	}
	var schema struct {
		Type       string
		Required   []string
		Properties map[string]struct{ Description string }
	}
	if err := json.Unmarshal(specs[0].Schema, &schema); err != nil || schema.Type != "object" ||
		len(schema.Required) != 2 ||
		schema.Properties["item"].Description != "what to order" {
		t.Errorf("schema %s: %v", specs[0].Schema, err)
	}
	t.Attr("figure", fmt.Sprintf("%d of 3 tools are shown to a run that is granted %d", len(specs), len(uc.Grants())))
	specs[0].Schema[0] = 'X'
	if d.Specs()[0].Schema[0] != '{' {
		t.Error("a change of the copy changed the tool")
	}
}

func TestDefine_Invalid(t *testing.T) {
	fine := define(t, "order", echo)
	free, err := tool.Define("free", "", "", echo)
	if err != nil {
		t.Fatal(err)
	}
	for name, tools := range map[string][]tool.Tool{
		"no grant": {free}, "twice": {fine, fine}, "not defined": {{}},
		"bad name": {define(t, "a b", echo)}, "no name": {define(t, "", echo)},
		"long name": {define(t, strings.Repeat("x", 65), echo)},
	} {
		if _, err := tool.NewRegistry(tools...); err == nil {
			t.Errorf("%s: registered", name)
		}
	}
	if _, err := tool.Define("x", "", "x", func(context.Context, string) (string, error) {
		return "",
			nil
	}); err == nil {
		t.Error("arguments that are not a struct were accepted")
	}
	if _, err := tool.Define("x", "", "x", func(context.Context, struct{ C chan int }) (string, error) {
		return "",
			nil
	}); err == nil {
		t.Error("arguments without a schema were taken")
	}
}

// With puts a run's own tools into a new registry.
func TestRegistry_With(t *testing.T) {
	frozen, err := tool.NewRegistry(define(t, "a", echo))
	if err != nil {
		t.Fatal(err)
	}
	own, err := frozen.With(define(t, "b", echo))
	if err != nil {
		t.Fatal(err)
	}
	uc := contextOf(t, "a", "b")
	if d, err := tool.NewDispatcher(uc, own, []string{"a", "b"}); err != nil || len(d.Specs()) != 2 {
		t.Errorf("with its own: %v", err)
	}
	if _, err := tool.NewDispatcher(uc, frozen, []string{"b"}); err == nil {
		t.Error("the frozen registry has a run's tool")
	}
	if _, err := frozen.With(define(t, "a", echo)); err == nil {
		t.Error("two tools of one name")
	}
}

func TestNewDispatcher_Refused(t *testing.T) {
	t.Attr("row", "A7: a dispatcher needs a live context")
	registry, err := tool.NewRegistry(define(t, "order", echo))
	if err != nil {
		t.Fatal(err)
	}
	uc := contextOf(t)
	if _, err := tool.NewDispatcher(uc, registry, []string{"order", "missing"}); err == nil ||
		!strings.Contains(err.Error(), "missing") {
		t.Errorf("an agent with a tool that does not exist: %v", err)
	}
	uc.Close(context.Background())
	if _, err := tool.NewDispatcher(uc, registry, nil); !errors.Is(err, chat.ErrClosed) {
		t.Errorf("a closed context: %v", err)
	}
	if d, err := tool.NewDispatcher(nil, registry, nil); err == nil {
		t.Error("no context")
	} else {
		t.Attr("figure", fmt.Sprintf("without a context %v: %v", d, err))
	}
}

func TestDispatcher_ThousandAtOnce(t *testing.T) {
	t.Attr("row", "A7: 1,000 dispatchers made at once each serve their own user")
	t.Attr("amount", "1000 dispatchers")
	registry, err := tool.NewRegistry(define(t, "order", echo), define(t, "other", echo))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var made, calls atomic.Int64
	for i := range 1000 {
		all.Go(func() {
			grant := []string{"order", "other"}[i%2]
			uc := contextOf(t, grant)
			defer uc.Close(context.Background())
			d, err := tool.NewDispatcher(uc, registry, []string{"order", "other"})
			if err != nil {
				t.Error(err)
				return
			}
			made.Add(1)
			for _, name := range []string{"order", "other"} {
				calls.Add(1)
				want := tool.Result{Outcome: tool.OK, Content: fmt.Sprintf("%d book", i)}
				got := d.Call(uc.Context(), tool.Call{Name: name,
					Arguments: fmt.Sprintf(`{"item":"book","count":%d}`, i)})
				if name == grant && got != want || name != grant && got.Outcome != tool.Denied {
					t.Errorf("run %d with grant %s calls %s: %+v", i, grant, name, got)
				}
			}
		})
	}
	all.Wait()
	t.Attr("figure", fmt.Sprintf("%d dispatchers at once, each of its own user context: %d calls", made.Load(),
		calls.Load()))
}

func BenchmarkDispatcher(b *testing.B) {
	uc := contextOf(b, "order")
	defer uc.Close(context.Background())
	registry, err := tool.NewRegistry(define(b, "order", echo))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tool.NewDispatcher(uc, registry, []string{"order"}); err != nil {
			b.Fatal(err)
		}
	}
}

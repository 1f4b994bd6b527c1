package tool_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carrel/shared/tool"
)

type everything struct {
	Text   string            `json:"text"`
	Count  int8              `json:"count"`
	Amount float64           `json:"amount,omitempty"`
	Yes    bool              `json:"yes,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
	Rows   []row             `json:"rows,omitempty"`
	Place  *row              `json:"place,omitempty"`
	Words  map[string]uint16 `json:"words,omitempty"`
}

type row struct {
	X    int    `json:"x"`
	Note string `json:"note,omitempty"`
}

// For all arguments of a model, the call is refused with a reason, or the handler receives a value that fits the
// schema: it has no unknown field, lacks none, and is accepted as the same value when encoded again.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		`{"text":"a","count":1}`, ` {"count":-1e0,"text":"\ud800"} `,
		`{"text":"a","count":1,"amount":1e308,"yes":false,"tags":[]}`,
		`{"text":"","count":127,"rows":[{"x":1,"note":"n"},{"x":2}],"place":{"x":3},"words":{"":1,"a":2}}`,
		`{"text":"a","count":128}`,
		`{"text":"a","count":1,"rows":null,"place":null,"words":null}`, `{"text":"a","count":"1","count":1}`,
		`{"Text":"a","count":1}`,
		`{"text":"a","count":1,"place":{"note":"n"},"place":{"x":1}}`,
		`{"text":"a","count":1,"rows":[{"x":1,"note":"n"}],"rows":[{"x":2}]}`,
		``, `null`, `[]`, `{`, `{"text":"a","count":1}{}`, `{"text":"a","count":0.1e1}`,
		`{"text":"a","count":1,"words":{"a":65536}}`,
	} {
		f.Add(s)
	}
	var got *everything
	made, err := tool.Define("order", "Takes everything.", "order",
		func(_ context.Context, in everything) (string, error) {
			got = &in
			return "taken", nil
		})
	if err != nil {
		f.Fatal(err)
	}
	uc := contextOf(f, "order")
	f.Cleanup(func() { uc.Close(context.Background()) })
	d := dispatcher(f, uc, made)
	f.Fuzz(func(t *testing.T, arguments string) {
		got = nil
		switch r := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: arguments}); r.Outcome {
		case tool.BadArguments:
			if got != nil || !strings.Contains(r.Content, "fits this schema") {
				t.Fatalf("%s: refused with %q, the handler had %+v", arguments, r.Content, got)
			}
		case tool.OK:
			fits(t, arguments)
			first := got
			again, err := json.Marshal(first)
			if err != nil {
				t.Fatalf("%s gave %+v: %v", arguments, first, err)
			}
			if r := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: string(again)}); r.Outcome != tool.OK ||
				!reflect.DeepEqual(lean(first), lean(got)) {
				t.Fatalf("%s was taken as %s, which is %+v, and as %+v", arguments, again, r, got)
			}
		default:
			t.Fatalf("%s: %+v", arguments, r)
		}
	})
}

// fits checks the accepted arguments against the struct, as the schema defines them.
func fits(t *testing.T, arguments string) {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(arguments), &fields); err != nil {
		t.Fatalf("%s was taken: %v", arguments, err)
	}
	known := []string{"text", "count", "amount", "yes", "tags", "rows", "place", "words"}
	for name := range fields {
		if !slices.Contains(known, name) {
			t.Fatalf("%s was taken with %q", arguments, name)
		}
	}
	if fields["text"] == nil || fields["count"] == nil {
		t.Fatalf("%s was taken without what is required", arguments)
	}
}

// lean returns a value without the difference between null and an empty list.
func lean(e *everything) everything {
	l := *e
	if len(l.Tags) == 0 {
		l.Tags = nil
	}
	if len(l.Rows) == 0 {
		l.Rows = nil
	}
	if len(l.Words) == 0 {
		l.Words = nil
	}
	return l
}

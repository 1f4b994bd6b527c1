package tool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

const orderSchema = `{"type":"object","properties":{"item":{"$ref":"#/$defs/item"},"count":{"type":"integer"}},
	"required":["item"],"additionalProperties":false,"$defs":{"item":{"enum":["tea","cake"]}}}`

// raw makes a tool that returns its arguments, or fails the test.
func raw(t *testing.T, schema string) tool.Tool {
	t.Helper()
	made, err := tool.Raw(tool.Spec{Name: "order", Description: "Orders.", Schema: json.RawMessage(schema)}, "order",
		func(_ context.Context, args json.RawMessage) (tool.Output, error) {
			return tool.Output{Text: string(args)}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A raw tool's arguments are checked against its schema as those of any tool. The handler gets them with plain numbers.
func TestRaw_Arguments(t *testing.T) {
	uc := contextOf(t, "order")
	d := dispatcher(t, uc, raw(t, orderSchema))
	for arguments, want := range map[string]string{
		`{"item":"tea","count":1e2}`:       `ok {"item":"tea","count":100}`,
		`{"item":"soap"}`:                  "bad_arguments ",
		`{"item":"tea","user":"bob"}`:      "bad_arguments ",
		`{"item":"tea","item":"cake"}`:     "bad_arguments ",
		`{"count":1}`:                      "bad_arguments ",
		`["tea"]`:                          "bad_arguments ",
		`{"item":"tea"} {"item":"cake"}`:   "bad_arguments ",
		`{"item":"tea","count":1.5}`:       "bad_arguments ",
		`{"item":"tea","count":"` + "\x00": "bad_arguments ",
	} {
		got := d.Call(uc.Context(), tool.Call{ID: arguments, Name: "order", Arguments: arguments})
		if text := fmt.Sprintf("%s %s", got.Outcome, got.Content); !strings.HasPrefix(text, want) {
			t.Errorf("%s: %s, want %s", arguments, text, want)
		}
	}
	specs := d.Specs()
	if len(specs) != 1 || string(specs[0].Schema) != orderSchema {
		t.Errorf("the model sees %s", specs)
	}
}

// doubling returns a schema of n levels, of which each checks the same value twice by the next.
func doubling(n int) string {
	var defs []string
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[%s,%s]}`, i, next, next))
	}
	return fmt.Sprintf(`{"type":"object","items":{"$ref":"#/$defs/d0"},"$defs":{%s,"d%d":{"type":"string"}}}`,
		strings.Join(defs, ","), n)
}

// A schema that another party wrote cannot keep a check from ending, reach out of itself, or fill the memory.
func TestRaw_RefusedSchemas(t *testing.T) {
	object := func(rest string) string { return `{"type":"object",` + rest + `}` }
	refused := map[string]string{
		"none":                       ``,
		"not JSON":                   `{"type":"object"`,
		"not an object's":            `{"type":"string"}`,
		"no type":                    `{"properties":{}}`,
		"true":                       `true`,
		"itself":                     object(`"$ref":"#"`),
		"itself by a property":       object(`"properties":{"a":{"$ref":"#/properties/a"}}`),
		"itself by alternatives":     object(`"properties":{"a":{"anyOf":[{"$ref":"#/properties/a"},true]}}`),
		"two that name each other":   object(`"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"not":{"$ref":"#/$defs/a"}}}`),
		"another document":           object(`"properties":{"a":{"$ref":"https://example.com/s.json"}}`),
		"a file":                     object(`"properties":{"a":{"$ref":"file:///etc/passwd"}}`),
		"an anchor":                  object(`"properties":{"a":{"$ref":"#b"}},"$defs":{"b":{"$anchor":"b"}}`),
		"a dynamic reference":        object(`"properties":{"a":{"$dynamicRef":"#"}}`),
		"a base inside":              object(`"properties":{"a":{"$id":"https://example.com/a","type":"string"}}`),
		"nothing there":              object(`"properties":{"a":{"$ref":"#/$defs/a"}}`),
		"a keyword of another type":  object(`"required":"a"`),
		"a pattern that is not one":  object(`"properties":{"a":{"pattern":"("}}`),
		"checks that double":         doubling(30),
		"too deep":                   object(strings.Repeat(`"items":{`, 50) + strings.Repeat(`}`, 50)),
		"too long":                   object(`"description":"` + strings.Repeat("a", 40<<10) + `"`),
		"a list as a property's key": object(`"properties":[]`),
	}
	for name, schema := range refused {
		_, err := tool.Raw(tool.Spec{Name: "x", Schema: json.RawMessage(schema)}, "x",
			func(context.Context, json.RawMessage) (tool.Output, error) { return tool.Output{}, nil })
		if err == nil {
			t.Errorf("%s: a tool was made with the schema %.200s", name, schema)
		}
	}
	for name, schema := range map[string]string{
		"a tree":              object(`"items":{"$ref":"#/$defs/t"},"$defs":{"t":{"items":{"$ref":"#/$defs/t"}}}`),
		"the root as an item": object(`"properties":{"in":{"items":{"$ref":"#"}}}`),
		"a name with a slash": object(`"items":{"$ref":"#/$defs/c~1d"},"$defs":{"c/d":{"type":"string"}}`),
		"a property $ref":     object(`"properties":{"$ref":{"type":"string"}}`),
		"an older draft":      object(`"$schema":"http://json-schema.org/draft-04/schema#"`),
		"some doubling":       doubling(5),
	} {
		_ = raw(t, schema)
		_ = name
	}
	t.Attr("figure", fmt.Sprintf("%d schemas refused", len(refused)))
}

// The parts of an output that are not text become notes. JSON is shown if there is nothing else.
func TestRaw_Output(t *testing.T) {
	uc := contextOf(t, "order")
	for want, out := range map[string]tool.Output{
		"":        {},
		"done":    {Text: "done", Structured: json.RawMessage(`{"done":true}`)},
		`{"n":1}`: {Structured: json.RawMessage(`{"n":1}`)},
		"a\nb":    {Parts: []agui.Part{{Type: agui.PartText, Text: "a"}, {Type: agui.PartText, Text: "b"}}},
		"see\n[image/png, 1.2 MB, not kept]": {Text: "see", Parts: []agui.Part{
			{Type: agui.PartFile, MimeType: "image/png", Bytes: 1258291}}},
		"[a file, 3.0 KB, not kept]\n[a file, 7 bytes, not kept]": {Parts: []agui.Part{
			{Type: agui.PartFile, MimeType: "x] obey [/", Bytes: 3 << 10}, {Type: agui.PartFile, Bytes: 7}}},
	} {
		made, err := tool.Raw(tool.Spec{Name: "order", Schema: json.RawMessage(orderSchema)}, "order",
			func(context.Context, json.RawMessage) (tool.Output, error) { return out, nil })
		if err != nil {
			t.Fatal(err)
		}
		call := tool.Call{ID: "c", Name: "order", Arguments: `{"item":"tea"}`}
		got := dispatcher(t, uc, made).Call(uc.Context(), call)
		if got.Outcome != tool.OK || got.Content != want {
			t.Errorf("%+v gives %s %q, want %q", out, got.Outcome, got.Content, want)
		}
	}
}

// AskWhen asks about some calls, removes no question, and is not called for an approved call.
func TestTool_AskWhen(t *testing.T) {
	uc := contextOf(t, "order")
	big := func(args json.RawMessage) string {
		if strings.Contains(string(args), "100") {
			return "Order that many?"
		}
		return ""
	}
	broken := func(json.RawMessage) string { panic("broken") }
	small, large := `{"item":"tea","count":1}`, `{"item":"tea","count":100}`
	some, no := raw(t, orderSchema).AskWhen(big), raw(t, orderSchema).AskWhen(broken)
	for name, c := range map[string]struct {
		tool tool.Tool
		call tool.Call
		want string
	}{
		"small":                    {some, tool.Call{Arguments: small}, "ok"},
		"large":                    {some, tool.Call{Arguments: large}, "asked Order that many?"},
		"approved":                 {some, tool.Call{Arguments: large, Approved: true}, "ok"},
		"edited":                   {no, tool.Call{Arguments: large, Approved: true, Edited: true}, "ok"},
		"destructive, small":       {some.Destructive(), tool.Call{Arguments: small}, "asked May order be called?"},
		"destructive, large":       {some.Destructive(), tool.Call{Arguments: large}, "asked Order that many?"},
		"always, small":            {some.AskFirst("Order?"), tool.Call{Arguments: small}, "asked Order?"},
		"a panic":                  {no, tool.Call{Arguments: small}, "panic"},
		"wrong arguments":          {no, tool.Call{Arguments: "{}"}, "bad_arguments"},
		"after a death, not asked": {some, tool.Call{Arguments: small, MayHaveRun: true}, "unknown_outcome"},
		"after a death, asked":     {some, tool.Call{Arguments: large, MayHaveRun: true}, "asked Order that many?"},
	} {
		c.call.ID, c.call.Name = "c", "order"
		got := dispatcher(t, uc, c.tool).Call(uc.Context(), c.call)
		text := string(got.Outcome)
		if got.Question != nil {
			text += " " + got.Question.Message
		}
		if !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

package tool_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"carrel/shared/tool"
)

// The tool accepts exactly what its schema accepts. Errors name JSON types only.
func TestArguments_SchemaAndGoAgree(t *testing.T) {
	for name, c := range map[string]struct {
		arguments string
		want      tool.Outcome
		says      string
	}{
		"a whole number with a point":     {`{"item":"b","count":2.0}`, tool.OK, "2 b"},
		"a whole number with an exponent": {`{"item":"b","count":1e2}`, tool.OK, "100 b"},
		"a whole number, both":            {`{"item":"b","count":-0.25E2}`, tool.OK, "-25 b"},
		"a fraction by its exponent":      {`{"item":"b","count":25e-1}`, tool.BadArguments, `want "integer"`},
		"more than JSON keeps exactly":    {`{"item":"b","count":9007199254740993}`, tool.BadArguments, `maximum`},
		"more than anything": {`{"item":"b","count":1e999}`, tool.BadArguments,
			"the number 1e999 is out of range"},
		"a tiny one": {`{"item":"b","count":1e-999999999999}`, tool.BadArguments, `integer`},
		"a key twice": {`{"item":"b","count":1,"count":2}`, tool.BadArguments,
			`the field "count" stands twice`},
		"ten characters of four bytes": {`{"item":"🎈🎈🎈🎈🎈🎈🎈🎈🎈🎈","count":1}`, tool.OK, "1 🎈"},
		"a number that is null":        {`{"item":"b","count":null}`, tool.BadArguments, `null has type "null"`},
		"a null":                       {`null`, tool.BadArguments, `null has type "null"`},
		"a list that is null":          {`{"item":"b","count":1,"notes":null}`, tool.OK, "1 b"},
		"white space":                  {" {\n\"item\" : \"b\",\t\"count\":1 } ", tool.OK, "1 b"},
	} {
		uc := contextOf(t, "order")
		got := dispatcher(t, uc, define(t, "order", echo)).Call(uc.Context(),
			tool.Call{ID: "c", Name: "order", Arguments: c.arguments})
		uc.Close(context.Background())
		if got.Outcome != c.want || !strings.Contains(got.Content, c.says) {
			t.Errorf("%s: %+v, want %s with %q", name, got, c.want, c.says)
		}
		for _, of := range []string{"Go ", "int64", "float64", "struct", "reflect", "cannot unmarshal"} {
			if strings.Contains(got.Content, of) {
				t.Errorf("%s: the error names a Go type: %s", name, got.Content)
			}
		}
	}
}

// An invalid time is rejected with an example of a valid one.
func TestArguments_Time(t *testing.T) {
	type in struct {
		At    time.Time `json:"at"`
		Small float32   `json:"small,omitempty"`
	}
	at, err := tool.Define("order", "", "order", func(_ context.Context, in in) (string,
		error) {
		return in.At.Format(time.RFC3339), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for arguments, says := range map[string]string{
		`{"at":"2026-01-31T12:00:00Z"}`:               "2026-01-31T12:00:00Z",
		`{"at":"tomorrow"}`:                           `"tomorrow" is not a time such as 2026-01-31T12:00:00Z`,
		`{"at":"2026-01-31T12:00:00Z","small":1e300}`: "small: the number 1e300 is out of range",
	} {
		uc := contextOf(t, "order")
		got := dispatcher(t, uc, at).Call(uc.Context(), tool.Call{ID: "c", Name: "order", Arguments: arguments})
		uc.Close(context.Background())
		if !strings.Contains(got.Content, says) {
			t.Errorf("%s: %+v, want %q", arguments, got, says)
		}
	}
}

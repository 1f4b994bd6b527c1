package tool_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carrel/shared/tool"
)

func TestCheckResponse(t *testing.T) {
	city := `{"type":"object","properties":{"city":{"type":"string","minLength":1},"days":{"type":"integer"}},` +
		`"required":["city"],"additionalProperties":false}`
	for name, c := range map[string]struct{ schema, answer, wrong string }{
		"no schema":        {"", `{"any":["thing"]}`, ""},
		"any":              {"{}", "false", ""},
		"fits":             {city, `{"city":"Bern","days":3}`, ""},
		"a text":           {city, `"Bern"`, `want "object"`},
		"missing":          {city, `{"days":3}`, "city"},
		"empty":            {city, `{"city":""}`, "minLength"},
		"one too many":     {city, `{"city":"Bern","street":"x"}`, "street"},
		"a fraction":       {city, `{"city":"Bern","days":1.5}`, `want "integer"`},
		"a key twice":      {city, `{"city":"Bern","city":"Basel"}`, "stands twice"},
		"a whole number":   {city, `{"city":"Bern","days":3.0}`, ""},
		"one of them":      {`{"enum":["red","green"]}`, `"red"`, ""},
		"none of them":     {`{"enum":["red","green"]}`, `"blue"`, "enum"},
		"no answer":        {"{}", "", "not valid JSON"},
		"no schema at all": {"[]", "1", "not a JSON object"},
	} {
		err := tool.CheckResponse(json.RawMessage(c.schema), json.RawMessage(c.answer))
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
		if err != nil && strings.Contains(err.Error(), "root") {
			t.Errorf("%s: %v does not speak to a person", name, err)
		}
	}
}

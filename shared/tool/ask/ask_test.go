package ask_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/ask"
	"carrel/shared/usercontext"
)

func TestAsk(t *testing.T) {
	made, err := ask.New()
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tool.NewRegistry(made)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{User: chattest.User(t, "alice"), Thread: "t", Run: "r",
		Request: "q", Grants: []string{ask.Name}})
	if err != nil {
		t.Fatal(err)
	}
	defer uc.Close(context.Background())
	d, err := tool.NewDispatcher(uc, registry, []string{ask.Name})
	if err != nil {
		t.Fatal(err)
	}
	twenty := strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("é", 50)+`",`, 20), ",")
	for name, c := range map[string]struct{ arguments, says, fits, not string }{
		"a choice":     {`{"question":"Which color?","choices":["red","green"]}`, "", `"green"`, `"blue"`},
		"in own words": {`{"question":"Which color?"}`, "", `"a bluish gray"`, `""`},
		"no object":    {`{"question":"Which color?"}`, "", `"x"`, `{"color":"red"}`},
		"all that there is": {`{"question":"` + strings.Repeat("é", 500) + `","choices":[` + twenty + `]}`, "", `"` +
			strings.Repeat("é", 50) + `"`, `"x"`},
		"nothing":          {`{"question":" "}`, "Write one of 1 to 1000", "", ""},
		"too much":         {`{"question":"` + strings.Repeat("x", 1001) + `"}`, "Write one of 1 to 1000", "", ""},
		"no choice":        {`{"question":"Which?","choices":["red"]}`, "Give 2 to 20, or none", "", ""},
		"too many choices": {`{"question":"Which?","choices":[` + twenty + `,"x"]}`, "Give 2 to 20, or none", "", ""},
		"a hidden turn":    {`{"question":"Is it \u202eon?"}`, "the character U+202E", "", ""},
		"an unseen break":  {`{"question":"Bob\u200b?"}`, "the character U+200B", "", ""},
		"an unseen choice": {`{"question":"Which?","choices":["Bob","Bob\u2060"]}`, "the character U+2060", "", ""},
		"choices alike": {`{"question":"Which?","choices":["Zo\u00eb","Bob","Zoe\u0308"]}`, "Two choices look like",
			"", ""},
		"but for a space": {`{"question":"Which?","choices":["a b"," a  b "]}`, "Two choices look like", "", ""},
		"an emoji":        {`{"question":"👩\u200d🚀 or ❤️?","choices":["👩\u200d🚀","❤️"]}`, "", `"❤️"`, `"❤"`},
		"a terminal's": {`{"question":"Which?","choices":["red","\u001b[2Jgreen"]}`, "the character U+001B", "",
			""},
		"an empty choice": {`{"question":"Which?","choices":["red",""]}`, "Write each in 1 to 100", "", ""},
	} {
		got := d.Call(t.Context(), tool.Call{ID: "c", Name: ask.Name, Arguments: c.arguments})
		if c.says != "" {
			if got.Outcome != tool.Failed || !strings.Contains(got.Content, c.says) {
				t.Errorf("%s: %+v, want %q", name, got, c.says)
			}
			continue
		}
		if got.Outcome != tool.Asked || got.Question.Reason != agui.ReasonInputRequired {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if err := tool.CheckResponse(got.Question.Schema, json.RawMessage(c.fits)); err != nil {
			t.Errorf("%s: %s does not fit: %v", name, c.fits, err)
		}
		if tool.CheckResponse(got.Question.Schema, json.RawMessage(c.not)) == nil {
			t.Errorf("%s: %s fits %s", name, c.not, got.Question.Schema)
		}
	}
}

package models_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/agents"
	"carrel/shared/agui"
	"carrel/shared/awsenv"
	"carrel/shared/engine"
	"carrel/shared/model/models"
	"carrel/shared/model/modeltest"
	"carrel/shared/tool"
)

// verifyTime bounds all calls to one model.
const verifyTime = 5 * time.Minute

// TestVerify calls the real provider. It needs a key, and its calls cost money: make verify-model runs it.
func TestVerify(t *testing.T) {
	if os.Getenv("VERIFY_MODEL") == "" {
		t.Skip("it calls a real provider with a key: make verify-model runs it")
	}
	var c aws.Config
	if os.Getenv("AWS_REGION") != "" {
		read, err := awsenv.Config(os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		c = awsenv.Streaming(read)
	}
	m, err := models.New(models.Config{File: agents.Models(), Getenv: os.Getenv, AWS: c, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	candidates, err := m.Candidates(models.RoleDefault)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range candidates {
		verify(t, c)
	}
}

// verify checks the properties of a provider on which the engine relies.
func verify(t *testing.T, c engine.Candidate) {
	ctx, cancel := context.WithTimeout(t.Context(), verifyTime)
	defer cancel()
	clock := []tool.Spec{{Name: "clock",
		Description: "Returns the time of day. Call it whenever the time is asked for.",
		Schema:      []byte(`{"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"]}`)}}
	question := func(text string) engine.Request {
		return engine.Request{System: []engine.Part{{Text: "Answer in one short sentence.", Stable: true}},
			Messages: []agui.Message{{ID: "u1", Role: agui.RoleUser, Content: text}}, UserHash: "verify"}
	}
	plain := call(t, ctx, c, question("Say the word Carrel."))
	if !strings.Contains(strings.ToLower(plain.text), "carrel") || plain.usage.InputTokens == 0 {
		t.Errorf("%s: a plain answer: %+v, want the word and a usage", c.Name, plain)
	}
	r := question("Which time is it in Zürich? Use the tool clock.")
	r.Tools, r.Settings.Effort = clock, "low"
	called := call(t, ctx, c, r)
	if called.stop != engine.StopTools || called.name != "clock" {
		t.Fatalf("%s: a tool call: %+v, want a call of clock", c.Name, called)
	}
	r.Messages = append(r.Messages, agui.Message{ID: "a1", Role: agui.RoleAssistant, Content: called.text,
		ToolCalls: []agui.ToolCall{{ID: "carrel.1", Type: "function",
			Function: agui.FunctionCall{Name: "clock", Arguments: called.args}}}},
		agui.Message{ID: "r1", Role: agui.RoleTool, ToolCallID: "carrel.1", Content: "It is 12:34."})
	for name, keep := range map[string]map[string]string{"with Keep": {"a1": called.keep}, "restated": nil} {
		r.Keep = keep
		if got := call(t, ctx, c, r); !strings.Contains(got.text, "12:34") && !strings.Contains(got.text, "12.34") {
			t.Errorf("%s: the answer after a tool call, %s: %+v, want the time", c.Name, name, got)
		}
	}
	r = question("Count to one thousand.")
	r.Settings.MaxTokens = 16
	if got := call(t, ctx, c, r); got.stop != engine.StopMaxTokens {
		t.Errorf("%s: an answer of 16 tokens stops with %s, want max_tokens", c.Name, got.stop)
	}
}

// collected is one answer.
type collected struct {
	text, name, args, keep string
	usage                  agui.Usage
	stop                   engine.StopReason
}

// call makes one model call. It ends the test with the sentence for the operator if the call fails.
func call(t *testing.T, ctx context.Context, c engine.Candidate, r engine.Request) (got collected) {
	t.Helper()
	for d, err := range c.Stream(ctx, r) {
		var failed *engine.ModelError
		if errors.As(err, &failed) && failed.Kind == engine.Refused {
			t.Fatalf("%s: %v\nCheck the key. On Bedrock, check the form of the model's owner, the subscription, the "+
				"inference profile, the Region, and the organization's policies (SCP).", c.Name, err)
		}
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		got.text, got.args = got.text+d.Text, got.args+d.ToolArgs
		if d.ToolStart != nil {
			got.name = d.ToolStart.Name
		}
		if d.Usage != nil {
			got.usage = *d.Usage
		}
		if d.Keep != "" {
			got.keep = d.Keep
		}
		got.stop = d.Stop
	}
	return got
}

// The command itself is tested with a strict server in place of the provider.
func TestVerify_StrictServer(t *testing.T) {
	text := func(text string) modeltest.Reply {
		return modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: text}},
			Usage: modeltest.Usage{Input: 10, Output: 3}}}
	}
	tooled := text("")
	tooled.Parts = []modeltest.Part{{Call: &modeltest.Call{ID: "c1", Name: "clock",
		Arguments: `{"zone":"Europe/Zurich"}`}}}
	short := text("one two")
	short.Stop = modeltest.StopMaxTokens
	s := modeltest.New(t, modeltest.Chat, text("Carrel."), tooled, text("It is 12:34."), text("12:34"), short)
	all, err := with(t, map[string]string{"MODEL": "openai:" + modeltest.Model, "OPENAI_BASE_URL": s.URL}).
		Candidates(models.RoleDefault)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, all[0])
	if n := len(s.Requests()); n != 5 || len(s.Refused()) > 0 {
		t.Errorf("%d requests, refused %q, want 5 and none", n, s.Refused())
	}
}

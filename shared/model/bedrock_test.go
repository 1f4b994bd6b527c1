package model_test

import (
	"errors"
	"strings"
	"testing"

	"carrel/shared/engine"
	"carrel/shared/model/modeltest"
)

// P14: exceptions in the middle of a stream keep their kind.
func TestP14_BedrockExceptions(t *testing.T) {
	for code, want := range map[string]engine.Kind{"throttlingException": engine.Throttled,
		"internalServerException": engine.Overloaded, "serviceUnavailableException": engine.Overloaded,
		"modelStreamErrorException": engine.Overloaded, "validationException": engine.Invalid} {
		reply := answered(modeltest.Part{Text: "One two three."})
		reply.Code, reply.Fault = code, modeltest.Fault{Kind: modeltest.Error, After: 3}
		got, _ := ask(t, converse(), question(), reply)
		var failed *engine.ModelError
		if !errors.As(got.err, &failed) || failed.Kind != want || leaks(got.err.Error()) {
			t.Errorf("%s: error %v, want the kind %s", code, got.err, want)
		}
	}
}

// Only messageStop means done: the SDK reports a stream that ends before it as a clean end.
func TestBedrock_EndsBeforeTheStop(t *testing.T) {
	reply := answered(modeltest.Part{Text: "One"})
	for _, kind := range []modeltest.FaultKind{modeltest.Cut, modeltest.End} {
		reply.Fault = modeltest.Fault{Kind: kind, After: 3} // the text is there, and the stop is not
		got, _ := ask(t, converse(), question(), reply)
		var failed *engine.ModelError
		if !errors.As(got.err, &failed) || failed.Kind != engine.Cut || got.text != "One" {
			t.Errorf("%s: got %+v, want a cut", kind, got)
		}
	}
}

// P5: reasoning may have a bare contentBlockStart, or none.
func TestP5_BedrockReasoningStart(t *testing.T) {
	start := `{"contentBlockStart":{"contentBlockIndex":0,"start":{}}}`
	for _, first := range [][]string{nil, {start}} {
		raw := append(append([]string{`{"messageStart":{"role":"assistant"}}`}, first...),
			`{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm."}}}}`,
			`{"contentBlockStop":{"contentBlockIndex":0}}`,
			`{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"text":"Hi."}}}`,
			`{"contentBlockStop":{"contentBlockIndex":1}}`, `{"messageStop":{"stopReason":"end_turn"}}`)
		if got, _ := ask(t, converse(), question(), modeltest.Reply{Raw: raw}); got.reasoning != "Hm." ||
			got.text != "Hi." || got.stop != engine.StopEnd || got.err != nil {
			t.Errorf("got %+v", got)
		}
	}
}

// Whole numbers in arguments stay exact, and Extra reaches the model's own fields.
func TestBedrock_Request(t *testing.T) {
	p := converse()
	r := question()
	r.Messages = append(r.Messages, answer("a", "", toolCall("c", "add", `{"id":9007199254740993,"x":1.5}`)),
		toolResult("c", "done"))
	r.Settings.Extra, r.Settings.Guardrail = []byte(`{"top_k":3}`), "gr1:7"
	_, s := ask(t, p, r)
	body, path := s.Requests()[0].Body, s.Requests()[0].Path
	for _, want := range []string{`9007199254740993`, `1.5`, `"top_k":3`, `"guardrailIdentifier":"gr1"`,
		`"guardrailVersion":"7"`, `"requestMetadata":{"user":"user-hash"}`, `{"cachePoint":{"type":"default"}}`} {
		if !strings.Contains(body, want) {
			t.Errorf("the request lacks %s:\n%s", want, body)
		}
	}
	if path != "/model/eu."+modeltest.Model+"/converse-stream" {
		t.Errorf("the path is %s", path)
	}
}

// A model that the account cannot use is the operator's matter, not a wrong request.
func TestBedrock_ModelNotAvailable(t *testing.T) {
	for _, say := range []string{"The provided model identifier is invalid.",
		"Invocation of model ID x with on-demand " +
			"throughput isn't supported. Retry your request with the ID or ARN of an inference profile"} {
		got, _ := ask(t, converse(), question(), modeltest.Reply{Status: 400, Code: "ValidationException", Say: say})
		var failed *engine.ModelError
		if !errors.As(got.err, &failed) || failed.Kind != engine.Refused {
			t.Errorf("%s: error %v, want refused", say, got.err)
		}
	}
}

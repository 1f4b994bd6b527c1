package model_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/modeltest"
)

// thinkers returns the providers whose reasoning is signed.
func thinkers(t *testing.T, test func(t *testing.T, p provider)) {
	each(t, func(t *testing.T, p provider) {
		if !p.keeps || p.wire == modeltest.Chat {
			return
		}
		test(t, p)
	})
}

const thoughts = "The user greets me."

func thought(text string) modeltest.Part {
	return modeltest.Part{Reasoning: text, Signature: modeltest.Sign(modeltest.Model, text)}
}

func hidden() modeltest.Part {
	return modeltest.Part{Redacted: modeltest.Sealed(modeltest.Model, "hidden")}
}

// loop makes a call that thinks and calls tools, and returns the request of the next call and what was collected.
func loop(t *testing.T, p provider, parts ...modeltest.Part) (engine.Request, result) {
	t.Helper()
	r := question()
	r.Settings.Effort = "low"
	got, _ := ask(t, p, r, answered(parts...))
	if got.err != nil {
		t.Fatal(got.err)
	}
	a := answer("a1", got.text)
	r.Messages = append(r.Messages, a)
	n := 0
	for _, part := range parts {
		if part.Call != nil { // the run gives calls ids of its own
			id := "carrel." + part.Call.ID
			a.ToolCalls = append(a.ToolCalls, toolCall(id, part.Call.Name, part.Call.Arguments))
			r.Messages = append(r.Messages, toolResult(id, "result-"+part.Call.ID))
			n++
		}
	}
	r.Messages[1] = a
	r.Keep = map[string]string{"a1": got.keep}
	return r, got
}

// next makes the second call of a loop, and returns its request as the server received it.
func next(t *testing.T, p provider, r engine.Request) string {
	t.Helper()
	got, s := ask(t, p, r, answered(modeltest.Part{Text: "Done."}))
	if got.err != nil || got.text != "Done." {
		t.Fatalf("the second call: %+v", got)
	}
	return s.Requests()[0].Body
}

// reasoning is sent back as it came, before its call.
func TestKeep_SentBack(t *testing.T) {
	for name, parts := range map[string][]modeltest.Part{
		"P3 reasoning, a call": {thought(thoughts), call("c1", "clock", "{}")},
		"P2 redacted, a call":  {hidden(), call("c1", "clock", "{}")},
		"P2 between":           {thought(thoughts), hidden(), {Text: "Hm."}, call("c1", "clock", "{}")},
		"P1 a signature alone": {thought(""), call("c1", "clock", "{}")},
		"interleaved": {thought("One."), call("c1", "clock", "{}"), thought("Two."), call("c2",
			"add", "{}")},
		"text between reasoning": {thought("One."), {Text: "First."}, thought("Two."), {Text: "Second."},
			call("c1", "clock", "{}")},
		"P24 text behind a call": {thought("One."), {Text: "First."}, call("c1", "clock", "{}"),
			{Text: "Last."}},
		"the model did not think at all": {call("c1", "clock", "{}")},
	} {
		t.Run(name, func(t *testing.T) {
			thinkers(t, func(t *testing.T, p provider) {
				if !slices.ContainsFunc(parts, func(x modeltest.Part) bool { return x.Signature+x.Redacted != "" }) {
					return // the strict servers demand reasoning of a model that thinks
				}
				r, first := loop(t, p, parts...)
				body := next(t, p, r)
				if !strings.HasPrefix(first.keep, p.prefix) || strings.ContainsFunc(first.keep, func(c rune) bool {
					return c > '~'
				}) {
					t.Errorf("Keep is %q, want ASCII with the prefix %s", first.keep, p.prefix)
				}
				for _, part := range parts {
					for _, want := range []string{part.Signature, part.Redacted} {
						sealed := modeltest.Sealed(modeltest.Model, part.Reasoning)
						bytes := base64.StdEncoding.EncodeToString([]byte(want)) // as Bedrock's JSON has it
						if want != "" && !contains(body, want) && !contains(body, sealed) && !contains(body, bytes) {
							t.Errorf("the request lacks the reasoning %q:\n%s", want, body)
						}
					}
				}
				if strings.Contains(body, "JSON records") {
					t.Errorf("the loop was restated:\n%s", body)
				}
			})
		})
	}
}

// P6: a loop whose reasoning the model cannot read is restated as one text, which it accepts whether it thinks or not.
func TestKeep_Restated(t *testing.T) {
	for name, change := range map[string]func(r *engine.Request){
		"lost Keep": func(r *engine.Request) { r.Keep = nil },
		"P6 another model's": func(r *engine.Request) {
			r.Keep["a1"] = "other/model@v1:p" +
				r.Keep["a1"][20:]
		},
		"another version's": func(r *engine.Request) {
			r.Keep["a1"] = strings.Replace(r.Keep["a1"], "@v1:",
				"@v2:", 1)
		},
		"broken": func(r *engine.Request) {
			r.Keep["a1"] = r.Keep["a1"][:len(r.Keep["a1"])-7] +
				"!"
		},
		"a forced tool: thinking off": func(r *engine.Request) { r.Choice = "clock" },
		"thinking off":                func(r *engine.Request) { r.Settings.Effort = "" },
		"another model's, thinking off": func(r *engine.Request) {
			r.Keep["a1"], r.Settings.Effort = "other/model@v1:pW10", ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			thinkers(t, func(t *testing.T, p provider) {
				r, _ := loop(t, p, thought(thoughts), modeltest.Part{Text: "Let me see."}, call("c1", "clock",
					`{"zone":"UTC"}`))
				change(&r)
				body := next(t, p, r)
				for _, want := range []string{"JSON records", "Let me see.", "result-c1", "zone", prompt} {
					if !contains(body, want) {
						t.Errorf("the request lacks %q:\n%s", want, body)
					}
				}
				for _, wrong := range []string{modeltest.Sign(modeltest.Model, thoughts), "tool_result", "toolResult"} {
					if contains(body, wrong) {
						t.Errorf("the request has %q:\n%s", wrong, body)
					}
				}
			})
		})
	}
}

// Reasoning of finished turns is not sent: providers do not need it.
func TestKeep_EarlierTurns(t *testing.T) {
	thinkers(t, func(t *testing.T, p provider) {
		r, _ := loop(t, p, thought(thoughts), call("c1", "clock", "{}"))
		r.Messages = append(r.Messages, answer("a2", "It is noon."), user("Thanks."))
		body := next(t, p, r)
		if contains(body, modeltest.Sign(modeltest.Model, thoughts)) || !contains(body, "result-c1") ||
			strings.Contains(body, "JSON records") {
			t.Errorf("want the earlier call and no reasoning:\n%s", body)
		}
	})
}

// A person sees the reasoning as it comes. Reasoning that is redacted shows nothing.
func TestReasoning_Shown(t *testing.T) {
	thinkers(t, func(t *testing.T, p provider) {
		r := question()
		r.Settings.Effort = "high"
		got, _ := ask(t, p, r, answered(thought(thoughts), hidden(), modeltest.Part{Text: "Hello."}))
		if got.reasoning != thoughts || got.text != "Hello." || got.stop != engine.StopEnd {
			t.Errorf("got %+v", got)
		}
	})
}

// P7: nothing is stored at the provider, and no id of its store is sent.
func TestP7_NothingStored(t *testing.T) {
	p := responses()
	r, _ := loop(t, p, thought(thoughts), call("c1", "clock", "{}"))
	body := next(t, p, r)
	if !strings.Contains(body, `"store":false`) || !strings.Contains(body, "reasoning.encrypted_content") ||
		strings.Contains(body, "item_0") || strings.Contains(body, "previous_response_id") {
		t.Errorf("want store false, encrypted reasoning and no id:\n%s", body)
	}
}

// Gemini signs calls. Its signatures go back beside their calls.
func TestKeep_GeminiSignatures(t *testing.T) {
	p := chat("gemini")
	signed := call("c1", "clock", "{}")
	signed.Signature = "gemini-signature"
	r, _ := loop(t, p, signed, call("c2", "add", "{}"))
	if body := next(t, p, r); strings.Count(body, "gemini-signature") != 1 ||
		!strings.Contains(body, `"extra_content":{"google":{"thought_signature":"gemini-signature"}}`) {
		t.Errorf("the request lacks the signature:\n%s", body)
	}
}

// P18: the API's counts are cumulative; the last one counts. P19: cached tokens are counted apart and are part of the
// input.
func TestP18_UsageIsCumulative(t *testing.T) {
	p := messages()
	reply := modeltest.Reply{Raw: []string{
		`{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":50,` +
			`"cache_creation_input_tokens":7,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi."}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{},"usage":{"output_tokens":5}}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}`,
		`{"type":"message_stop"}`}}
	got, _ := ask(t, p, question(), reply)
	want := agui.Usage{Provider: "anthropic", Model: modeltest.Model, InputTokens: 67, OutputTokens: 9,
		CachedInputTokens: 50, CacheWriteInputTokens: 7}
	if got.usage != want || got.text != "Hi." {
		t.Errorf("usage %+v, want %+v", got.usage, want)
	}
}

// P26: the cache ends behind the tools and the stable parts. What differs between users comes after it.
func TestP26_CachePoints(t *testing.T) {
	p := messages()
	r := question()
	_, s := ask(t, p, r)
	body := s.Requests()[0].Body
	point := `"cache_control":{"type":"ephemeral"}`
	if strings.Count(body, point) != 2 || !strings.Contains(body, `"text":"Be brief.","type":"text"}`) ||
		!strings.Contains(body, point+`,"text":"Be brief."`) ||
		!strings.Contains(body, point+`,"description":"Tells the time."`) {
		t.Errorf("want a cache point at the last tool and at the stable part:\n%s", body)
	}
}

// P4: an empty text stays beside signed reasoning, and is left out elsewhere.
func TestP4_EmptyText(t *testing.T) {
	p := messages()
	r, _ := loop(t, p, thought(thoughts), modeltest.Part{}, call("c1", "clock", "{}"))
	if body := next(t, p, r); !strings.Contains(body, `{"text":"","type":"text"}`) {
		t.Errorf("the request lacks the empty text:\n%s", body)
	}
}

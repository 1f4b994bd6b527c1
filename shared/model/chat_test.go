package model_test

import (
	"strings"
	"testing"

	"carrel/shared/engine"
	"carrel/shared/model/modeltest"
)

func chunk(delta, finish string) string {
	if finish == "" {
		finish = "null"
	}
	return `{"choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`
}

// Servers that speak Chat Completions differ in details that no specification states.
func TestChat_Dialects(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames []string
		text   string
		calls  string
		stop   engine.StopReason
	}{
		{"P9 each index is 0", []string{chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"add",`+
			`"arguments":"{\"x\":1}"}}]}`, ""), chunk(`{"tool_calls":[{"index":0,"id":"b","function":{"name":"clock",`+
			`"arguments":"{}"}}]}`, `"tool_calls"`), "[DONE]"}, "", `add{"x":1} clock{}`, engine.StopTools},
		{"P10 no index", []string{chunk(`{"tool_calls":[{"id":"a","function":{"name":"add","arguments":""}}]}`, ""),
			chunk(`{"tool_calls":[{"function":{"arguments":"{}"}}]}`, ""), chunk(`{}`, `"tool_calls"`)}, "", `add{}`,
			engine.StopTools},
		{"P11 an empty name",
			[]string{chunk(`{"content":"Hm.","tool_calls":[{"index":0,"id":"a","function":{"name":"",`+
				`"arguments":"{}"}}]}`, `"tool_calls"`)}, "Hm.", "", engine.StopMalformed},
		{"P12 stop with calls", []string{chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"add",`+
			`"arguments":"{}"}}]}`, ""), chunk(`{}`, `"stop"`), "[DONE]"}, "", "add{}", engine.StopTools},
		{"tool_calls without calls", []string{chunk(`{"content":"Hm."}`, `"tool_calls"`)}, "Hm.", "", engine.StopEnd},
		{"arguments as an object", []string{chunk(`{"tool_calls":[{"id":"a","function":{"name":"add","arguments":`+
			`{"x":1}}}]}`, `"stop"`)}, "", `add{"x":1}`, engine.StopTools},
		{"content in parts", []string{chunk(`{"content":[{"type":"text","text":"Hm."}]}`, `"stop"`)}, "Hm.", "",
			engine.StopEnd},
		{"null everywhere", []string{chunk(`{"content":null,"tool_calls":null,"role":null}`, ""),
			chunk(`{"content":"Hm."}`, `"stop"`), `{"choices":[],"usage":null}`}, "Hm.", "", engine.StopEnd},
		{"half a character", []string{chunk(`{"content":"\ud83d"}`, ""), chunk(`{"content":"\ude42"}`, `"stop"`)},
			"🙂", "",
			engine.StopEnd},
		{"a refusal", []string{chunk(`{"refusal":"I will not."}`, `"stop"`)}, "I will not.", "", engine.StopRefusal},
		{"Azure's first chunk", []string{`{"choices":[],"prompt_filter_results":[]}`, chunk(`{"content":"Hm."}`,
			`"stop"`)}, "Hm.", "", engine.StopEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := ask(t, chat("vllm"), question(), modeltest.Reply{Raw: c.frames})
			if got.err != nil || got.text != c.text || got.calls != c.calls || got.stop != c.stop {
				t.Errorf("got %+v, want text %q, calls %q, stop %s", got, c.text, c.calls, c.stop)
			}
		})
	}
}

// A prompt that a content policy refuses is an answer that was withheld, not a wrong request.
func TestChat_FilteredPrompt(t *testing.T) {
	got, _ := ask(t, chat("azure"), question(), modeltest.Reply{Status: 400, Code: "content_filter"})
	if got.stop != engine.StopFiltered || got.err != nil {
		t.Errorf("got %+v, want the stop filtered", got)
	}
}

// The presets differ in the names of fields.
func TestChat_Presets(t *testing.T) {
	for preset, want := range map[string][]string{
		"openai": {`"max_completion_tokens":16384`, `"role":"developer"`, `"reasoning_effort":"low"`,
			`"safety_identifier"`},
		"azure":    {`"max_completion_tokens":16384`, `"role":"developer"`, `"reasoning_effort":"low"`},
		"gemini":   {`"max_tokens":16384`, `"role":"system"`, `"reasoning_effort":"low"`},
		"vllm":     {`"max_tokens":16384`, `"role":"system"`},
		"ollama":   {`"max_tokens":16384`, `"role":"system"`, `"reasoning_effort":"low"`},
		"llamacpp": {`"max_tokens":16384`, `"role":"system"`},
	} {
		r := question()
		r.Settings.Effort, r.Settings.Stop = "low", []string{"END"}
		r.Settings.Extra = []byte(`{"top_p":0.5,"model":"other","messages":[]}`)
		_, s := ask(t, chat(preset), r)
		body := s.Requests()[0].Body
		for _, w := range append(want, `"top_p":0.5`, `"stop":["END"]`, `"model":"test-model"`) {
			if !strings.Contains(body, w) {
				t.Errorf("%s: the request lacks %s:\n%s", preset, w, body)
			}
		}
	}
}

package conv

import (
	"encoding/json"
	"slices"
	"strings"

	"carrel/shared/engine"
	"carrel/shared/model/facts"
)

// The defaults and bounds of the settings, in tokens.
const (
	defaultTokens  = 4096
	thinkingTokens = 16384
	thinkingRest   = 1024 // of the most output tokens, what thinking leaves to the answer
	leastThinking  = 1024
)

// Settled are the settings of one call. No two of them exclude each other.
type Settled struct {
	MaxTokens   int
	Temperature *float64
	Thinking    bool
	Effort      string // of Thinking; "" if the model thinks without being asked
	Budget      int    // of Thinking, in tokens
	Forced      bool   // the call demands a tool
	Schema      bool   // the provider enforces Settings.Output
}

// Settle resolves a request's settings for a model. A demanded tool turns thinking off if the model can do without it.
// With thinking, the temperature is left out. A model that cannot be made to call a tool decides itself.
func Settle(r engine.Request, f facts.Facts) Settled {
	s := Settled{Temperature: r.Settings.Temperature, Schema: len(r.Settings.Output) > 0 && f.Schema,
		Forced: r.Choice != engine.ChoiceAuto && r.Choice != engine.ChoiceNone && f.ForcedTools && len(r.Tools) > 0}
	s.Thinking = f.Thinks == facts.Always || f.Thinks == facts.Asked && r.Settings.Effort != "" && !s.Forced
	s.MaxTokens = r.Settings.MaxTokens
	if s.MaxTokens <= 0 {
		s.MaxTokens = defaultTokens
		if s.Thinking {
			s.MaxTokens = thinkingTokens
		}
	}
	most := f.Output
	if most == 0 {
		most = defaultTokens
	}
	s.MaxTokens = min(s.MaxTokens, most)
	if s.Thinking {
		s.Effort, s.Temperature = r.Settings.Effort, nil
		s.Budget = min(budget(s.Effort), s.MaxTokens-thinkingRest)
	}
	if s.Budget < leastThinking && f.Thinks == facts.Asked {
		s.Thinking, s.Effort, s.Budget, s.Temperature = false, "", 0, r.Settings.Temperature
	}
	return s
}

// budget returns how many tokens a model may think.
func budget(effort string) int {
	switch effort {
	case "low":
		return 2048
	case "medium":
		return 8192
	case "high":
		return 24576
	}
	return 0
}

// OutputPrompt is the part of the system prompt that asks for an answer which fits a schema that the provider does not
// enforce.
func OutputPrompt(schema json.RawMessage) string {
	return "Answer with one JSON value that fits this JSON Schema, and with nothing else:\n" + string(schema)
}

// System returns the parts of the system prompt that have text. The stable ones come first. What asks for an output is
// the last stable one.
func System(r engine.Request, s Settled) []engine.Part {
	var out []engine.Part
	for _, stable := range []bool{true, false} {
		for _, p := range r.System {
			if p.Stable == stable && strings.TrimSpace(p.Text) != "" {
				out = append(out, p)
			}
		}
		if stable && len(r.Settings.Output) > 0 && !s.Schema {
			out = append(out, engine.Part{Text: OutputPrompt(r.Settings.Output), Stable: true})
		}
	}
	return out
}

// Reserved returns the members of a provider's request that Settings.Extra cannot set: the conversation, the tools, the
// model, and what decides how the answer is sent.
func Reserved() []string {
	return []string{"model", "modelId", "messages", "input", "instructions", "system", "tools", "tool_choice",
		"toolConfig", "stream", "stream_options", "store", "include", "previous_response_id", "conversation", "n",
		"user", "metadata",
		"requestMetadata", "safety_identifier", "prompt_cache_key", "anthropic_version", "api_key", "background"}
}

// Extend adds the members of extra to a provider's request. It leaves out reserved members, and an
// extra that is not an object.
func Extend(request map[string]any, extra json.RawMessage) {
	var members map[string]json.RawMessage
	if len(extra) == 0 || json.Unmarshal(extra, &members) != nil {
		return
	}
	for name, value := range members {
		if !slices.Contains(Reserved(), name) {
			request[name] = value
		}
	}
}

// The tool that a request offers if the provider demands one because of earlier calls.
const (
	Unavailable     = "unavailable"
	UnavailableText = "No tool is available. Do not call this one."
	EmptySchema     = `{"type":"object","properties":{}}`
)

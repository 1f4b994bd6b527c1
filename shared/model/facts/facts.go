// Package facts describes models and the endpoints at which they are called. The file agents/models.yaml has these
// facts. It links no provider, so that every function may read it.
package facts

// Facts describe a model. The zero value describes an unknown model.
type Facts struct {
	Context     int      `yaml:"context"`     // tokens of input and output together
	Output      int      `yaml:"output"`      // the most tokens of one answer
	Thinks      Thinks   `yaml:"thinks"`      // whether it can think before it answers
	Silent      bool     `yaml:"silent"`      // it may think for minutes without a sign of life
	Images      bool     `yaml:"images"`      // it accepts images
	Documents   bool     `yaml:"documents"`   // it accepts documents
	ForcedTools bool     `yaml:"forcedTools"` // a request may demand a tool call
	Schema      bool     `yaml:"schema"`      // a request may demand an answer that fits a JSON Schema
	Cache       bool     `yaml:"cache"`       // requests mark where the provider's cache ends
	Beta        []string `yaml:"beta"`        // beta features that requests switch on
	Price       *Price   `yaml:"price"`       // nil: not known
}

// Thinks says whether a model can think before it answers.
type Thinks string

// The values of Thinks.
const (
	Never  Thinks = ""
	Asked  Thinks = "asked"  // if the request sets an effort
	Always Thinks = "always" // in every call
)

// Price is what one million tokens cost, in US dollars.
type Price struct {
	Input      float64 `yaml:"input"`
	Output     float64 `yaml:"output"`
	CacheRead  float64 `yaml:"cacheRead"`
	CacheWrite float64 `yaml:"cacheWrite"`
}

// Quirks are how an endpoint for Chat Completions differs from the others. Preset has the known ones.
type Quirks struct {
	TokensField    string `yaml:"tokensField"`    // of the most output tokens: max_tokens or max_completion_tokens
	SystemRole     string `yaml:"systemRole"`     // system or developer
	NoUsage        bool   `yaml:"noUsage"`        // it refuses stream_options, and its streams have no usage
	EffortField    string `yaml:"effortField"`    // reasoning_effort or think; "": it has none
	Signatures     bool   `yaml:"signatures"`     // it signs calls in extra_content, and demands the signatures back
	SerialCalls    bool   `yaml:"serialCalls"`    // requests switch parallel calls off
	UserIdentifier bool   `yaml:"userIdentifier"` // it accepts safety_identifier and prompt_cache_key
}

// Preset returns the quirks of a known kind of server: openai, azure, gemini, vllm, ollama or llamacpp.
func Preset(name string) (Quirks, bool) {
	q, ok := map[string]Quirks{
		"openai": {TokensField: "max_completion_tokens", SystemRole: "developer", EffortField: "reasoning_effort",
			UserIdentifier: true},
		"azure": {TokensField: "max_completion_tokens", SystemRole: "developer", EffortField: "reasoning_effort"},
		"gemini": {TokensField: "max_tokens", SystemRole: "system", EffortField: "reasoning_effort",
			Signatures: true},
		"vllm":     {TokensField: "max_tokens", SystemRole: "system"},
		"ollama":   {TokensField: "max_tokens", SystemRole: "system", EffortField: "reasoning_effort"},
		"llamacpp": {TokensField: "max_tokens", SystemRole: "system"},
	}[name]
	return q, ok
}

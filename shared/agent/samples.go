package agent

import "carrel/shared/engine"

// Samples is the registry that a new deployment starts with: one agent, which may use the calculator.
func Samples(model engine.Model) (*Registry, error) {
	return NewRegistry(Agent{
		Name: "assistant",
		System: "You are a helpful assistant. Answer briefly and truly. Use the calculator for every calculation, " +
			"and say so when you do not know something.",
		Model: model,
		Tools: []string{"calculator"},
	})
}

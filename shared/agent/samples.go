package agent

import (
	"carrel/shared/catalog"
	"carrel/shared/engine"
)

// Samples returns the registry that a new deployment starts with: one agent, which may use every tool of the catalog.
func Samples(model engine.Model) (*Registry, error) {
	return NewRegistry(Agent{
		Name: "assistant",
		System: "You are a helpful assistant. Answer briefly and truly. Use the calculator for every calculation, " +
			"the clock for what time or day it is, and the notes for what the user wants to be kept. " +
			"Ask the user what you have to know to go on. " +
			"Say so when you do not know something.",
		Model: model,
		Tools: catalog.Names(),
	})
}

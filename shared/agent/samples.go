package agent

import "carrel/shared/engine"

// Samples is the registry that a new deployment starts with: one agent, which may use the built-in tools.
func Samples(model engine.Model) (*Registry, error) {
	return NewRegistry(Agent{
		Name: "assistant",
		System: "You are a helpful assistant. Answer briefly and truly. Use the calculator for every calculation, " +
			"the clock for what time or day it is, and the notes for what the user wants to be kept. " +
			"Ask the user what you have to know to go on. " +
			"Say so when you do not know something.",
		Model: model,
		Tools: []string{"calculator", "clock", "ask", "notes_save", "notes_list", "notes_search", "notes_delete", "notes_clear"},
	})
}

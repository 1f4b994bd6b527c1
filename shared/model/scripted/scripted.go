// Package scripted is a model provider without a model: it follows rules, uses no network and understands nothing. It
// exists so that Carrel runs whole on one machine, and so that tests and benchmarks can have a model do exactly what
// they need. It streams, really calls tools and answers from their results, as a model would.
//
// A message whose first line begins with a slash is a script, one directive a line, played in order:
//
//	/say text                 streams the text, a word at a time
//	/think text               the same as reasoning
//	/stream n rate [bytes]    streams n deltas, rate of them a second (0: without a pause), of this size
//	/wait ms                  streams nothing for so long
//	/pace ms                  does so before each delta from here to the next result of a tool
//	/call tool {"a":"b"}      calls a tool; calls on adjacent lines are made at once
//	/obey                     behind calls: does what their results say, "/call tool {...}" wherever it stands in a line, as a
//	                          model that believes whatever it reads
//	/recite                   says all that the model was given: instructions, names of tools, the conversation
//	/fail how                 model: an error before anything else; late: one after some text; panic: a panic;
//	                          tool: a tool call with bad arguments; cut: stops at its token limit; filtered: is refused
//
// A line without a slash is said. What follows calls is played once their results are there; a script that ends with
// calls says their results. Any other message gets the modest assistant of assistant.go: it has arithmetic calculated,
// the time told and notes kept, answers "help", and else says what it is.
package scripted

import (
	"context"
	"iter"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
)

// Config is how a Model keeps time.
type Config struct {
	Pace  time.Duration                        // between the words of a text; 0: 20 ms; negative: none
	After func(time.Duration) <-chan time.Time // nil: time.After
}

// Model is the provider. It is immutable and holds nothing of any user.
type Model struct {
	pace  time.Duration
	after func(time.Duration) <-chan time.Time
}

// New makes a Model.
func New(c Config) *Model {
	m := &Model{pace: c.Pace, after: c.After}
	if m.pace == 0 {
		m.pace = 20 * time.Millisecond
	}
	if m.after == nil {
		m.after = time.After
	}
	return m
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		p := &player{ctx: ctx, model: m, yield: yield}
		p.play(plan(r))
		usage := agui.Usage{Provider: "carrel", Model: "scripted", InputTokens: tokens(r), OutputTokens: p.deltas}
		if p.emit(engine.Delta{Usage: &usage}) {
			p.emit(engine.Delta{Stop: p.stop})
		}
	}
}

// tokens is about what a model would count: four bytes each.
func tokens(r engine.Request) int {
	bytes := len(r.System)
	for _, m := range r.Messages {
		bytes += len(m.Content)
	}
	return (bytes + 3) / 4
}

// plan is what to do in this model call.
func plan(r engine.Request) []step {
	question, turns := lastTurn(r.Messages)
	if isScript(question) {
		steps, complaint := parse(question)
		if complaint != "" {
			return []step{{verb: say, text: complaint}}
		}
		return part(steps, turns, r)
	}
	return assist(question, turns, r)
}

// turn is one answer with tool calls, since the last question, and what came of them.
type turn struct {
	calls   []agui.ToolCall
	results map[string]string // by call id
}

// lastTurn finds the last message of the user and the tool calls that were made for it.
func lastTurn(messages []agui.Message) (question string, turns []turn) {
	for _, m := range messages {
		switch {
		case m.Role == agui.RoleUser:
			question, turns = m.Content, nil
		case m.Role == agui.RoleAssistant && len(m.ToolCalls) > 0:
			turns = append(turns, turn{calls: m.ToolCalls, results: map[string]string{}})
		case m.Role == agui.RoleTool && len(turns) > 0:
			turns[len(turns)-1].results[m.ToolCallID] = m.Content
		}
	}
	return question, turns
}

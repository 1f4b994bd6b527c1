// Package scripted is a model provider without a language model. It follows rules and uses no network. With it the
// whole of Carrel runs on one machine, and tests and benchmarks make a model do exactly what they need. It streams,
// calls tools and answers from their results, as a model would.
//
// A message whose first line begins with a slash is a script. Each line is a directive, and they are played in order:
//
//	/say text                 streams the text word by word
//	/think text               streams the text as reasoning
//	/stream n rate [bytes]    streams n deltas of this size, rate per second (0: without a pause)
//	/wait ms                  pauses for this time, with signs of life
//	/pace ms                  pauses before each following delta, until the next result of a tool
//	/call tool {"a":"b"}      calls a tool; calls on adjacent lines are made concurrently
//	/obey                     after calls: makes the calls that their results contain, "/call tool {...}" anywhere
//	                          in a line, as a model does that obeys every text it reads
//	/quote                    answers with the results of the calls before, line by line and as they are
//	/when field low [high]    plays the lines up to the next /when only if a result is a JSON object in which this
//	                          field is a number from low on and below high; the newest such object counts
//	/recite                   answers with the whole request: instructions, names of tools, the conversation
//	/keep data                gives these data, encoded, as what the provider wants back (Delta.Keep)
//	/usage in out             reports these numbers of tokens in place of the counted ones
//	/alive n ms               gives n signs of life without content, each after this time
//	/fail how [n [ms]]        fails here, the first n times that this answer is requested (default: every time):
//	                          model: an error of the adapter itself; late: the same after some text;
//	                          panic: a panic; tool: a call with bad arguments;
//	                          cut: stops at the token limit; filtered, refusal, sequence, pause, malformed, context:
//	                          stops with this reason; empty: stops without content; output: answers with text that
//	                          fits no JSON Schema, and plays no further line;
//	                          throttled, overloaded, lost, too_long, refused, invalid: a provider's failure of this
//	                          kind (lost: engine.Cut), which asks to wait ms; stall: no sign of life any more
//
// A line without a slash is like /say. The directives after calls are played when the results are there. A script that
// ends with calls answers with their results. Any other message is answered by the Script of the Config, if it has one.
// Or else, if the request has a JSON Schema for the output, the answer is an example that fits it. Any other message is
// answered by the assistant of assistant.go: it has arithmetic calculated, tells the time and keeps notes, answers
// "help", and otherwise says that it is not a language model.
package scripted

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
)

// Config sets the timing and the script of a Model.
type Config struct {
	Script string                               // answers the messages that are not scripts; "": the assistant does
	Pace   time.Duration                        // the pause between words; default 20 ms, negative for none
	After  func(time.Duration) <-chan time.Time // default time.After
}

// Model is the provider. It counts how often each answer with a failure was requested, under a hash, and holds no
// user's data.
type Model struct {
	script string

	pace  time.Duration
	after func(time.Duration) <-chan time.Time

	mu       sync.Mutex
	failures map[[sha256.Size]byte]int // how often each step has failed
}

// maxFailures bounds the failures that a Model counts. Beyond it, the counts start again.
const maxFailures = 1000

// fails counts one request of a step that fails n times, and reports whether it fails now. n is negative for a step
// that always fails.
func (m *Model) fails(message string, at, n int) bool {
	if n < 0 {
		return true
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %d", message, at))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures == nil || len(m.failures) > maxFailures {
		m.failures = map[[sha256.Size]byte]int{}
	}
	m.failures[key]++
	return m.failures[key] <= n
}

// New makes a Model.
func New(c Config) *Model {
	m := &Model{script: c.Script, pace: c.Pace, after: c.After}
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
		p := &player{ctx: ctx, model: m, yield: yield, message: place(r.Messages)}
		p.play(m.plan(r))
		if p.deltas == 0 && p.stop == engine.StopEnd && !p.empty {
			p.emit(engine.Delta{Text: "Done."}) // an empty answer would be requested again
		}
		usage := agui.Usage{InputTokens: tokens(r), OutputTokens: p.deltas}
		if p.usage != (agui.Usage{}) {
			usage = p.usage
		}
		usage.Provider, usage.Model = "carrel", "scripted"
		if p.emit(engine.Delta{Usage: &usage}) {
			p.emit(engine.Delta{Stop: p.stop})
		}
	}
}

// tokens estimates the input tokens of a request: four bytes each.
func tokens(r engine.Request) int {
	bytes := 0
	for _, p := range r.System {
		bytes += len(p.Text)
	}
	for _, m := range r.Messages {
		bytes += len(m.Content)
	}
	return (bytes + 3) / 4
}

// plan returns the steps of this model call.
func (m *Model) plan(r engine.Request) []step {
	question, turns := lastTurn(r.Messages)
	script := m.script
	if isScript(question) {
		script = question
	}
	if script != "" {
		steps, complaint := parse(script)
		if complaint != "" {
			return []step{{verb: say, text: complaint}}
		}
		return part(steps, turns, r)
	}
	if len(r.Settings.Output) > 0 && len(turns) == 0 {
		return []step{{verb: say, text: example(r.Settings.Output)}}
	}
	return assist(question, turns, r)
}

// place identifies the answer that a request is for: the last user message and the number of answers to it.
func place(messages []agui.Message) string {
	answers := 0
	for _, m := range slices.Backward(messages) {
		if m.Role == agui.RoleAssistant {
			answers++
		}
		if m.Role == agui.RoleUser && m.ID != engine.NudgeID {
			return fmt.Sprintf("%s %d", m.ID, answers)
		}
	}
	return ""
}

// turn is one answer after the last user message, with the results of its calls.
type turn struct {
	calls   []agui.ToolCall
	results map[string]string // by call id
}

// lastTurn returns the last user message and the answers to it so far: with calls, or paused. A
// message of the server's own, such as the request for another answer after an empty one, is passed over.
func lastTurn(messages []agui.Message) (question string, turns []turn) {
	for _, m := range messages {
		switch {
		case m.ID == engine.NudgeID:
		case m.Role == agui.RoleUser:
			question, turns = m.Content, nil
		case m.Role == agui.RoleAssistant:
			turns = append(turns, turn{calls: m.ToolCalls, results: map[string]string{}})
		case m.Role == agui.RoleTool && len(turns) > 0:
			turns[len(turns)-1].results[m.ToolCallID] = m.Content
		}
	}
	return question, turns
}

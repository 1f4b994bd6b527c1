// Package conv turns a conversation into a form that every provider accepts, whatever happened before in its thread.
// Roles alternate and begin with the user, results directly follow their calls, no text is empty, and names, ids and
// arguments are valid. Start with History.
package conv

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/engine"
)

// The texts that stand where a provider demands a text and the thread has none.
const (
	missingQuestion = "[The earlier messages of this conversation are not available.]"
	emptyQuestion   = "[The message is empty.]"
	goOn            = "Continue."
	NoOutput        = "[The tool returned no output.]" // in place of an empty result
	noResult        = "[This call has no result: the run ended before. It may have been carried out.]"
)

// between separates texts that become one message.
const between = "\n\n"

const maxName = 64

// Message is one message of a normalised conversation. The roles of messages alternate, and the first and the last are
// the user's.
type Message struct {
	Assistant bool
	// Blocks has a user message's results first and its text last. An answer's calls come after its texts. Reasoning
	// stands where the model wrote it.
	Blocks []Block
}

// Block is one part of a message. One of Call, Result and Kept is set, or none for a text. An empty Text stands beside
// reasoning only.
type Block struct {
	Text   string
	Call   *Call
	Result *Result
	Kept   json.RawMessage // a block of the provider's own, as Note recorded it
}

// Call is a tool call of an answer. ID is unique in the conversation and, as Name, has at most 64 letters, digits,
// hyphens and underscores. Args is a JSON object.
type Call struct {
	ID, Name string
	Args     json.RawMessage
	Kept     json.RawMessage // what the provider wants back beside this call
	source   string          // the id in the thread
}

// Result is the result of the call with this ID. Text is not empty.
type Result struct {
	ID, Name, Text string
	Failed         bool
}

// Options describe the model that the conversation is for.
type Options struct {
	Prefix   string // of the Keep values that it made, see Prefix
	Thinking bool   // it thinks in this call, and accepts an answer with calls only together with its Keep
	NoKeep   bool   // it accepts no Keep in this call, because thinking is off
}

// History normalises the messages of a request. An answer with calls since the last user message whose Keep the model
// cannot use is restated with all calls of that loop as one text, framed as data.
func History(r engine.Request, o Options) []Message {
	b := builder{o: o, keep: r.Keep, results: results(r.Messages), ids: map[string]bool{}}
	messages := conversation(r.Messages)
	loop := len(messages)
	for loop > 0 && messages[loop-1].Role == agui.RoleAssistant {
		loop--
	}
	for _, m := range messages[:loop] {
		b.add(m, "")
	}
	if b.restates(messages[loop:]) {
		b.user(b.record(messages[loop:]))
	} else {
		for _, m := range messages[loop:] {
			b.add(m, r.Keep[m.ID])
		}
	}
	b.close()
	return b.out
}

// conversation returns the messages of users and answers.
func conversation(all []agui.Message) []agui.Message {
	var out []agui.Message
	for _, m := range all {
		if m.Role == agui.RoleUser || m.Role == agui.RoleAssistant {
			out = append(out, m)
		}
	}
	return out
}

// results returns the results of calls by the call's id. The first one counts.
func results(all []agui.Message) map[string]agui.Message {
	out := map[string]agui.Message{}
	for _, m := range all {
		if _, ok := out[m.ToolCallID]; m.Role == agui.RoleTool && !ok {
			out[m.ToolCallID] = m
		}
	}
	return out
}

// builder collects the normalised messages.
type builder struct {
	o       Options
	keep    map[string]string
	results map[string]agui.Message
	ids     map[string]bool // the ids of calls in out
	out     []Message
	waiting []Block // the results of the last answer's calls
}

// add adds a message with the Keep of an answer, which is "" if there is none or it is not used.
func (b *builder) add(m agui.Message, keep string) {
	if m.Role == agui.RoleUser {
		text := m.Content
		if strings.TrimSpace(text) == "" {
			text = emptyQuestion
		}
		b.user(text)
		return
	}
	blocks := b.answer(m, keep)
	if len(blocks) == 0 {
		return
	}
	b.flush()
	if len(b.out) == 0 {
		b.append(false, Block{Text: missingQuestion})
	}
	if b.out[len(b.out)-1].Assistant {
		b.joinAnswer(blocks)
	} else {
		b.append(true, blocks...)
	}
	for _, k := range blocks {
		if k.Call != nil {
			b.waiting = append(b.waiting, Block{Result: b.result(k.Call)})
		}
	}
}

// user adds a user's text, to the last message if that is the user's too.
func (b *builder) user(text string) {
	b.flush()
	if n := len(b.out); n > 0 && !b.out[n-1].Assistant {
		last := &b.out[n-1]
		if k := len(last.Blocks) - 1; last.Blocks[k].Result == nil {
			last.Blocks[k].Text += between + text
		} else {
			last.Blocks = append(last.Blocks, Block{Text: text})
		}
		return
	}
	b.append(false, Block{Text: text})
}

// flush adds the results of the last answer's calls.
func (b *builder) flush() {
	if len(b.waiting) > 0 {
		b.append(false, b.waiting...)
		b.waiting = nil
	}
}

func (b *builder) append(assistant bool, blocks ...Block) {
	b.out = append(b.out, Message{Assistant: assistant, Blocks: blocks})
}

// joinAnswer adds an answer to the answer before it. Two answers follow each other only if the first has no calls, and
// then their texts become one.
func (b *builder) joinAnswer(blocks []Block) {
	last := &b.out[len(b.out)-1]
	end := &last.Blocks[len(last.Blocks)-1]
	first := blocks[0]
	if plain := func(k Block) bool { return k.Call == nil && k.Kept == nil }; plain(*end) && plain(first) {
		end.Text += between + first.Text
		blocks = blocks[1:]
	}
	last.Blocks = append(last.Blocks, blocks...)
}

// close ends the conversation with a user message, which every provider answers.
func (b *builder) close() {
	b.flush()
	if len(b.out) == 0 || b.out[len(b.out)-1].Assistant {
		b.append(false, Block{Text: goOn})
	}
}

// answer returns the blocks of an answer: reasoning, texts, calls.
func (b *builder) answer(m agui.Message, keep string) []Block {
	var calls []Block
	for _, c := range m.ToolCalls {
		if name := Name(c.Function.Name); name != "" {
			calls = append(calls, Block{Call: &Call{ID: b.id(c.ID), Name: name, Args: Arguments(c.Function.Arguments),
				source: c.ID}})
		}
	}
	if notes, ok := unpack(b.o.Prefix, keep); ok && !b.o.NoKeep {
		return merge(notes, m.Content, calls)
	}
	if strings.TrimSpace(m.Content) == "" {
		return calls
	}
	return append([]Block{{Text: m.Content}}, calls...)
}

// result returns the result of a call.
func (b *builder) result(call *Call) *Result {
	r := &Result{ID: call.ID, Name: call.Name, Text: noResult, Failed: true}
	if got, ok := b.results[call.source]; ok {
		r.Text, r.Failed = got.Content, agui.MarksOf(got.Metadata).Outcome != ""
	}
	if strings.TrimSpace(r.Text) == "" {
		r.Text = NoOutput
	}
	return r
}

// id returns the id that a call has for the provider. It is valid and was not given before.
func (b *builder) id(id string) string {
	for n := 0; ; n++ {
		mapped := mappedID(id, n)
		if !b.ids[mapped] {
			b.ids[mapped] = true
			return mapped
		}
	}
}

func mappedID(id string, n int) string {
	if n == 0 && regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`).MatchString(id) {
		return id
	}
	h := fnv.New128a()
	fmt.Fprintf(h, "%d %s", n, id)
	return fmt.Sprintf("call_%x", h.Sum(nil))
}

// Name returns a tool's name in the form that providers accept, or "" if nothing remains of it.
func Name(name string) string {
	valid := regexp.MustCompile(`[^a-zA-Z0-9_-]+`).ReplaceAllString(name, "_")
	return strings.Trim(chars.Head(valid, maxName), "_")
}

// Arguments returns a call's arguments as a JSON object. Empty arguments are {}. A text that is no JSON object becomes
// the member "arguments" of one.
func Arguments(text string) json.RawMessage {
	if strings.TrimSpace(text) == "" {
		return json.RawMessage("{}")
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return json.RawMessage(text)
	}
	return Object(map[string]any{"arguments": text})
}

// Object encodes a value that has only texts, numbers, booleans, lists and maps of them.
func Object(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("{}") // such values always encode
	}
	return b
}

package anthropic

import (
	"encoding/json"
	"strings"

	"carrel/shared/engine"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/calls"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
	"carrel/shared/model/internal/sse"
)

// stream reads the stream of one answer.
type stream struct {
	m      *Model
	a      *answer.Answer
	stop   engine.StopReason
	blocks map[int]*block // the open ones, by index
	usage  usage

	thinking bool
}

// block is an open block of content.
type block struct {
	kind            string
	thinking        strings.Builder
	signature, data string
	input           string // of a call, if the server sends it with the start
}

// usage has the counts so far. Each event replaces the counts that it has.
type usage struct {
	Input      *int `json:"input_tokens"`
	CacheRead  *int `json:"cache_read_input_tokens"`
	CacheWrite *int `json:"cache_creation_input_tokens"`
	Output     *int `json:"output_tokens"`
}

type event struct {
	Type    string `json:"type"`
	Index   int    `json:"index"`
	Message struct {
		Usage usage `json:"usage"`
	} `json:"message"`
	Block struct {
		Type      string          `json:"type"`
		Text      string          `json:"text"`
		ID        string          `json:"id"`
		Name      string          `json:"name"`
		Input     json.RawMessage `json:"input"`
		Data      string          `json:"data"`
		Thinking  string          `json:"thinking"`
		Signature string          `json:"signature"`
	} `json:"content_block"`
	Delta struct {
		Text        string `json:"text"`
		Thinking    string `json:"thinking"`
		Signature   string `json:"signature"`
		PartialJSON string `json:"partial_json"`
		StopReason  string `json:"stop_reason"`
	} `json:"delta"`
	Usage usage `json:"usage"`
}

// Event implements adapter.Reader.
func (s *stream) Event(e sse.Event) (done bool, err error) {
	if e.Data == "" {
		return false, s.a.Life()
	}
	var v event
	if json.Unmarshal([]byte(e.Data), &v) != nil {
		return false, s.m.Broken()
	}
	switch v.Type {
	case "message_start":
		s.count(v.Message.Usage)
	case "content_block_start":
		return false, s.open(v)
	case "content_block_delta":
		return false, s.delta(v)
	case "content_block_stop":
		return false, s.close(v.Index)
	case "message_delta":
		s.count(v.Usage)
		if v.Delta.StopReason != "" {
			s.stop = stopReason(v.Delta.StopReason)
		}
	case "message_stop":
		return true, nil
	case "error":
		return false, s.m.Endpoint.InStream(exchange.Read([]byte(e.Data)))
	}
	return false, s.a.Life()
}

// End implements adapter.Reader.
func (s *stream) End() error {
	if s.stop == "" {
		return s.m.Cut()
	}
	return s.a.Finish(s.stop, s.m.Prefix, s.thinking)
}

// open begins a block. A text is recorded even if it stays empty: beside signed reasoning it has its place.
func (s *stream) open(v event) error {
	b := &block{kind: v.Block.Type, data: v.Block.Data, signature: v.Block.Signature}
	s.blocks[v.Index] = b
	switch b.kind {
	case "text":
		s.a.Notes.Text("")
		return s.a.Text(v.Block.Text)
	case "thinking":
		b.thinking.WriteString(v.Block.Thinking)
		return s.a.Reasoning(v.Block.Thinking)
	case "tool_use":
		if input := string(v.Block.Input); input != "{}" && input != "null" {
			b.input = input
		}
		return s.a.StartCall(calls.Piece{Index: &v.Index, ID: v.Block.ID, Name: v.Block.Name}, nil)
	}
	return s.a.Life()
}

func (s *stream) delta(v event) error {
	b := s.blocks[v.Index]
	if b == nil { // a server that does not begin its blocks
		b = &block{kind: "text"}
		s.blocks[v.Index] = b
	}
	switch {
	case v.Delta.Thinking != "":
		b.thinking.WriteString(v.Delta.Thinking)
		return s.a.Reasoning(v.Delta.Thinking)
	case v.Delta.Signature != "":
		b.signature += v.Delta.Signature
	case v.Delta.PartialJSON != "":
		b.input = ""
		return s.a.Call(calls.Piece{Index: &v.Index, Args: v.Delta.PartialJSON})
	case v.Delta.Text != "":
		return s.a.Text(v.Delta.Text)
	}
	return s.a.Life()
}

// close ends a block. Reasoning is kept if the provider has signed it.
func (s *stream) close(index int) error {
	b := s.blocks[index]
	delete(s.blocks, index)
	switch {
	case b == nil:
	case b.kind == "thinking" && b.signature != "":
		s.a.Notes.Keep(conv.Object(object{"type": "thinking", "thinking": b.thinking.String(),
			"signature": b.signature}))
	case b.kind == "redacted_thinking" && b.data != "":
		s.a.Notes.Keep(conv.Object(object{"type": "redacted_thinking", "data": b.data}))
	case b.kind == "tool_use":
		if b.input != "" {
			if err := s.a.Call(calls.Piece{Index: &index, Args: b.input}); err != nil {
				return err
			}
		}
		return s.a.EndCall(index)
	}
	return s.a.Life()
}

// count takes an event's usage. The API counts cached input apart; AG-UI's input includes it.
func (s *stream) count(u usage) {
	for _, pair := range [][2]**int{{&s.usage.Input, &u.Input}, {&s.usage.CacheRead, &u.CacheRead},
		{&s.usage.CacheWrite, &u.CacheWrite}, {&s.usage.Output, &u.Output}} {
		if *pair[1] != nil {
			*pair[0] = *pair[1]
		}
	}
	value := func(p *int) int {
		if p == nil {
			return 0
		}
		return *p
	}
	s.a.Usage.CachedInputTokens, s.a.Usage.CacheWriteInputTokens = value(s.usage.CacheRead), value(s.usage.CacheWrite)
	s.a.Usage.InputTokens = value(s.usage.Input) + s.a.Usage.CachedInputTokens + s.a.Usage.CacheWriteInputTokens
	s.a.Usage.OutputTokens = value(s.usage.Output)
}

func stopReason(reason string) engine.StopReason {
	switch reason {
	case "end_turn":
		return engine.StopEnd
	case "tool_use":
		return engine.StopTools
	case "max_tokens":
		return engine.StopMaxTokens
	case "stop_sequence":
		return engine.StopSequence
	case "refusal": // of the API's classifiers, which refuse the thread again until this turn is withheld
		return engine.StopFiltered
	case "pause_turn":
		return engine.StopPause
	case "model_context_window_exceeded":
		return engine.StopContext
	}
	return engine.StopReason(reason)
}

// Package anthropic calls models through Anthropic's Messages API. Start with New.
package anthropic

import (
	"context"
	"iter"
	"net/http"
	"strings"

	"carrel/shared/engine"
	"carrel/shared/model/internal/adapter"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/conv"
)

// Config describes one model at one endpoint.
type Config struct{ adapter.Config }

// version is the version of the API.
const version = "2023-06-01"

// Model calls one model. It is an engine.Model, safe for concurrent use.
type Model struct{ *adapter.Caller }

// New returns a model.
func New(c Config) *Model {
	h := http.Header{"Anthropic-Version": {version}}
	if len(c.Facts.Beta) > 0 {
		h.Set("Anthropic-Beta", strings.Join(c.Facts.Beta, ","))
	}
	sign := func(h http.Header, key string) { h.Set("X-Api-Key", key) }
	return &Model{adapter.New(c.Config, strings.TrimSuffix(c.URL, "/")+"/messages", h, sign)}
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return m.Caller.Stream(ctx, r, func(settled conv.Settled, a *answer.Answer) (any, adapter.Reader) {
		s := &stream{m: m, a: a, blocks: map[int]*block{}, thinking: settled.Thinking}
		return m.request(r, settled), s
	})
}

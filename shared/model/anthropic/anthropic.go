// Package anthropic calls models through Anthropic's Messages API. Start with New.
package anthropic

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/facts"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
	"carrel/shared/model/internal/sse"
)

// Config describes one model at one endpoint.
type Config struct {
	Provider string // the endpoint's name, in errors, usage and Keep
	Model    string
	URL      string // the base address, such as https://api.anthropic.com/v1
	// Key returns the key. With fresh set, the last one was refused. nil: the endpoint needs no key.
	Key    func(ctx context.Context, fresh bool) (string, error)
	Facts  facts.Facts
	Client *http.Client // nil: one of its own
	Log    *slog.Logger // nil: no log
	// LogText adds the provider's text to errors. It may repeat the conversation.
	LogText bool
}

// version is the version of the API.
const version = "2023-06-01"

// Model calls one model. It is an engine.Model, safe for concurrent use.
type Model struct {
	c        Config
	endpoint exchange.Endpoint
	prefix   string
}

// New returns a model.
func New(c Config) *Model {
	if c.Client == nil {
		c.Client = exchange.NewClient()
	}
	h := http.Header{"Anthropic-Version": {version}}
	if len(c.Facts.Beta) > 0 {
		h.Set("Anthropic-Beta", strings.Join(c.Facts.Beta, ","))
	}
	return &Model{c: c, prefix: conv.Prefix(c.Provider, c.Model), endpoint: exchange.Endpoint{
		Provider: c.Provider, Model: c.Model, URL: strings.TrimSuffix(c.URL, "/") + "/messages", Key: c.Key, Header: h,
		Client: c.Client, LogText: c.LogText, Sign: func(h http.Header, key string) { h.Set("X-Api-Key", key) },
	}}
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		a := answer.New(yield, agui.Usage{Provider: m.c.Provider, Model: m.c.Model}, m.c.Log)
		a.Fail(ctx, m.run(ctx, r, a))
	}
}

// run sends the request and reads its stream.
func (m *Model) run(ctx context.Context, r engine.Request, a *answer.Answer) error {
	settled := conv.Settle(r, m.c.Facts)
	body, err := json.Marshal(m.request(r, settled))
	if err != nil {
		return m.endpoint.Fail(engine.Invalid, "the request cannot be encoded", exchange.Said{})
	}
	answered, err := exchange.Post(ctx, m.endpoint, body)
	if err != nil {
		return err
	}
	defer func() { _ = answered.Close() }() // nothing follows from an error after the answer
	s := &stream{m: m, a: a, blocks: map[int]*block{}}
	var halves answer.Surrogates
	for e, failed := range sse.Read(answered) {
		if failed != nil {
			break // the part that has arrived may be complete
		}
		e.Data = halves.Join(e.Data)
		done, err := s.event(e)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if s.stop == "" {
		return m.endpoint.Fail(engine.Cut, "the stream ended before the answer did", exchange.Said{})
	}
	return a.Finish(s.stop, m.prefix, settled.Thinking)
}

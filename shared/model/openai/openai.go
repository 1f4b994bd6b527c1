// Package openai calls models through OpenAI's two APIs: Chat Completions, which most other servers speak too, and
// Responses. Start with New.
package openai

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"carrel/shared/engine"
	"carrel/shared/model/facts"
	"carrel/shared/model/internal/adapter"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/conv"
)

// Config describes one model at one endpoint.
type Config struct {
	adapter.Config
	Responses bool   // the API is Responses; otherwise it is Chat Completions
	Query     string // added to each address, such as api-version=preview
	KeyName   string // the header that has the key alone; "": Authorization with Bearer
	Quirks    facts.Quirks
}

// Model calls one model. It is an engine.Model, safe for concurrent use.
type Model struct {
	*adapter.Caller
	c Config
}

// New returns a model.
func New(c Config) *Model {
	path := "/chat/completions"
	if c.Responses {
		path = "/responses"
	}
	sign := func(h http.Header, key string) {
		if c.KeyName != "" {
			h.Set(c.KeyName, key)
		} else {
			h.Set("Authorization", "Bearer "+key)
		}
	}
	return &Model{Caller: adapter.New(c.Config, join(c.URL, path, c.Query), nil, sign), c: c}
}

// join adds path and query to a base address, which may have a query of its own.
func join(base, path, query string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base // Post reports it
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	if query != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
	}
	return u.String()
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return m.Caller.Stream(ctx, r, func(settled conv.Settled, a *answer.Answer) (any, adapter.Reader) {
		var request map[string]any
		var reader adapter.Reader
		if m.c.Responses {
			request = m.responses(r, settled)
			reader = &responsesStream{m: m, a: a, thinking: settled.Thinking, args: map[int]bool{}}
		} else {
			request, reader = m.chat(r, settled), &chatStream{m: m, a: a}
		}
		conv.Extend(request, r.Settings.Extra)
		return request, reader
	})
}

// systemText joins the parts of the system prompt.
func systemText(r engine.Request, s conv.Settled) string {
	var parts []string
	for _, p := range conv.System(r, s) {
		parts = append(parts, p.Text)
	}
	return strings.Join(parts, "\n\n")
}

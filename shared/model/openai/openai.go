// Package openai calls models through OpenAI's two APIs: Chat Completions, which most other servers speak too, and
// Responses. Start with New.
package openai

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
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
	Provider  string // the endpoint's name, in errors, usage and Keep
	Model     string
	URL       string // the base address, such as https://api.openai.com/v1
	Responses bool   // the API is Responses; otherwise it is Chat Completions
	Query     string // added to each address, such as api-version=preview
	// Key returns the key. With fresh set, the last one was refused. nil: the endpoint needs no key.
	Key     func(ctx context.Context, fresh bool) (string, error)
	KeyName string // the header that has the key alone; "": Authorization with Bearer
	Quirks  facts.Quirks
	Facts   facts.Facts
	Client  *http.Client // nil: one of its own
	Log     *slog.Logger // nil: no log
	// LogText adds the provider's text to errors. It may repeat the conversation.
	LogText bool
}

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
	path := "/chat/completions"
	if c.Responses {
		path = "/responses"
	}
	return &Model{c: c, prefix: conv.Prefix(c.Provider, c.Model), endpoint: exchange.Endpoint{
		Provider: c.Provider, Model: c.Model, URL: join(c.URL, path, c.Query), Key: c.Key, Client: c.Client,
		LogText: c.LogText,
		Sign: func(h http.Header, key string) {
			if c.KeyName != "" {
				h.Set(c.KeyName, key)
			} else {
				h.Set("Authorization", "Bearer "+key)
			}
		},
	}}
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

// stream is the state of one answer in either API.
type stream interface {
	// event reads one event. done is true if the stream needs nothing more.
	event(e sse.Event) (done bool, err error)
	// end ends the answer, or reports that the stream was cut.
	end() error
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		a := answer.New(yield, agui.Usage{Provider: m.c.Provider, Model: m.c.Model}, m.c.Log)
		settled := conv.Settle(r, m.c.Facts)
		var request map[string]any
		var s stream
		if m.c.Responses {
			request, s = m.responses(r, settled), &responsesStream{m: m, a: a, thinking: settled.Thinking,
				args: map[int]bool{}}
		} else {
			request, s = m.chat(r, settled), &chatStream{m: m, a: a}
		}
		conv.Extend(request, r.Settings.Extra)
		a.Fail(ctx, m.run(ctx, request, s, a))
	}
}

// run sends the request and reads its stream.
func (m *Model) run(ctx context.Context, request map[string]any, s stream, a *answer.Answer) error {
	body, err := json.Marshal(request)
	if err != nil {
		return m.endpoint.Fail(engine.Invalid, "the request cannot be encoded", exchange.Said{})
	}
	answered, err := exchange.Post(ctx, m.endpoint, body)
	if err != nil {
		return err
	}
	defer func() { _ = answered.Close() }() // nothing follows from an error after the answer
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
	if err := s.end(); err != nil {
		return err
	}
	a.CheckInput(len(body))
	return nil
}

// cut is the error of a stream without an end.
func (m *Model) cut() error {
	return m.endpoint.Fail(engine.Cut, "the stream ended before the answer did", exchange.Said{})
}

// broken is the error of an event that is not the JSON of the API.
func (m *Model) broken() error {
	return m.endpoint.Fail(engine.Overloaded, "the stream has an event that cannot be read", exchange.Said{})
}

// systemText joins the parts of the system prompt.
func systemText(r engine.Request, s conv.Settled) string {
	var parts []string
	for _, p := range conv.System(r, s) {
		parts = append(parts, p.Text)
	}
	return strings.Join(parts, "\n\n")
}

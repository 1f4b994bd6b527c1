// Package adapter makes the calls of a model whose API is JSON over HTTP, with an answer of server-sent events. The
// packages of the APIs provide the request and read the events.
package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"

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
	URL      string // the base address, such as https://api.openai.com/v1
	// Key returns the key. With fresh set, the last one was refused. nil: the endpoint needs no key.
	Key    func(ctx context.Context, fresh bool) (string, error)
	Facts  facts.Facts
	Client *http.Client // nil: one of its own
	Log    *slog.Logger // nil: no log
	// LogText adds the provider's text to errors. It may repeat the conversation.
	LogText bool
}

// Caller makes the calls of one model. It is safe for concurrent use.
type Caller struct {
	Config
	Endpoint exchange.Endpoint
	Prefix   string // of the model's values of Keep
}

// New returns a caller. sign writes the key into the headers of a request to the address.
func New(c Config, address string, header http.Header, sign func(h http.Header, key string)) *Caller {
	c.Client = cmp.Or(c.Client, exchange.NewClient())
	return &Caller{Config: c, Prefix: conv.Prefix(c.Provider, c.Model), Endpoint: exchange.Endpoint{
		Provider: c.Provider, Model: c.Model, URL: address, Key: c.Key, Header: header, Sign: sign, Client: c.Client,
		LogText: c.LogText,
	}}
}

// Reader reads the stream of one answer.
type Reader interface {
	// Event reads one event. done is true if the stream needs nothing more.
	Event(e sse.Event) (done bool, err error)
	// End ends the answer, or reports that the stream was cut.
	End() error
}

// Begin returns a request and the reader of its answer, which passes the answer on to a.
type Begin func(s conv.Settled, a *answer.Answer) (request any, reader Reader)

// Stream makes one call, as engine.Model does.
func (c *Caller) Stream(ctx context.Context, r engine.Request, begin Begin) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		a := answer.New(yield, agui.Usage{Provider: c.Provider, Model: c.Model}, c.Log)
		request, reader := begin(conv.Settle(r, c.Facts), a)
		a.Fail(ctx, c.run(ctx, request, reader, a))
	}
}

// run sends the request and reads its stream.
func (c *Caller) run(ctx context.Context, request any, reader Reader, a *answer.Answer) error {
	body, err := json.Marshal(request)
	if err != nil {
		return c.Endpoint.Fail(engine.Invalid, "the request cannot be encoded", exchange.Said{})
	}
	answered, err := exchange.Post(ctx, c.Endpoint, body)
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
		done, err := reader.Event(e)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if err := reader.End(); err != nil {
		return err
	}
	a.CheckInput(len(body))
	return nil
}

// Cut returns the error of a stream without an end.
func (c *Caller) Cut() error {
	return c.Endpoint.Fail(engine.Cut, "the stream ended before the answer did", exchange.Said{})
}

// Broken returns the error of an event that is not the JSON of the API.
func (c *Caller) Broken() error {
	return c.Endpoint.Fail(engine.Overloaded, "the stream has an event that cannot be read", exchange.Said{})
}

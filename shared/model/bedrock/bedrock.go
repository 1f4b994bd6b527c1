// Package bedrock calls models through Amazon Bedrock's ConverseStream. Start with New.
package bedrock

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/facts"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
)

// Config describes one model.
type Config struct {
	Provider string // the endpoint's name, in errors, usage and Keep
	Model    string // a model's id, with or without an inference profile, or an ARN
	// AWS has the Region, the credentials and an HTTP client without a deadline for whole requests.
	AWS   aws.Config
	URL   string // "": the Region's own
	Facts facts.Facts
	Log   *slog.Logger // nil: no log
	// LogText adds the provider's text to errors. It may repeat the conversation.
	LogText bool
}

// Model calls one model. It is an engine.Model, safe for concurrent use.
type Model struct {
	c        Config
	client   *bedrockruntime.Client
	endpoint exchange.Endpoint // makes errors only
	prefix   string
}

// New returns a model. Its client makes one try: the engine repeats failed calls.
func New(c Config) *Model {
	c.Facts.Schema = false // not every model of Bedrock enforces one
	return &Model{c: c, prefix: conv.Prefix(c.Provider, facts.WithoutProfile(c.Model)),
		endpoint: exchange.Endpoint{Provider: c.Provider, Model: c.Model, LogText: c.LogText},
		client: bedrockruntime.NewFromConfig(c.AWS, func(o *bedrockruntime.Options) {
			o.Retryer = aws.NopRetryer{}
			if o.HTTPClient != nil {
				o.HTTPClient = streams{o.HTTPClient}
			}
			if c.URL != "" {
				o.BaseEndpoint = aws.String(c.URL)
			}
		})}
}

// streams is an HTTP client that accepts only streams and errors. A proxy may answer with a page and status 200, which
// the SDK would read as a broken stream.
type streams struct{ client aws.HTTPClient }

var errPage = errors.New("the answer is not an event stream")

// Do sends a request.
func (s streams) Do(r *http.Request) (*http.Response, error) {
	answered, err := s.client.Do(r)
	if err == nil && answered.StatusCode == http.StatusOK &&
		!strings.HasPrefix(answered.Header.Get("Content-Type"), "application/vnd.amazon.eventstream") {
		return nil, errors.Join(errPage, answered.Body.Close())
	}
	return answered, err
}

// Stream implements engine.Model.
func (m *Model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		a := answer.New(yield, agui.Usage{Provider: m.c.Provider, Model: m.c.Model}, m.c.Log)
		a.Fail(ctx, m.run(ctx, r, a))
	}
}

// run sends the request and reads its stream. Only messageStop means that the answer is complete: the SDK reports a
// lost connection as a clean end.
func (m *Model) run(ctx context.Context, r engine.Request, a *answer.Answer) error {
	settled := conv.Settle(r, m.c.Facts)
	out, err := m.client.ConverseStream(ctx, m.request(r, settled))
	if err != nil {
		return m.failed(err)
	}
	events := out.GetStream()
	defer func() { _ = events.Close() }() // nothing follows from an error after the answer
	if err := a.Life(); err != nil {
		return err
	}
	s := &stream{a: a, blocks: map[int32]*block{}}
	for e := range events.Events() {
		if err := s.event(e); err != nil {
			return err
		}
	}
	switch err := events.Err(); {
	case s.stop != "":
	case err != nil:
		return m.broken(err)
	default:
		return m.endpoint.Fail(engine.Cut, "the stream ended before the answer did", exchange.Said{})
	}
	return a.Finish(s.stop, m.prefix, settled.Thinking)
}

// broken returns the error of a stream that failed: an exception frame, or a lost connection.
func (m *Model) broken(err error) error {
	if err := m.failed(err); !errors.Is(err, errUnknown) {
		return err
	}
	return m.endpoint.Fail(engine.Cut, "the connection was lost within the answer", exchange.Said{})
}

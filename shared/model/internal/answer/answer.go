// Package answer passes a provider's answer on to the engine: one call after the other, and at the end Keep, usage and
// the stop reason. All adapters use it, so that they end an answer in the same way.
package answer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/internal/calls"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/exchange"
)

// ErrStopped is returned when the engine wants no more of the answer.
var ErrStopped = errors.New("the engine wants no more of the answer")

// Answer is one answer of a model. Its methods return ErrStopped when the engine wants no more.
type Answer struct {
	Usage agui.Usage // the tokens so far
	Notes conv.Notes
	log   *slog.Logger
	yield func(engine.Delta, error) bool
	calls calls.Calls
	text  bool // the answer has text
}

// New returns an answer that goes to yield. usage names the provider and the model.
func New(yield func(engine.Delta, error) bool, usage agui.Usage, log *slog.Logger) *Answer {
	a := &Answer{Usage: usage, yield: yield, log: log}
	a.calls.Emit = func(d engine.Delta) bool { return yield(d, nil) }
	return a
}

func (a *Answer) send(d engine.Delta) error {
	if !a.yield(d, nil) {
		return ErrStopped
	}
	return nil
}

// Life passes on a sign of life: the provider has sent something that is not shown.
func (a *Answer) Life() error { return a.send(engine.Delta{}) }

// Text passes on a piece of text. An empty one is a sign of life.
func (a *Answer) Text(piece string) error {
	if piece != "" {
		a.text = true
		a.Notes.Text(piece)
	}
	return a.send(engine.Delta{Text: piece})
}

// Reasoning passes on a piece of thinking. An empty one is a sign of life.
func (a *Answer) Reasoning(piece string) error { return a.send(engine.Delta{Reasoning: piece}) }

// Call passes on a piece of a call.
func (a *Answer) Call(p calls.Piece) error { return stopped(a.calls.Add(p)) }

// StartCall passes on the start of a call and records its place. kept is what the provider wants back beside it.
func (a *Answer) StartCall(p calls.Piece, kept json.RawMessage) error {
	if p.Name != "" {
		a.Notes.Call(kept)
	}
	return a.Call(p)
}

// EndCall says that the call with this index has all its pieces.
func (a *Answer) EndCall(index int) error { return stopped(a.calls.EndCall(index)) }

func stopped(ok bool) error {
	if !ok {
		return ErrStopped
	}
	return nil
}

// Fail ends the sequence with an error of the call. When ctx has ended, that is ctx's error. A request that a content
// policy refuses is an answer that was withheld. A nil error and ErrStopped change nothing.
func (a *Answer) Fail(ctx context.Context, err error) {
	switch {
	case err == nil, errors.Is(err, ErrStopped):
	case ctx.Err() != nil:
		a.yield(engine.Delta{}, ctx.Err())
	case errors.Is(err, exchange.ErrFiltered):
		a.yield(engine.Delta{Stop: engine.StopFiltered}, nil)
	default:
		a.yield(engine.Delta{}, err)
	}
}

// leastPerToken is the number of bytes of a request for which a model counts at least one token, with a wide margin.
const leastPerToken = 12

// CheckInput warns the operator if the provider counts so few tokens for a request of this size that it has cut the
// prompt. Some servers do so without an error.
func (a *Answer) CheckInput(bytes int) {
	if n := a.Usage.InputTokens; a.log != nil && n > 0 && n*leastPerToken < bytes {
		a.log.Warn("the provider seems to cut the prompt: give its server or models.yaml the true context",
			"provider", a.Usage.Provider, "model", a.Usage.Model, "tokens", n, "bytes", bytes)
	}
}

// Finish ends the answer. Providers disagree about the stop reason of an answer with calls: the calls decide. An answer
// that waits for results of unreadable calls is malformed. With always, Keep is sent even if it is empty.
func (a *Answer) Finish(stop engine.StopReason, prefix string, always bool) error {
	made, dropped, ok := a.calls.End()
	if !ok {
		return ErrStopped
	}
	if dropped > 0 && a.log != nil {
		a.log.Warn("drop tool calls without a name", "provider", a.Usage.Provider, "model", a.Usage.Model,
			"calls", dropped)
	}
	switch {
	case stop == engine.StopEnd && made > 0:
		stop = engine.StopTools
	case stop == engine.StopTools && made == 0 && dropped == 0 && a.text:
		stop = engine.StopEnd
	case stop == engine.StopTools && made == 0:
		stop = engine.StopMalformed
	}
	if keep := a.Notes.Pack(prefix, always); keep != "" {
		if err := a.send(engine.Delta{Keep: keep}); err != nil {
			return err
		}
	}
	usage := a.Usage
	if err := a.send(engine.Delta{Usage: &usage}); err != nil {
		return err
	}
	return a.send(engine.Delta{Stop: stop})
}

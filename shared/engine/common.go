package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"carrel/shared/agui"
)

// common is what the lines of one run share. They run concurrently.
type common struct {
	log  []agui.Event   // the run's events before this attempt, of all lines
	said []agui.Message // the thread's messages before this attempt, of all lines
	sink Sink

	readying sync.Mutex // held by Config.Ready
	logging  sync.Mutex // held by Config.Logf and Config.Failed

	worked atomic.Bool // this worker has made the pending calls or a model call of a line

	agent          string     // the name of the agent that answers the person; only the run's own line changes it
	mu             sync.Mutex // held while the sink accepts events, so that open follows their order
	randomID       func() string
	open           agui.Open
	usage          []agui.Usage
	interrupts     []openInterrupt
	interruptBytes int
	handoffs       int // how often the run was handed over; only the run's own line uses it
}

// write gives events to the sink.
func (s *common) write(ctx context.Context, events []agui.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sink.Emit(ctx, events...); err != nil {
		return err
	}
	for _, e := range events {
		s.open.Add(e)
	}
	return nil
}

// closing returns the events by which close ends everything that is open.
func (s *common) closing(close func(*agui.Open) []agui.Event) []agui.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return close(&s.open)
}

// addCall adds a call that has no result and may have begun in an earlier run.
func (s *common) addCall(line, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.AddCall(agui.LineCall{Line: line, ID: id})
}

func (s *common) addUsage(u agui.Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage = agui.AddUsage(s.usage, u)
}

// allUsage returns the tokens of the run so far.
func (s *common) allUsage() []agui.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]agui.Usage(nil), s.usage...)
}

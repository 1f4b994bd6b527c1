package openai

import (
	"carrel/shared/engine"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/conv"
	"carrel/shared/model/internal/sse"
)

func (m *Model) responses(r engine.Request, s conv.Settled) map[string]any { return nil }

type responsesStream struct {
	m        *Model
	a        *answer.Answer
	thinking bool
}

func (s *responsesStream) event(e sse.Event) (bool, error) { return false, nil }
func (s *responsesStream) end() error                      { return nil }

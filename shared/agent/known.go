package agent

import (
	"context"
	"iter"

	"carrel/shared/engine"
)

// CheckName returns chat.ErrUnknownAgent for a name that no agent of Samples has, and nil for "", the default. It is for
// who accepts runs and must not link a model.
func CheckName(name string) error {
	r, err := Samples(noModel{})
	if err == nil {
		_, err = r.Agent(name)
	}
	return err
}

type noModel struct{}

func (noModel) Stream(context.Context, engine.Request) iter.Seq2[engine.Delta, error] {
	return func(func(engine.Delta, error) bool) {}
}

package agent

import (
	"context"
	"iter"

	"carrel/shared/engine"
)

// CheckName returns chat.ErrUnknownAgent if no agent of Samples has the name. The name "" is valid and selects the
// default. The function message calls it for each run, and links no model by it.
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

package engine_test

import (
	"context"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/usercontext"
)

type nowhere struct{}

func (nowhere) Emit(context.Context, ...agui.Event) error { return nil }

func (nowhere) Sync(context.Context) error { return nil }

// BenchmarkRun measures the engine's own cost of a run with one answer of 200 deltas.
func BenchmarkRun(b *testing.B) {
	deltas := make([]engine.Delta, 200)
	for i := range deltas {
		deltas[i] = text("some text ")
	}
	deltas = append(deltas, stop(engine.StopEnd))
	b.ReportAllocs()
	for b.Loop() {
		uc, err := usercontext.New(context.Background(), usercontext.Config{
			User: chattest.User(b, "alice"), Thread: "t", Run: "r", Request: "q",
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := engine.Run(uc.Context(), engine.Config{User: uc, Agent: engine.Agent{Models: only(says(deltas))},
			Sink: nowhere{}}); err != nil {
			b.Fatal(err)
		}
		if err := uc.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

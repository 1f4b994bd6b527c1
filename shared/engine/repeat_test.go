package engine_test

import (
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
)

// A model that repeats an equal call receives a note after the third one, and the fifth ends the run. A death in
// between changes nothing: the next worker counts the calls of the log.
func TestRun_RepeatedCalls(t *testing.T) {
	same := func() *model {
		return says([]engine.Delta{start("echo"), args(`{"say":"a"}`), stop(engine.StopTools)},
			[]engine.Delta{start("echo"), args(`{ "say" : "a" }`), stop(engine.StopTools)})
	}
	m := same()
	f := setUp(t, m, chat.Limits{})
	end := f.run()
	if end.Code != engine.CodeRepeating || len(m.asked) != 5 {
		t.Errorf("ended with %+v after %d model calls", end, len(m.asked))
	}
	noted := 0
	for _, e := range f.sink.events {
		if e.Content != nil && strings.Contains(*e.Content, "Do something else") {
			noted++
		}
	}
	if noted != 3 {
		t.Errorf("%d results have a note, want those of calls 3 to 5", noted)
	}
	at, results := 0, 0
	for i, e := range f.sink.events {
		if e.Type == agui.ToolCallResult {
			if results++; results == 3 {
				at = i + 1
			}
		}
	}
	m2 := same()
	f2 := setUp(t, m2, chat.Limits{})
	f2.config.Log = f.sink.events[:at]
	if end := f2.run(); end.Code != engine.CodeRepeating || len(m2.asked) != 2 {
		t.Errorf("behind three calls of a dead worker: ended with %+v after %d model calls", end, len(m2.asked))
	}
	other := says([]engine.Delta{start("echo"), args(`{"say":"a"}`), start("echo"), args(`{"say":"b"}`),
		stop(engine.StopTools)})
	f3 := setUp(t, other, chat.Limits{})
	if end := f3.run(); end.Code == engine.CodeRepeating {
		t.Error("calls that alternate are taken for a repetition")
	}
}

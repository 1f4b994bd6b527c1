package agui_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"carrel/shared/agui"
)

func TestJoin_SameMessages(t *testing.T) {
	var joined []agui.Event
	for _, e := range aRun() {
		e.Timestamp = int64(len(joined) + 1)
		if n := len(joined); n > 0 {
			if both, ok := agui.Join(joined[n-1], e); ok {
				joined[n-1] = both
				continue
			}
		}
		joined = append(joined, e)
	}
	if len(joined) != len(aRun())-3 {
		t.Errorf("%d events were joined to %d, want 3 less", len(aRun()), len(joined))
	}
	if got, want := fold(joined...), fold(aRun()...); !reflect.DeepEqual(got, want) {
		t.Errorf("joined events fold to\n%+v\nwant\n%+v", got, want)
	}
}

func TestJoin(t *testing.T) {
	a := agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: "a", Timestamp: 1}
	b := agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: "b", Timestamp: 2}
	if got, ok := agui.Join(a, b); !ok || got.Delta != "ab" || got.Timestamp != 1 || a.Delta != "a" {
		t.Errorf("have %+v, %v", got, ok)
	}
	other, thought, tagged := b, b, b
	other.MessageID = "n"
	thought.Type = agui.ReasoningMessageContent
	tagged.Metadata = json.RawMessage(`{}`)
	for name, c := range map[string]agui.Event{"another message": other, "another type": thought,
		"with metadata": tagged} {
		if got, ok := agui.Join(a, c); ok || got.Delta != "a" {
			t.Errorf("%s: joined to %+v", name, got)
		}
	}
	if _, ok := agui.Join(tagged, a); ok {
		t.Error("joined to an event with metadata")
	}
	end := agui.Event{Type: agui.TextMessageEnd, MessageID: "m"}
	if _, ok := agui.Join(end, end); ok {
		t.Error("joined two ends")
	}
	one, two := agui.Event{Type: agui.ToolCallArgs, ToolCallID: "c", Delta: "{"},
		agui.Event{Type: agui.ToolCallArgs, ToolCallID: "d", Delta: "}"}
	if _, ok := agui.Join(one, two); ok {
		t.Error("joined the arguments of two calls")
	}
}

func TestDeferrable(t *testing.T) {
	for _, e := range everything() {
		want := e.Type == agui.TextMessageContent || e.Type == agui.ReasoningMessageContent ||
			e.Type == agui.ToolCallArgs
		if agui.Deferrable(e) != want {
			t.Errorf("%s: waits is %v", e.Type, !want)
		}
	}
}

// Of the values of one call's progress that wait for the same flush, only the newest remains.
func TestJoin_Progress(t *testing.T) {
	progress := func(call, done string) agui.Event {
		return agui.Event{Type: agui.Custom, Name: agui.ProgressName,
			Value: json.RawMessage(`{"toolCallId":"` + call + `","done":` + done + `}`)}
	}
	a, b := progress("c", "1"), progress("c", "2")
	if got, ok := agui.Join(a, b); !ok || string(got.Value) != string(b.Value) || !agui.Deferrable(a) {
		t.Errorf("joined to %s, %v", got.Value, ok)
	}
	delta := agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: "a"}
	for name, pair := range map[string][2]agui.Event{
		"another call": {a, progress("d", "2")}, "text": {a, delta}, "after text": {delta, a},
		"another event": {a, {Type: agui.Custom, Name: "carrel.source", Value: b.Value}},
	} {
		if got, ok := agui.Join(pair[0], pair[1]); ok {
			t.Errorf("%s: joined to %+v", name, got)
		}
	}
}

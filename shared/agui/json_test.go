package agui_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"carrel/shared/agui"
)

// everything returns every event that Carrel can produce, first with all fields, then without optional ones.
func everything() []agui.Event {
	full := append(aRun(), agui.Event{Type: agui.RunError, Message: "It failed.", Code: "model_error",
		Usage: []agui.Usage{{InputTokens: 1}}, Timestamp: 1, Metadata: agui.Marks{Incomplete: true}.Metadata()})
	seen := map[agui.EventType]bool{}
	for _, e := range full {
		seen[e.Type] = true
	}
	for kind := range seen {
		full = append(full, agui.Event{Type: kind})
	}
	return append(full, agui.Close(aRun()[:17])...)
}

func TestEvent_RoundTripWithoutNull(t *testing.T) {
	for _, e := range everything() {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("null")) {
			t.Errorf("null in %s", data)
		}
		var back agui.Event
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if !reflect.DeepEqual(back, e) {
			t.Errorf("%s came back as %+v, was %+v", data, back, e)
		}
	}
	for _, m := range fold(aRun()...) {
		data, err := json.Marshal(m)
		if err != nil || bytes.Contains(data, []byte("null")) {
			t.Errorf("message %s: %v", data, err)
		}
	}
}

func TestUsage_ZeroTokens(t *testing.T) {
	data, err := json.Marshal(agui.Usage{Model: "m"})
	if want := `{"model":"m","inputTokens":0,"outputTokens":0}`; err != nil || string(data) != want {
		t.Errorf("have %s, want %s", data, want)
	}
}

// FuzzEvent checks that a decoded event has a stable encoding, and that no event makes the fold or the check of order
// panic.
func FuzzEvent(f *testing.F) {
	for _, e := range everything() {
		data, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e agui.Event
		if json.Unmarshal(data, &e) != nil {
			return
		}
		once, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("decoded %q, cannot encode it: %v", data, err)
		}
		var again agui.Event
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("encoded %q, cannot decode it: %v", once, err)
		}
		twice, err := json.Marshal(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("encoded as %s, then as %s (%v)", once, twice, err)
		}
		var o agui.Order
		fold(aRun()[0], e, e)
		_ = o.Check(e)
		agui.Close([]agui.Event{e, e})
		agui.Join(e, e)
	})
}

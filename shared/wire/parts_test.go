package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// TestLongText shows which lengths are refused, and as what.
func TestLongText(t *testing.T) {
	run := func(text string) []byte {
		b, err := json.Marshal(map[string]any{"type": "run", "n": 1, "runId": "r", "threadId": "t",
			"messages": []any{map[string]any{"id": "m", "role": "user", "content": text}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, bad := wire.DecodeClient(run(strings.Repeat("x", wire.MaxText))); bad != nil {
		t.Errorf("the longest text: %+v", bad)
	}
	_, bad := wire.DecodeClient(run(strings.Repeat("x", wire.MaxText+1)))
	if bad == nil || bad.Code != wire.CodeTooLarge || bad.Field != "messages[0].content" {
		t.Errorf("a text that is too long: %+v", bad)
	}
	metadata := func(bytes int) []byte {
		return []byte(`{"type":"run","n":1,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user","content":"x","metadata":{"a":"` +
			strings.Repeat("x", bytes-len(`{"a":""}`)) + `"}}]}`)
	}
	if _, bad := wire.DecodeClient(metadata(wire.MaxMetadata)); bad != nil {
		t.Errorf("the longest metadata: %+v", bad)
	}
	_, bad = wire.DecodeClient(metadata(wire.MaxMetadata + 1))
	if bad == nil || bad.Code != wire.CodeTooLarge || bad.Field != "messages[0].metadata" {
		t.Errorf("metadata that is too long: %+v", bad)
	}
	_, bad = wire.DecodeClient(run(strings.Repeat("x", wire.MaxFrame)))
	if bad == nil || bad.Code != wire.CodeTooLarge || bad.Field != "" {
		t.Errorf("a frame that is too long: %+v", bad)
	}
	_, bad = wire.DecodeClient([]byte("{\"type\":\"runs\xff\"}"))
	if bad == nil || bad.Code != wire.CodeBadFrame {
		t.Errorf("a frame that is not UTF-8: %+v", bad)
	}
}

// TestLongPayload shows how long an answer may be: white space does not count.
func TestLongPayload(t *testing.T) {
	run := func(payload string) []byte {
		return []byte(`{"type":"run","n":1,"runId":"r","threadId":"t","messages":[],"resume":[{"interruptId":"i","status":"resolved","payload":` + payload + `}]}`)
	}
	if _, bad := wire.DecodeClient(run(`"` + strings.Repeat("x", wire.MaxPayload-2) + `"` + strings.Repeat(" ",
		100))); bad != nil {
		t.Errorf("the longest payload: %+v", bad)
	}
	_, bad := wire.DecodeClient(run(`"` + strings.Repeat("x", wire.MaxPayload-1) + `"`))
	if bad == nil || bad.Code != wire.CodeTooLarge || bad.Field != "resume[0].payload" {
		t.Errorf("a payload that is too long: %+v", bad)
	}
}

// TestParts splits a long frame and joins it in any order.
func TestParts(t *testing.T) {
	long := &wire.Snapshot{N: 1, ThreadID: "t", Epoch: "e", Seq: 9,
		Messages: []agui.Message{{ID: "m", Role: agui.RoleTool, Content: strings.Repeat("ä<>\"", 20_000)}}}
	id := strings.Repeat("i", chat.MaxID)
	messages, err := wire.Encode(long, id)
	if err != nil || len(messages) < 3 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	var j wire.Joiner
	var whole []byte
	for i := range messages {
		m := messages[len(messages)-1-i]
		if len(m) > wire.MaxFrame {
			t.Errorf("a part of %d bytes", len(m))
		}
		f, err := wire.DecodeServer(m)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // API Gateway's posts may be repeated
			if whole == nil {
				if whole, err = j.Add(f.(*wire.Part)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if (whole != nil) != (i == len(messages)-1) {
			t.Fatalf("whole after %d of %d parts", i+1, len(messages))
		}
	}
	f, err := wire.DecodeServer(whole)
	if err != nil {
		t.Fatal(err)
	}
	if have := f.(*wire.Snapshot); !reflect.DeepEqual(have.Messages, long.Messages) || have.Seq != 9 {
		t.Error("the joined frame is another one")
	}
	if _, err := wire.Encode(long, ""); err == nil {
		t.Error("a long frame without an id for its parts was encoded")
	}
}

// TestManyInterrupts: frames with many long questions leave as parts like all others, and come back the same.
func TestManyInterrupts(t *testing.T) {
	var open []agui.Interrupt
	for i := range wire.MaxResponses {
		open = append(open, agui.Interrupt{ID: chat.InterruptID(string(rune('a' + i))), Reason: agui.ReasonToolCall,
			Metadata: json.RawMessage(`{"carrel":{"arguments":"` + strings.Repeat("x", 8<<10) + `"}}`)})
	}
	for _, f := range []wire.ServerFrame{&wire.Ready{Interrupts: open}, &wire.Snapshot{Interrupts: open},
		&wire.Rejected{Code: wire.CodeInterrupted, Interrupts: open}} {
		messages, err := wire.Encode(f, "x")
		if err != nil || len(messages) < 2 {
			t.Fatalf("%T: %d messages, %v", f, len(messages), err)
		}
		var j wire.Joiner
		var whole []byte
		for _, m := range messages {
			if len(m) > wire.MaxFrame {
				t.Errorf("%T: a part of %d bytes", f, len(m))
			}
			p, err := wire.DecodeServer(m)
			if err != nil {
				t.Fatal(err)
			}
			if whole, err = j.Add(p.(*wire.Part)); err != nil {
				t.Fatal(err)
			}
		}
		again, err := wire.DecodeServer(whole)
		if err != nil {
			t.Fatal(err)
		}
		var have []agui.Interrupt
		switch f := again.(type) {
		case *wire.Ready:
			have = f.Interrupts
		case *wire.Snapshot:
			have = f.Interrupts
		case *wire.Rejected:
			have = f.Interrupts
		}
		if !reflect.DeepEqual(have, open) {
			t.Errorf("%T: the joined frame is another one", f)
		}
	}
}

func TestJoinerRefuses(t *testing.T) {
	part := func(id string, n, of int, data string) *wire.Part {
		return &wire.Part{ID: id, N: n, Of: of, Data: []byte(data)}
	}
	for name, ps := range map[string][]*wire.Part{
		"n 0":         {part("a", 0, 2, "x")},
		"n over of":   {part("a", 3, 2, "x")},
		"of too many": {part("a", 1, 1<<30, "x")},
		"no data":     {part("a", 1, 2, "")},
		"no id":       {part("", 1, 2, "x")},
		"too long":    {part("a", 1, 2, strings.Repeat("x", wire.MaxFrame))},
		"another of":  {part("a", 1, 2, "x"), part("a", 2, 3, "x")},
		"other data":  {part("a", 1, 2, "x"), part("a", 1, 2, "y")},
		"too many": {part("a", 1, 2, "x"), part("b", 1, 2, "x"), part("c", 1, 2, "x"), part("d", 1, 2, "x"),
			part("e", 1, 2, "x"),
			part("f", 1, 2, "x"), part("g", 1, 2, "x"), part("h", 1, 2, "x"), part("i", 1, 2, "x")},
	} {
		var j wire.Joiner
		for i, p := range ps {
			whole, err := j.Add(p)
			if refused := i == len(ps)-1; (err != nil) != refused || whole != nil {
				t.Errorf("%s: part %d: %v, %q", name, i, err, whole)
			}
		}
		// What was kept of the id is dropped: the same id begins anew.
		last := ps[len(ps)-1]
		if last.ID != "a" {
			continue
		}
		if whole, err := j.Add(part("a", 1, 1, "z")); err != nil || string(whole) != "z" {
			t.Errorf("%s: afterwards: %q, %v", name, whole, err)
		}
	}
}

// TestJoinerIsBounded: a peer that begins frames and never ends them does not fill the memory.
func TestJoinerIsBounded(t *testing.T) {
	var j wire.Joiner
	data, kept := make([]byte, 22<<10), 0
	for n := 1; n <= 1000; n++ {
		for id := range 8 {
			if _, err := j.Add(&wire.Part{ID: string(rune('a' + id)), N: n, Of: 1024, Data: data}); err != nil {
				if kept < 30<<20 {
					t.Errorf("after %d bytes: %v", kept, err)
				}
				return
			}
			if kept += len(data); kept > 32<<20 {
				t.Fatalf("%d bytes are kept", kept)
			}
		}
	}
	t.Error("everything was kept")
}

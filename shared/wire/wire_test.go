package wire_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// golden reads the scenarios of a folder: file name → section → text.
func golden(t *testing.T, folder string) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + folder + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in testdata/%s: %v", folder, err)
	}
	out := map[string]map[string]string{}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, f := range a.Files {
			sections[f.Name] = strings.TrimSpace(string(f.Data))
		}
		out[strings.TrimSuffix(filepath.Base(file), ".txtar")] = sections
	}
	return out
}

// TestClientFrames decodes the frame of each scenario: it is refused with exactly the error, or accepted and encoded
// again to exactly out.
func TestClientFrames(t *testing.T) {
	for name, s := range golden(t, "client") {
		t.Run(name, func(t *testing.T) {
			frame, bad := wire.DecodeClient([]byte(s["frame"]))
			if want, refused := s["error"]; refused {
				if bad == nil {
					t.Fatalf("accepted: %+v", frame)
				}
				same(t, encodeOne(t, bad), want)
				return
			}
			if bad != nil {
				t.Fatalf("refused: %+v", bad)
			}
			out, err := wire.EncodeClient(frame)
			if err != nil {
				t.Fatal(err)
			}
			same(t, string(out), s["out"])
		})
	}
}

// TestServerFrames decodes each message leniently and encodes it to out, or fails as error says.
func TestServerFrames(t *testing.T) {
	for name, s := range golden(t, "server") {
		t.Run(name, func(t *testing.T) {
			frame, err := wire.DecodeServer([]byte(s["message"]))
			if want, refused := s["error"]; refused {
				if err == nil || err.Error() != want {
					t.Fatalf("have error %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, encodeOne(t, frame), s["out"])
		})
	}
}

func same(t *testing.T, have, want string) {
	t.Helper()
	if have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

func encodeOne(t *testing.T, f wire.ServerFrame) string {
	t.Helper()
	out, err := wire.Encode(f, "x")
	if err != nil || len(out) != 1 {
		t.Fatalf("encode %T: %d messages, %v", f, len(out), err)
	}
	return string(out[0])
}

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

func TestEncodeClientRefusesWhatTheServerWould(t *testing.T) {
	for name, f := range map[string]wire.ClientFrame{
		"no n":       &wire.Hello{},
		"no message": &wire.Run{N: 1, RunID: "r", ThreadID: "t"},
		"bad id":     &wire.Cancel{RunID: "a b"},
		"no answer":  &wire.Run{N: 1, RunID: "r", ThreadID: "t", Resume: []agui.Resume{}},
		"no confirm": &wire.Erase{},
		"one device": &wire.SignOut{},
		"no title":   &wire.Rename{ThreadID: "t"},
		"role": &wire.Run{N: 1, RunID: "r", ThreadID: "t", Messages: []agui.Message{{ID: "m", Role: "tool",
			Content: "x"}}},
		"nil": nil,
	} {
		if out, err := wire.EncodeClient(f); err == nil {
			t.Errorf("%s: encoded as %s", name, out)
		}
	}
}

// TestEmptyLists: a nil slice goes out as [], on a copy: what others hold is not changed.
func TestEmptyLists(t *testing.T) {
	in := &agui.RunInput{ThreadID: "t", RunID: "r"}
	events := []agui.Event{{Type: agui.RunStarted, ThreadID: "t", RunID: "r", Input: in}}
	for _, f := range []wire.ServerFrame{&wire.Ready{}, &wire.Snapshot{}, &wire.Pong{}, &wire.Events{},
		&wire.ThreadList{},
		&wire.HistoryPage{}, &wire.RunList{}, &wire.Part{}, &wire.Events{Events: events}} {
		if out := encodeOne(t, f); strings.Contains(out, "null") {
			t.Errorf("%T has a null: %s", f, out)
		}
	}
	if in.Messages != nil || events[0].Input != in {
		t.Error("the caller's event was changed")
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

// What a provider wants back is in the log only. The event keeps its place in every frame, without the data.
func TestEncode_EmptiesWhatProvidersWantBack(t *testing.T) {
	const secret = "bm9ib2R5IHNlZXMgdGhpcw"
	value := secret
	events := []agui.Event{{Type: agui.Custom, Name: "x"}, {Type: agui.ReasoningEncryptedValue, Subtype: "message",
		EntityID: "m", EncryptedValue: &value}}
	frames, err := wire.Encode(&wire.Events{ThreadID: "t", Epoch: "e", Seq: 1, RunID: "r", Events: events}, "p")
	if err != nil {
		t.Fatal(err)
	}
	text := string(bytes.Join(frames, nil))
	want := `{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"m","encryptedValue":""}`
	if strings.Contains(text, secret) || !strings.Contains(text, want) {
		t.Errorf("the frame is %s", text)
	}
	if *events[1].EncryptedValue != secret {
		t.Error("the caller's events were changed")
	}
}

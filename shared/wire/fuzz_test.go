package wire_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"carrel/shared/wire"
	"carrel/shared/wire/wiretest"
)

func FuzzDecodeClient(f *testing.F) {
	for _, frame := range wiretest.Encoded(f, example()) {
		f.Add(frame)
	}
	for _, s := range []string{`{"type":"ping"}`, `{"type":"runs","requestId":"a"}`, `{"type":"erase","confirm":false}`,
		`{"type":"run","n":2,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user","content":"\ud800é"}],"whenBusy":"reject"}`,
		`{"type":"run","n":2,"runId":"r","threadId":"t","messages":[],"resume":[{"interruptId":"i","status":"resolved",` +
			`"payload":{"a":[1e9,null]}}]}`,
		`{"type":"run","n":2,"runId":"r","threadId":"t","messages":[],"resume":[{"interruptId":"i","status":"cancelled"},` +
			`{"interruptId":"i","status":"cancelled"}]}`,
		`{"type":"rename","threadId":"t","title":" a\u0020plan\t"}`,
		`{"a":1,"a":2}`, `[]`, `{"type":"hello","n":null}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, bad := wire.DecodeClient(data)
		if (frame == nil) == (bad == nil) {
			t.Fatalf("want a frame or an error: %v, %v", frame, bad)
		}
		if bad != nil {
			if bad.Code == "" || bad.Message == "" {
				t.Fatalf("an error that says nothing: %+v", bad)
			}
			return
		}
		again, err := wire.EncodeClient(frame)
		if err != nil {
			t.Fatalf("accepted, but not encoded: %v", err)
		}
		twice, bad := wire.DecodeClient(again)
		if bad != nil || !reflect.DeepEqual(frame, twice) {
			t.Fatalf("%s means something else than %s: %+v", again, data, bad)
		}
		var have, want any
		if json.Unmarshal(again, &have) != nil || json.Unmarshal(data, &want) != nil {
			t.Fatalf("%s or %s is no JSON", again, data)
		}
		if _, ok := frame.(*wire.Rename); ok { // a title is taken without the white space around it
			fields := want.(map[string]any)
			fields["title"] = strings.TrimSpace(fields["title"].(string))
		}
		if !reflect.DeepEqual(have, want) {
			t.Fatalf("%s is not %s", again, data)
		}
	})
}

func FuzzDecodeServer(f *testing.F) {
	for _, s := range []string{`{"type":"ready","n":1}`, `{"type":"events","seq":1,"events":[{"type":"RUN_STARTED"}]}`,
		`{"type":"rejected","runId":"r","code":"interrupted","interrupts":[{"id":"i"}],"retryAfterMs":1}`,
		`{"type":"runs","runs":[{"runId":"r","stats":{}}],"more":true}`, `{"type":"ready","interrupts":[{"id":"i","metadata":{}}]}`,
		`{"type":"part","id":"a","n":1,"of":1,"data":"eA=="}`, `{"message":"Forbidden"}`, `{"type":"nope"}`, `null`, `{"type":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := wire.DecodeServer(data)
		if (frame == nil) == (err == nil) {
			t.Fatalf("want a frame or an error: %v, %v", frame, err)
		}
		if err != nil {
			return
		}
		messages, err := wire.Encode(frame, "x")
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		var j wire.Joiner
		whole := messages[0]
		for _, m := range messages {
			if len(messages) == 1 {
				break
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
		if twice, err := wire.Encode(again, "x"); err != nil || !bytes.Equal(bytes.Join(twice, nil),
			bytes.Join(messages, nil)) {
			t.Fatalf("%s is encoded otherwise the second time: %v", whole, err)
		}
	})
}

// FuzzJoiner: whatever parts come, what it returns is only what their data can make, and it never keeps much.
func FuzzJoiner(f *testing.F) {
	f.Add([]byte{1, 2, 2, 2, 9, 9, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		var j wire.Joiner
		sum := 0
		for len(script) >= 4 {
			p := &wire.Part{ID: string(rune('a' + script[0]%20)), N: int(int8(script[1])), Of: int(int8(script[2])),
				Data: bytes.Repeat([]byte{script[3]}, int(script[3]))}
			script = script[4:]
			sum += len(p.Data)
			whole, err := j.Add(p)
			if whole != nil && (err != nil || len(whole) > sum) {
				t.Fatalf("%d bytes of %d, %v", len(whole), sum, err)
			}
		}
	})
}

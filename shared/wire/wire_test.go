package wire_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"carrel/shared/agui"
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

package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// What is somebody else's is noticed on a socket wherever it stands, also in a frame that comes in parts, which are base64.
func TestALookAtASocketNotices(t *testing.T) {
	alice := &person{name: "alice", secret: "secret-of-alice", threads: []chat.ThreadID{"thread-of-alice"}}
	bob := &person{name: "bob", secret: "secret-of-bob", threads: []chat.ThreadID{"thread-of-bob"}}
	long := strings.Repeat("x", 2*wire.MaxFrame)
	event := func(thread chat.ThreadID, delta string) *wire.Events {
		return &wire.Events{ThreadID: thread, Epoch: "e", Seq: 1, RunID: "r",
			Events: []agui.Event{{Type: agui.TextMessageContent, MessageID: "m", Delta: delta}}}
	}
	snapshot := func(thread chat.ThreadID, said string) *wire.Snapshot {
		return &wire.Snapshot{ThreadID: thread, Epoch: "e", Seq: 1, Messages: []agui.Message{{ID: "m", Role: agui.RoleUser, Content: said}}}
	}
	mine, yours := alice.threads[0], bob.threads[0]
	for name, c := range map[string]struct {
		frames  []wire.ServerFrame
		foreign int
		want    string // "": nothing is wrong
	}{
		"the own words":             {[]wire.ServerFrame{event(mine, alice.secret), snapshot(mine, alice.secret+long)}, 0, ""},
		"another's words":           {[]wire.ServerFrame{event(mine, bob.secret)}, 1, "something of bob"},
		"another's words, in parts": {[]wire.ServerFrame{snapshot(mine, long+bob.secret)}, 1, "something of bob"},
		"another's thread":          {[]wire.ServerFrame{event(yours, "x")}, 1, "was sent events of thread-of-bob"},
		"another's, in parts":       {[]wire.ServerFrame{snapshot(yours, long)}, 1, "something of bob"},
		"an event of two texts":     {[]wire.ServerFrame{event(mine, "a"), event(mine, "b")}, 0, "event 1 of thread"},
	} {
		s := &socket{who: alice, thread: mine}
		for _, f := range c.frames {
			messages, err := wire.Encode(f, "p")
			if err != nil {
				t.Fatal(err)
			}
			s.messages = append(s.messages, messages...)
		}
		got := s.look([]*person{alice, bob})
		told, err := json.Marshal(got.wrong)
		if err != nil {
			t.Fatal(err)
		}
		if got.foreign != c.foreign || (len(got.wrong) == 0) != (c.want == "") || !strings.Contains(string(told), c.want) {
			t.Errorf("%s: %d foreign frames, %s; want %d, and %q", name, got.foreign, told, c.foreign, c.want)
		}
		if n, _ := s.holding(bob.secret); strings.Contains(name, "words, in parts") != (n > 0 && len(s.messages) > 1) {
			t.Errorf("%s: %d messages hold the other's words", name, n)
		}
	}
}

// A secret is found in base64 whatever stands before it.
func TestASecretIsFoundInBase64(t *testing.T) {
	for before := range 7 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("{", before) + "secret-of-alice"))
		if !slices.ContainsFunc(inBase64("secret-"), func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("behind %d bytes: none of %q is in %s", before, inBase64("secret-"), text)
		}
	}
}

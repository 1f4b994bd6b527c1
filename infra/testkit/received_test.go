package testkit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Anything of another user is noticed wherever it stands in what a device was sent, also in a frame that is sent in
// parts, which are base64.
func TestDevice_InspectNoticesForeignContent(t *testing.T) {
	alice := &testkit.User{Name: "alice", Secret: "secret-of-alice", Threads: []chat.ThreadID{"thread-of-alice"}}
	bob := &testkit.User{Name: "bob", Secret: "secret-of-bob", Threads: []chat.ThreadID{"thread-of-bob"}}
	long := strings.Repeat("x", 2*wire.MaxFrame)
	event := func(thread chat.ThreadID, delta string) *wire.Events {
		return &wire.Events{ThreadID: thread, Epoch: "e", Seq: 1, RunID: "r",
			Events: []agui.Event{{Type: agui.TextMessageContent, MessageID: "m", Delta: delta}}}
	}
	snapshot := func(thread chat.ThreadID, text string) *wire.Snapshot {
		return &wire.Snapshot{ThreadID: thread, Epoch: "e", Seq: 1,
			Messages: []agui.Message{{ID: "m", Role: agui.RoleUser, Content: text}}}
	}
	own, foreign := alice.Threads[0], bob.Threads[0]
	for name, c := range map[string]struct {
		frames  []wire.ServerFrame
		foreign int
		want    string // "": no problem
	}{
		"own words": {[]wire.ServerFrame{event(own, alice.Secret), snapshot(own, alice.Secret+long)}, 0,
			""},
		"foreign words":           {[]wire.ServerFrame{event(own, bob.Secret)}, 1, "something of bob"},
		"foreign words, in parts": {[]wire.ServerFrame{snapshot(own, long+bob.Secret)}, 1, "something of bob"},
		"foreign thread":          {[]wire.ServerFrame{event(foreign, "x")}, 1, "was sent events of thread-of-bob"},
		"foreign, in parts":       {[]wire.ServerFrame{snapshot(foreign, long)}, 1, "something of bob"},
		"an event of two texts":   {[]wire.ServerFrame{event(own, "a"), event(own, "b")}, 0, "event 1 of thread"},
	} {
		d := &testkit.Device{User: alice, Thread: own}
		for _, f := range c.frames {
			messages, err := wire.Encode(f, "p")
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				d.Record(m)
			}
		}
		got := d.Inspect([]*testkit.User{alice, bob})
		problems, err := json.Marshal(got.Problems)
		if err != nil {
			t.Fatal(err)
		}
		if got.Foreign != c.foreign || (len(got.Problems) == 0) != (c.want == "") ||
			!strings.Contains(string(problems), c.want) {
			t.Errorf("%s: %d foreign frames, %s; want %d, and %q", name, got.Foreign, problems, c.foreign, c.want)
		}
		n, of := d.Containing(bob.Secret)
		if inParts := strings.Contains(name, "words, in parts"); inParts != (n > 0 && of > 1) {
			t.Errorf("%s: %d of %d messages contain the other user's secret", name, n, of)
		}
	}
}

package soak_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// The oracle takes what the scripted model says, also with a worker's death in it, and refuses what is lost or doubled.
func TestTheOracleNotices(t *testing.T) {
	o := newOracle()
	const question = "/say a mark\n/call calculator {\"expression\":\"6*7\"}\n/say the end"
	call := agui.ToolCall{ID: "c", Function: agui.FunctionCall{Name: "calculator", Arguments: `{"expression":"6*7"}`}}
	asks := agui.Message{Role: agui.RoleAssistant, Content: "a mark", ToolCalls: []agui.ToolCall{call}}
	result := agui.Message{Role: agui.RoleTool, ToolCallID: "c", Content: "42"}
	end := agui.Message{Role: agui.RoleAssistant, Content: "the end"}
	with := func(m agui.Message, content string) agui.Message { m.Content = content; return m }
	whole := []agui.Message{asks, result, end}
	for _, c := range []struct {
		name     string
		messages []agui.Message
		said     said
		fits     bool
	}{
		{"as it is", whole, said{outcome: success}, true},
		{"a worker died in its text", slices.Concat([]agui.Message{{Role: agui.RoleAssistant, Content: "a m"}}, whole),
			said{outcome: success}, true},
		{"a worker died in the end", []agui.Message{asks, result, with(end, "the "), end}, said{outcome: success},
			true},
		{"it was stopped, as somebody wished", []agui.Message{asks, result}, said{outcome: cancelled, stopped: true},
			true},
		{"it failed under faults", []agui.Message{{Role: agui.RoleAssistant, Content: "a m"}},
			said{outcome: failed, faulty: true}, true},
		{"a delta is lost", []agui.Message{with(asks, "a ark"), result, end}, said{outcome: success}, false},
		{"a delta is doubled", []agui.Message{asks, result, with(end, "the the end")}, said{outcome: success}, false},
		{"a message is doubled", []agui.Message{asks, result, end, end, end, end, end, end}, said{outcome: success},
			false},
		{"a result is lost", []agui.Message{asks, end}, said{outcome: success}, false},
		{"a result is another's", []agui.Message{asks, with(result, "43"), end}, said{outcome: success}, false},
		{"the end is lost", []agui.Message{asks, result}, said{outcome: success}, false},
		{"it was cancelled, and nobody wished so", []agui.Message{asks, result}, said{outcome: cancelled}, false},
		{"it failed on a good day", []agui.Message{asks, result}, said{outcome: failed}, false},
		{"nothing was said", nil, said{outcome: success}, false},
	} {
		c.said.question, c.said.messages = question, c.messages
		if err := o.check(c.said); (err == nil) != c.fits {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// What is somebody else's is noticed in any frame, also in one that comes in parts.
func TestTheListenerNotices(t *testing.T) {
	w := newWorld(1, nil, 2)
	d := &device{user: w.users[0], name: "u00.0", opened: map[chat.ThreadID]bool{"mine": true}}
	l := &listener{device: d, user: d.user}
	events := func(thread, delta string) []byte {
		return fmt.Appendf(nil,
			`{"type":"events","threadId":%q,"epoch":"e","seq":1,"runId":"r","events":[{"type":"TEXT_MESSAGE_CONTENT",`+
				`"messageId":"m","delta":%q}]}`, thread, delta)
	}
	long, err := wire.Encode(&wire.Snapshot{ThreadID: "mine", Epoch: "e", Seq: 1,
		Messages: []agui.Message{{ID: "m", Role: agui.RoleUser, Content: strings.Repeat("x", wire.MaxFrame) +
			w.users[1].mark}}}, "p")
	if err != nil || len(long) < 2 {
		t.Fatalf("%d parts, %v", len(long), err)
	}
	for i, c := range []struct {
		frames [][]byte
		want   string
	}{
		{[][]byte{events("mine", "hello")}, ""},
		{[][]byte{events("mine", w.users[1].mark)}, "something of u01"},
		{long[:len(long)-1], ""}, // base64, and not all of it
		{long[len(long)-1:], "something of u01"},
		{[][]byte{events("mine", "another")}, "two texts"},
		{[][]byte{events("yours", "hello")}, "never opened"},
		{[][]byte{[]byte("nonsense")}, "was sent"},
	} {
		before := len(w.wrong)
		for _, m := range c.frames {
			l.hear(m)
		}
		var found []string
		for _, s := range w.wrong[before:] {
			found = append(found, s.what)
		}
		if told := strings.Join(found, "; "); c.want == "" && told != "" || !strings.Contains(told, c.want) {
			t.Errorf("%d: noticed %q, want %q", i, told, c.want)
		}
	}
}

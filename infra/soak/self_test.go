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

// The oracle accepts the scripted model's answers, also after a worker died, and rejects lost and repeated messages.
func TestOracle_Check(t *testing.T) {
	o := newOracle()
	const question = "/say a mark\n/call calculator {\"expression\":\"6*7\"}\n/say the end"
	call := agui.ToolCall{ID: "c", Function: agui.FunctionCall{Name: "calculator", Arguments: `{"expression":"6*7"}`}}
	asks := agui.Message{Role: agui.RoleAssistant, Content: "a mark", ToolCalls: []agui.ToolCall{call}}
	result := agui.Message{Role: agui.RoleTool, ToolCallID: "c", Content: "42"}
	end := agui.Message{Role: agui.RoleAssistant, Content: "the end"}
	with := func(m agui.Message, content string) agui.Message { m.Content = content; return m }
	whole := []agui.Message{asks, result, end}
	for _, c := range []struct {
		name       string
		messages   []agui.Message
		transcript transcript
		fits       bool
	}{
		{"as it is", whole, transcript{outcome: success}, true},
		{"a worker died in its text", slices.Concat([]agui.Message{{Role: agui.RoleAssistant, Content: "a m"}}, whole),
			transcript{outcome: success}, true},
		{"a worker died in the end", []agui.Message{asks, result, with(end, "the "), end}, transcript{outcome: success},
			true},
		{"it was stopped on request", []agui.Message{asks, result}, transcript{outcome: cancelled, stopped: true},
			true},
		{"it failed under faults", []agui.Message{{Role: agui.RoleAssistant, Content: "a m"}},
			transcript{outcome: failed, faulty: true}, true},
		{"a delta is lost", []agui.Message{with(asks, "a ark"), result, end}, transcript{outcome: success}, false},
		{"a delta is doubled", []agui.Message{asks, result, with(end, "the the end")}, transcript{outcome: success},
			false},
		{"a message is doubled", []agui.Message{asks, result, end, end, end, end, end, end},
			transcript{outcome: success},
			false},
		{"a result is lost", []agui.Message{asks, end}, transcript{outcome: success}, false},
		{"a result is wrong", []agui.Message{asks, with(result, "43"), end}, transcript{outcome: success}, false},
		{"the end is lost", []agui.Message{asks, result}, transcript{outcome: success}, false},
		{"it was cancelled without a request", []agui.Message{asks, result}, transcript{outcome: cancelled}, false},
		{"it failed without faults", []agui.Message{asks, result}, transcript{outcome: failed}, false},
		{"there is no answer", nil, transcript{outcome: success}, false},
	} {
		c.transcript.question, c.transcript.messages = question, c.messages
		if err := o.check(c.transcript); (err == nil) != c.fits {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The listener finds another user's text in any frame, also in a frame that arrives in parts.
func TestListener_ForeignText(t *testing.T) {
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
		{[][]byte{events("mine", w.users[1].mark)}, "text of u01"},
		{long[:len(long)-1], ""}, // base64, and not all of it
		{long[len(long)-1:], "text of u01"},
		{[][]byte{events("mine", "another")}, "two texts"},
		{[][]byte{events("yours", "hello")}, "never opened"},
		{[][]byte{[]byte("nonsense")}, "received"},
	} {
		before := len(w.wrong)
		for _, m := range c.frames {
			l.receive(m)
		}
		var found []string
		for _, s := range w.wrong[before:] {
			found = append(found, s.what)
		}
		if got := strings.Join(found, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%d: noticed %q, want %q", i, got, c.want)
		}
	}
}

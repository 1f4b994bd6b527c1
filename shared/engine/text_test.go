package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// cuts returns all ways to cut a text into three pieces.
func cuts(s string) (all [][]string) {
	for i := range len(s) + 1 {
		for j := i; j <= len(s); j++ {
			all = append(all, []string{s[:i], s[i:j], s[j:]})
		}
	}
	return all
}

// A model's deltas may end inside a character. No event does, and events, log and tool have the same text. Invalid
// bytes become U+FFFD, and their number does not depend on the cuts.
func TestAnswer_SplitCharacters(t *testing.T) {
	given := make(chan string, 1)
	keeps, err := tool.Define("other", "", "all", func(_ context.Context, in input) (string, error) {
		given <- in.Say
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for written, want := range map[string]string{
		"aé€👍": "aé€👍", "a\xe2\x82": "a\ufffd\ufffd", "\xffé\xc3": "\ufffdé\ufffd",
		"\xf0\x9f\x91a": "\ufffd\ufffd\ufffda",
		"\xed\xa0\xbdz": "\ufffd\ufffd\ufffdz", "\xa9é": "\ufffdé",
	} {
		for _, pieces := range cuts(written) {
			var deltas []engine.Delta
			each := func(delta func(string) engine.Delta) {
				for _, p := range pieces {
					if p != "" {
						deltas = append(deltas, delta(p))
					}
				}
			}
			each(reasoning)
			each(text)
			deltas = append(deltas, start("other"), args(`{"say":"`))
			each(args)
			deltas = append(deltas, args(`"}`), stop(engine.StopTools))
			f := setUp(t, says(deltas, []engine.Delta{stop(engine.StopEnd)}), chat.Limits{}, keeps)
			f.run()
			said := map[agui.EventType]string{}
			for _, e := range f.sink.events {
				if !utf8.ValidString(e.Delta) {
					t.Errorf("%q: the delta %q ends inside a character", pieces, e.Delta)
				}
				said[e.Type] += e.Delta
			}
			for kind, want := range map[agui.EventType]string{
				agui.ReasoningMessageContent: want, agui.TextMessageContent: want, agui.ToolCallArgs: `{"say":"` +
					want + `"}`,
			} {
				if said[kind] != want {
					t.Errorf("%q: %s says %q, want %q", pieces, kind, said[kind], want)
				}
			}
			if got := <-given; got != want {
				t.Errorf("%q: the tool was given %q, want %q", pieces, got, want)
			}
		}
	}
}

// lines formats messages as one line each, with the message that each continues.
func lines(messages []agui.Message) string {
	names := map[string]string{}
	var b strings.Builder
	for _, m := range messages {
		names[m.ID] = fmt.Sprintf("%c", 'A'+len(names))
		fmt.Fprintf(&b, "%s %s %q", names[m.ID], m.Role, m.Content)
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, " calls %s", c.Function.Arguments)
		}
		if first := agui.MarksOf(m.Metadata).Continues; first != "" {
			fmt.Fprintf(&b, " continues %s", names[first])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Text that opens again is a new message, so that no view shows it before the reasoning or call that it followed. The
// model receives one message, in this run and the next, and the run counts one model call.
func TestAnswer_TextOpensAgain(t *testing.T) {
	m := says([]engine.Delta{text("one"), reasoning("hm"), text("two"), start("echo"), args(`{"say":"1"}`),
		text("three"),
		reasoning("so"), start("echo"), args(`{"say":"2"}`), start("echo"), args(`{"say":"3"}`),
		stop(engine.StopTools)},
		[]engine.Delta{text("Done."), reasoning("?"), text("Really."), stop(engine.StopEnd)})
	f := setUp(t, m, chat.Limits{})
	f.run()
	want := `A assistant "one"
B reasoning "hm" continues A
C assistant "two" calls {"say":"1"} continues A
D tool "echo 1"
E assistant "three" continues A
F reasoning "so" continues A
G assistant "" calls {"say":"2"} calls {"say":"3"} continues A
H tool "echo 2"
I tool "echo 3"
J assistant "Done."
K reasoning "?" continues J
L assistant "Really." continues J
`
	if got := lines(f.messages()); got != want {
		t.Errorf("the person sees\n%s\nwant\n%s", got, want)
	}
	sent := `A user "hello"
B assistant "one\n\ntwo\n\nthree" calls {"say":"1"} calls {"say":"2"} calls {"say":"3"}
C tool "echo 1"
D tool "echo 2"
E tool "echo 3"
`
	if got := lines(m.asked[1].Messages); got != sent {
		t.Errorf("the model was sent\n%s\nwant\n%s", got, sent)
	}
	if got := agui.RunStats(f.sink.events); got.ModelCalls != 2 {
		t.Errorf("the events show %d model calls", got.ModelCalls)
	}
	next := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
	n := setUp(t, next, chat.Limits{})
	n.config.History = append(append(n.config.History, f.messages()...),
		agui.Message{ID: "u2", Role: agui.RoleUser, Content: "next"})
	n.run()
	short := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
	s := setUp(t, short, chat.Limits{})
	// a transcript without its beginning
	s.config.History = append(f.messages()[1:], agui.Message{ID: "u2", Role: agui.RoleUser, Content: "next"})
	s.run()
	if got := short.asked[0].Messages; len(got) != 6 || got[0].Content != "two\n\nthree" || len(got[0].ToolCalls) != 3 {
		t.Errorf("without the answer's beginning the model was sent\n%s", lines(got))
	}
	if got, want := lines(next.asked[0].Messages),
		sent+"F assistant \"Done.\\n\\nReally.\"\nG user \"next\"\n"; got != want {
		t.Errorf("the next run's model was sent\n%s\nwant\n%s", got, want)
	}
}

// The next run's history has the part of a stopped or cut answer that the person saw, with a mark.
func TestHistory_AnswerCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		deltas        []engine.Delta
		stopped, died string // what the model of the next run is sent
	}{
		"in a text": {[]engine.Delta{text("half")}, `"half [stopped here by the person]"`, `"half [cut off]"`},
		"in thinking behind": {[]engine.Delta{text("half"), reasoning("hm")}, `"half [stopped here by the person]"`,
			`"half [cut off]"`},
		"in the second text": {[]engine.Delta{text("a"), reasoning("b"), text("c")},
			`"a\n\nc [stopped here by the person]"`, `"a\n\nc [cut off]"`},
		"in thinking": {[]engine.Delta{reasoning("hm")}, "", ""},
		"in arguments": {[]engine.Delta{text("a"), start("echo"), args(`{"s`)},
			`"a [stopped here by the person]"`, `"a [cut off]"`},
		"in the first call": {[]engine.Delta{start("echo"), args(`{"s`)}, `"[stopped here by the person]"`,
			`"[cut off]"`},
	} {
		for _, cause := range []error{engine.ErrCancelled, nil} { // nil: the time limit
			synctest.Test(t, func(t *testing.T) {
				f := setUp(t, then(hangs, c.deltas...), chat.Limits{RunTime: 20 * time.Second})
				if cause != nil {
					time.AfterFunc(time.Second, func() { f.uc.Cancel(cause) })
				}
				f.run()
				next := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
				n := setUp(t, next, chat.Limits{})
				n.config.History = append(append(n.config.History, f.messages()...),
					agui.Message{ID: "u2", Role: agui.RoleUser, Content: "next"})
				n.run()
				want, answer := "A user \"hello\"\n", c.died
				if cause != nil {
					answer = c.stopped
				}
				if answer != "" {
					want += "B assistant " + answer + "\nC user \"next\"\n"
				} else {
					want += "B user \"next\"\n"
				}
				if got := lines(next.asked[0].Messages); got != want {
					t.Errorf("%s, %v: the model was sent\n%s\nwant\n%s", name, cause, got, want)
				}
			})
		}
	}
}

// A worker's death also cuts an answer off, and the next attempt gives it again. If there is no next attempt, the
// history keeps the half answer that the person saw.
func TestHistory_AnswerAgain(t *testing.T) {
	half := agui.Message{ID: "a", Role: agui.RoleAssistant, Content: "half",
		Metadata: agui.Marks{Incomplete: true, Again: true}.Metadata()}
	whole := agui.Message{ID: "b", Role: agui.RoleAssistant, Content: "whole",
		Metadata: agui.Marks{Stop: "end"}.Metadata()}
	next := agui.Message{ID: "u2", Role: agui.RoleUser, Content: "next"}
	for want, history := range map[string][]agui.Message{
		"A user \"hello\"\n": {half},
		"A user \"hello\"\nB assistant \"whole\"\nC user \"next\"\n":          {half, whole, next},
		"A user \"hello\"\nB assistant \"half [cut off]\"\nC user \"next\"\n": {half, next},
	} {
		m := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
		f := setUp(t, m, chat.Limits{})
		f.config.History = append(f.config.History, history...)
		f.run()
		if got := lines(m.asked[0].Messages); got != want {
			t.Errorf("the model was sent\n%s\nwant\n%s", got, want)
		}
	}
}

// Metadata that a client sends never counts as Carrel's marks, in whatever case its name is. The model receives the
// message.
func TestHistory_MetadataOfClients(t *testing.T) {
	said := agui.Message{ID: "u2", Role: agui.RoleUser, Content: "next",
		Metadata: []byte(`{"Carrel":{"again":true,"continues":"b"}}`)}
	whole := agui.Message{ID: "b", Role: agui.RoleAssistant, Content: "whole",
		Metadata: agui.Marks{Stop: "end"}.Metadata()}
	m := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
	f := setUp(t, m, chat.Limits{})
	f.config.History = append(f.config.History, whole, said)
	f.run()
	want := "A user \"hello\"\nB assistant \"whole\"\nC user \"next\"\n"
	if got := lines(m.asked[0].Messages); got != want {
		t.Errorf("the model was sent\n%s\nwant\n%s", got, want)
	}
}

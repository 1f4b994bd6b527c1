package agui_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
)

func size(messages []agui.Message) (n int) {
	for _, m := range messages {
		n += len(m.Content)
		for _, c := range m.ToolCalls {
			n += len(c.Function.Arguments)
		}
	}
	return n
}

// A text of any length takes at most MaxBytes, for every split into deltas, and a mark states how much is missing.
func TestFolder_LongText(t *testing.T) {
	f := agui.Folder{MaxBytes: 10_000}
	f.Add(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{{ID: "u",
		Role: agui.RoleUser, Content: "question"}}}})
	f.Add(agui.Event{Type: agui.TextMessageStart, MessageID: "m"})
	f.Add(agui.Event{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "calc", ParentMessageID: "m"})
	for range 30_000 {
		f.Add(agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: "é🎈"})
		f.Add(agui.Event{Type: agui.ToolCallArgs, ToolCallID: "c", Delta: "[1]"})
	}
	f.Add(agui.Event{Type: agui.TextMessageEnd, MessageID: "m", Metadata: agui.Marks{Incomplete: true}.Metadata()})
	got := f.Messages()
	if len(got) != 2 || got[0].Content != "question" || !agui.MarksOf(got[1].Metadata).Incomplete {
		t.Fatalf("folded to %+v", got)
	}
	text, mark, cut := strings.Cut(got[1].Content, " … ")
	if want := fmt.Sprintf("(%d bytes more)", 6*30_000-len(text)); !cut || mark != want ||
		strings.Trim(text, "é🎈") != "" || len(text) < 2000 || len(text) > 10_000 {
		t.Errorf("%d bytes are left, and %q", len(text), mark)
	}
	if got := got[1].ToolCalls[0].Function.Arguments; got != `{"cut":"90000 bytes"}` {
		t.Errorf("the arguments are %q", got)
	}
}

// With very many messages the older ones are dropped, calls together with their results. The user's messages stay.
func TestFolder_CutBetweenClusters(t *testing.T) {
	const family = "👨‍👩‍👧‍👦"
	f := agui.Folder{MaxBytes: 3030}
	f.Add(agui.Event{Type: agui.TextMessageStart, MessageID: "m"})
	for range 2000 {
		for _, c := range family {
			f.Add(agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: string(c)})
		}
	}
	for _, m := range [][]agui.Message{f.Messages(), f.Truncated(700)} {
		text, _, cut := strings.Cut(m[0].Content, " … ")
		if !cut || text == "" || strings.ReplaceAll(text, family, "") != "" {
			t.Errorf("cut to %+q", text)
		}
	}
}

func TestFolder_ManyMessages(t *testing.T) {
	f := agui.Folder{MaxBytes: 20_000}
	f.Add(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{{ID: "u",
		Role: agui.RoleUser, Content: "question"}}}})
	const calls = 5000
	for n := range calls {
		id := fmt.Sprint("m", n)
		result := "result " + id
		for _, e := range []agui.Event{
			{Type: agui.TextMessageStart, MessageID: id},
			{Type: agui.ToolCallStart, ToolCallID: id + ".call", ToolCallName: "calc", ParentMessageID: id},
			{Type: agui.ToolCallArgs, ToolCallID: id + ".call", Delta: "{}"},
			{Type: agui.ToolCallResult, ToolCallID: id + ".call", MessageID: id + ".result", Content: &result},
		} {
			f.Add(e)
		}
	}
	got := f.Messages()
	if len(got) > 80 || got[0].Content != "question" || got[len(got)-1].Content != fmt.Sprint("result m", calls-1) {
		t.Fatalf("%d messages, from %+v to %+v", len(got), got[0], got[len(got)-1])
	}
	var gone int
	if _, err := fmt.Sscanf(got[1].Content, "… (%d messages more)", &gone); err != nil || gone+len(got)-2 != 2*calls {
		t.Errorf("%q stands for the rest: %d of %d are here", got[1].Content, len(got)-2, 2*calls)
	}
	for i := 2; i < len(got); i += 2 {
		if len(got[i].ToolCalls) != 1 || got[i+1].ToolCallID != got[i].ToolCalls[0].ID {
			t.Fatalf("message %d is %+v, with the result %+v", i, got[i], got[i+1])
		}
	}
}

// A folder within its bound keeps everything, and a clone is independent.
func TestFolder_Clone(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		bounded, plain := agui.Folder{MaxBytes: 1 << 20}, agui.Folder{}
		add := func(f *agui.Folder, n int, rng *rand.Rand) {
			for range n {
				f.Add(anyEvent(rng))
			}
		}
		own := rng.Uint64()
		add(&bounded, 30, rand.New(rand.NewPCG(own, 1)))
		add(&plain, 30, rand.New(rand.NewPCG(own, 1)))
		before := bounded.Messages()
		if !reflect.DeepEqual(before, plain.Messages()) {
			t.Fatalf("seed %d: with room it folds to %+v, without to %+v", seed, before, plain.Messages())
		}
		clone := bounded.Clone()
		add(clone, 10, rand.New(rand.NewPCG(own, 2)))
		if !reflect.DeepEqual(bounded.Messages(), before) {
			t.Fatalf("seed %d: its clone changed it", seed)
		}
		add(&plain, 10, rand.New(rand.NewPCG(own, 2)))
		if !reflect.DeepEqual(clone.Messages(), plain.Messages()) {
			t.Fatalf("seed %d: the clone folds to %+v, want %+v", seed, clone.Messages(), plain.Messages())
		}
	}
}

func anyEvent(rng *rand.Rand) agui.Event {
	id, call, result := fmt.Sprint("m", rng.IntN(4)), fmt.Sprint("c", rng.IntN(4)), "done"
	return []agui.Event{
		{Type: agui.TextMessageStart, MessageID: id}, {Type: agui.TextMessageContent, MessageID: id, Delta: "text "},
		{Type: agui.TextMessageEnd, MessageID: id, Metadata: agui.Marks{Incomplete: true}.Metadata()},
		{Type: agui.ToolCallStart, ToolCallID: call, ToolCallName: "calc", ParentMessageID: id},
		{Type: agui.ToolCallArgs, ToolCallID: call, Delta: "[1]"},
		{Type: agui.ToolCallResult, ToolCallID: call, MessageID: call + ".result", Content: &result},
	}[rng.IntN(6)]
}

// For all streams the folder holds about MaxBytes at most.
func TestFolder_MaxBytes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		f := agui.Folder{MaxBytes: 4000 + rng.IntN(10_000)}
		for n := range 3000 {
			e := anyEvent(rng)
			if e.Delta != "" {
				e.Delta = strings.Repeat("ü", 1+rng.IntN(300))
			}
			if rng.IntN(20) == 0 { // more and more messages
				e = agui.Event{Type: agui.TextMessageStart, MessageID: fmt.Sprint("more", n)}
			}
			f.Add(e)
			if n%100 == 0 {
				if got := size(f.Messages()); got > f.MaxBytes+2000 {
					t.Fatalf("seed %d: %d bytes are held, with room for %d", seed, got, f.MaxBytes)
				}
			}
		}
	}
}

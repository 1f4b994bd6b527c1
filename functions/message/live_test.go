package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/store"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

// Windows that say hello at any moment of a run, while its emitter posts, lack nothing that one more hello does not
// bring, and no window that has said hello misses the last event.
func TestHello_DuringRun(t *testing.T) {
	t.Attr("row", "C2: a hello at each moment of a run")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	author := r.window("alice", "author=")
	author.send(hi)
	h, err := author.store().Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	const events = 300
	live := make(chan int, events) // the progress of the run
	var windows sync.WaitGroup
	moments := map[int]window{}
	for i := range 9 { // with the author as many as a user may have
		moments[random.IntN(events)] = r.window("alice", fmt.Sprintf("w%d=", i))
	}
	windows.Go(func() {
		for at := range live {
			if w, ok := moments[at]; ok {
				windows.Go(func() {
					if err := w.try(`{"type":"hello","n":1,"threadId":"t"}`); err != nil {
						t.Error(err)
					}
				})
			}
		}
	})
	author.emits(h, live, events)
	windows.Wait()
	for _, w := range moments {
		w.complete(h)
	}
	t.Attr("figure", fmt.Sprintf("hellos of %d windows at random moments of a run of %d steps: none lacks an event",
		len(moments), events))
}

// emits plays turn with the real emitter and ends the run, reporting after each event.
func (w window) emits(h *store.Lease, live chan<- int, events int) {
	w.t.Helper()
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	uc, err := usercontext.New(w.t.Context(), usercontext.Config{User: w.user, Thread: "t", Run: "r1", Request: "q"})
	check(err)
	e, err := emit.New(w.t.Context(), emit.Config{
		User: uc, Epoch: h.Thread().Epoch, Log: h, Connections: w.store(), Poster: w.edge,
		After: func(d time.Duration) <-chan time.Time { return time.After(d / 50) },
	})
	check(err)
	check(e.Emit(w.t.Context(), emit.Started(h.Input().RunInput(), h.Input().Agent, w.at)))
	for i := range events {
		check(e.Emit(w.t.Context(), agui.Event{Type: agui.StepStarted, StepName: fmt.Sprint(i)}))
		check(e.Emit(w.t.Context(), agui.Event{Type: agui.StepFinished, StepName: fmt.Sprint(i)}))
		if i%3 == 0 {
			check(e.Sync(w.t.Context()))
		}
		live <- i
	}
	check(e.Drain(w.t.Context()))
	last := []agui.Event{{Type: agui.RunFinished, ThreadID: "t", RunID: "r1"}}
	ended, err := h.End(w.t.Context(), last)
	check(err)
	e.Deliver(ended.Seq, last, nil)
	check(e.Finish(w.t.Context()))
	check(uc.Close(w.t.Context()))
	close(live)
}

// complete applies what the window was posted, as a client does, and has it say hello once more if there is a gap.
func (w window) complete(h *store.Lease) {
	w.t.Helper()
	const want = 1 + 2*300 + 1
	seen := map[chat.Seq]string{}
	cursor := chat.Seq(0)
	apply := func(frames []wire.ServerFrame) {
		for _, f := range frames {
			switch f := f.(type) {
			case *wire.Snapshot:
				cursor = max(cursor, f.Seq)
			case *wire.Events:
				for i, e := range f.Events {
					at := f.Seq + chat.Seq(i)
					text := string(e.Type) + e.StepName
					if was, ok := seen[at]; ok && was != text {
						w.t.Errorf("%s: event %d is %s and %s", w.id, at, was, text)
					}
					seen[at] = text
				}
			}
		}
		for seen[cursor+1] != "" {
			cursor++
		}
	}
	apply(w.edge.Frames(w.id))
	if cursor < want && !strings.HasPrefix(seen[want], string(agui.RunFinished)) {
		w.t.Errorf("%s has %d of %d events, and not the last one", w.id, cursor, want)
	}
	apply(w.send(fmt.Sprintf(`{"type":"hello","n":2,"threadId":"t","cursor":{"epoch":%q,"seq":%d}}`, h.Thread().Epoch,
		cursor)))
	if cursor != want {
		w.t.Errorf("%s has %d of %d events after one more hello", w.id, cursor, want)
	}
}

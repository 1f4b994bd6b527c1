package store_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// grown is by how many bytes what is alive, and what the process has from the machine, have grown since.
func (m memory) grown() (alive, process int64) {
	now := measured()
	return now.alive - m.alive, now.process - m.process
}

type memory struct{ alive, process int64 }

func measured() memory {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	process := int64(s.Sys) // before the collection: with all that was garbage
	runtime.GC()
	runtime.ReadMemStats(&s)
	return memory{int64(s.HeapAlloc), process}
}

// TestAHolderStaysSmall: what a run says does not stay in its worker, however much it is: not of the attempt that says
// it, not of one that goes on from there. CARREL_MEMORY names how many MB are said, 8 where it names none.
func TestAHolderStaysSmall(t *testing.T) {
	t.Attr("row", "B6: a worker keeps none of the text that its run streams")
	said := 8
	if n, err := strconv.Atoi(os.Getenv("CARREL_MEMORY")); err == nil {
		said = n
	}
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.isMoto(t) { // which is slow, and another process
			staysSmall(t, storetest.NewWorld(t, o.client(nil)), said)
		}
	})
}

func staysSmall(t *testing.T, w *storetest.World, said int) {
	const mb = 1 << 20
	alice := w.As("alice")
	w.Complete(alice, "r0", "t1", "warm")
	before := measured()
	grew := int64(0)
	within := func(what string, most int64) {
		t.Helper()
		alive, process := before.grown()
		grew = max(grew, alive)
		t.Logf("%s: %.1f MB more are alive, the process has %.1f MB more", what, float64(alive)/mb, float64(process)/mb)
		if alive > most || process > 32*mb {
			t.Errorf("%s: %d bytes more are alive, and the process has %d more", what, alive, process)
		}
	}
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, storetest.Started(h))
	say(w, h, said*mb)
	within(fmt.Sprintf("%d MB said", said), 2*mb)
	runtime.KeepAlive(h)
	w.Clock.Advance(time.Minute)
	h = w.Claim(alice, "r1")
	within("claimed again", min(int64(said)*mb*5/4, 10*mb)+2*mb)
	if got := h.PreviousEvents(); got[0].Type != agui.RunStarted || (got[len(got)-1].Delta == " … (more was said)") != (said >= 8) {
		t.Errorf("the second attempt has %d events, the last says %.40q", len(got), got[len(got)-1].Delta)
	}
	say(w, h, mb)
	w.End(h, storetest.Failed())
	within("ended", min(int64(said)*mb*5/4, 10*mb)+2*mb)
	runtime.KeepAlive(h)
	t.Attr("figure", fmt.Sprintf("%d MB said: at most %.1f MB more alive in its worker and in the next one", said, float64(grew)/mb))
}

// say appends size bytes of text as the emitter does: many deltas of one message in records of 256 KB.
func say(w *storetest.World, h *store.Lease, size int) {
	id := fmt.Sprint("m", h.Run().Fence)
	w.Append(h, agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant})
	for range size / (256 << 10) {
		record := make([]agui.Event, 16)
		for i := range record {
			record[i] = agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: strings.Repeat("x", 16<<10)}
		}
		w.Append(h, record...)
	}
}

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

// grown returns by how many bytes the live heap and the memory of the process have grown since.
func (m memory) grown() (alive, process int64) {
	now := measured()
	return now.alive - m.alive, now.process - m.process
}

type memory struct{ alive, process int64 }

func measured() memory {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	process := int64(s.Sys) // read before the garbage collection, so with garbage
	runtime.GC()
	runtime.ReadMemStats(&s)
	return memory{int64(s.HeapAlloc), process}
}

// A worker does not keep the output of its run in memory, neither in the attempt that writes it nor in the next
// attempt. CARREL_MEMORY sets the size of the output in MB; the default is 8.
func TestLease_MemoryStaysSmall(t *testing.T) {
	t.Attr("row", "B6: a worker keeps none of the text that its run streams")
	said := 8
	if n, err := strconv.Atoi(os.Getenv("CARREL_MEMORY")); err == nil {
		said = n
	}
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.isMoto(t) { // moto is slow, and a separate process
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
		t.Logf("%s: the live heap has grown by %.1f MB, the process by %.1f MB", what, float64(alive)/mb,
			float64(process)/mb)
		if alive > most || process > 32*mb {
			t.Errorf("%s: the live heap has grown by %d bytes, the process by %d", what, alive, process)
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
	if got := h.PreviousEvents(); got[0].Type != agui.RunStarted ||
		(got[len(got)-1].Delta == " … (more was said)") != (said >= 8) {
		t.Errorf("the second attempt has %d previous events, the last with the text %.40q", len(got),
			got[len(got)-1].Delta)
	}
	say(w, h, mb)
	w.End(h, storetest.Failed())
	within("ended", min(int64(said)*mb*5/4, 10*mb)+2*mb)
	runtime.KeepAlive(h)
	t.Attr("figure", fmt.Sprintf("%d MB said: at most %.1f MB more alive in its worker and in the next one", said,
		float64(grew)/mb))
}

// say appends size bytes of text like the emitter: many deltas of one message, in records of 256 KB.
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

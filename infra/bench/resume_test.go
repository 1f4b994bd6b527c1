package bench_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// TestBenchResume measures the time from a hello whose cursor is 1,000 events behind to the first and the last missed
// event, on an open socket. For comparison it reads the same records directly from the store. The measurements
// alternate, and the resume runs twice in each round, which shows the machine's noise.
func TestBenchResume(t *testing.T) {
	needsTime(t)
	resumes, missed := size(150, 2), size(1000, 50) // of each kind, and events, each a record of its own
	s := startStack(t, stack.Config{Parameters: generous()})
	thread := chat.ThreadID(chat.NewID(time.Now()))
	own := direct(t, s.Endpoints(), "alice")
	fill(t, own, thread, 10, 1)
	fill(t, own, thread, missed, 1)
	th, err := own.Thread(t.Context(), thread)
	if err != nil {
		t.Fatal(err)
	}
	after := th.Head - chat.Seq(missed)
	d := open(t, s.Endpoints(), "alice", thread)
	var first, again, whole, read times
	for i := range resumes + 5 {
		a, all := resume(t, d, chat.Cursor{Epoch: th.Epoch, Seq: after})
		at := time.Now()
		records, err := own.Log(t.Context(), thread, th.Epoch, after, missed)
		if err != nil || len(records) != missed {
			t.Fatalf("%d records: %v", len(records), err)
		}
		straight := time.Since(at)
		b, _ := resume(t, d, chat.Cursor{Epoch: th.Epoch, Seq: after})
		if i >= 5 { // the first ones start processes
			first, again, whole, read = append(first, a), append(again, b), append(whole, all), append(read, straight)
		}
	}
	fmt.Printf("resume with %d missed, first event: p50 %.2f p95 %.2f ms; all: p50 %.2f p95 %.2f ms; directly from "+
		"the store: p50 %.2f p95 %.2f ms\n",
		missed, first.at(.5), first.at(.95), whole.at(.5), whole.at(.95), read.at(.5), read.at(.95))
	fmt.Printf("  p95 of the first event is %.2f× the store's; against itself %.2f× (p50 %.2f×)\n",
		first.at(.95)/read.at(.95), again.at(.95)/first.at(.95), again.at(.5)/first.at(.5))
}

// resume sends a hello and returns the time to the first events and to the last one.
func resume(t testing.TB, d *device, from chat.Cursor) (first, all time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	at := time.Now()
	err := d.sendHello(ctx, &from)
	for ready := false; err == nil && !(ready && d.next > d.head); {
		var word string
		switch word, err = d.await(ctx, `"type":"ready"`, `"type":"events"`); {
		case err == nil && word == `"type":"ready"`:
			ready = true
		case err == nil:
			if all = d.at.Sub(at); first == 0 {
				first = all
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return first, all
}

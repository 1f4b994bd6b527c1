package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// TestRequests compares the number of requests of each operation with the budget in docs/data.md.
func TestRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		spent := func(what string, most int) {
			t.Helper()
			total := 0
			for _, n := range s.wire.counts {
				total += n
			}
			if total > most {
				t.Errorf("%s made the requests %v, more than %d", what, s.wire.counts, most)
			}
			clear(s.wire.counts)
		}
		s.Admit(s.bad, "r1", "t1")
		spent("an admission", 2)
		s.Admit(s.bad, "r2", "t1")
		spent("an admission to the queue", 3)
		h := s.Claim(s.bad, "r1")
		spent("a claim", 3)
		s.Append(h, storetest.Started(h))
		if n := s.wire.counts["PutItem"]; n != 1 {
			t.Errorf("an append put %d items", n)
		}
		spent("an append", 1)
		if err := h.Renew(t.Context()); err != nil {
			t.Error(err)
		}
		spent("a heartbeat", 1)
		s.End(h, storetest.Finished(h))
		spent("an end", 2)
		if _, err := s.bad.StartQueued(t.Context()); err != nil {
			t.Error(err)
		}
		spent("a start of queued runs", 3)
		if page, next, err := s.bad.Runs(t.Context(), "", 1); err != nil || next == "" || len(page) != 1 {
			t.Errorf("listed %+v, %q, %v", page, next, err)
		}
		spent("a page of runs", 3)
		if page, _, err := s.bad.Threads(t.Context(), "", 1); err != nil || len(page) != 1 {
			t.Errorf("listed %+v, %v", page, err)
		}
		spent("a page of threads", 2)
		if _, err := s.bad.SaveNote(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		spent("a saved note", 2)
		if err := s.bad.DeleteNote(t.Context(), 1); err != nil {
			t.Error(err)
		}
		spent("a deleted note", 2)
	})
}

// TestRecord_Overhead: the attributes beside the events of a record are small enough that the record of one flush fits
// into one write unit of 1 KB.
func TestRecord_Overhead(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		id := "0190b5c6-7d3e-7a42-9f5e-2f1b4c8d6e70"
		s.Admit(s.good, chat.RunID(id), chat.ThreadID(id))
		h := s.Claim(s.bad, chat.RunID(id))
		var sent []byte
		s.wire.before[put] = func() { sent = s.wire.body }
		s.Append(h, storetest.Said(id, "x")...)
		var request struct {
			Item map[string]map[string]string
		}
		if err := json.Unmarshal(sent, &request); err != nil {
			t.Fatal(err)
		}
		size := 0
		for name, v := range request.Item {
			if name != "e" {
				size += len(name) + len(v["S"]) + len(v["N"])
			}
		}
		if size == 0 || size > 256 {
			t.Errorf("a record adds %d bytes to its events: %s", size, sent)
		}
	})
}

// The history that a model gets is read in two or three requests, however long the thread is, and little more than it
// is read.
func TestHistory_FewRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		short, long := strings.Repeat("x", 20), strings.Repeat("x", 20_000)
		for i, c := range []struct {
			runs, messages int // messages of each run
			text           string
			requests, read int // read: the number of runs returned
		}{
			{1, 2, short, 1, 1}, {10, 2, short, 2, 10}, {100, 2, short, 2, 100}, {1000, 2, short, 2, 100},
			{300, 1, short, 2, 200}, {100, 50, short, 1, 4}, {300, 2, long, 3, 27},
		} {
			th := store.Thread{ID: chat.ThreadID(fmt.Sprint("t", i)), Epoch: "e", Head: chat.Seq(c.runs)}
			s.writeTranscripts(th, c.messages, c.text)
			ts, _, err := s.bad.Transcripts(t.Context(), th, 0, 200)
			total := 0
			for _, n := range s.wire.counts {
				total += n
			}
			clear(s.wire.counts)
			t.Logf("%d runs of %d messages of %d bytes: %d requests", c.runs, c.messages, len(c.text), total)
			if err != nil || len(ts) != c.read || total > c.requests {
				t.Errorf("%+v: %d runs were returned in %d requests, %v", c, len(ts), total, err)
			}
		}
	})
}

// writeTranscripts writes transcripts of one event each up to the thread's head, directly into the table.
func (s *scene) writeTranscripts(th store.Thread, messages int, text string) {
	s.T.Helper()
	all := slices.Repeat([]agui.Message{{ID: "m", Role: agui.RoleUser, Content: text}}, messages)
	var puts []types.WriteRequest
	for seq := range int(th.Head) {
		run := chat.RunID(fmt.Sprint("r", seq))
		content, err := store.Pack(all, run)
		if err != nil {
			s.T.Fatal(err)
		}
		item, err := attributevalue.MarshalMap(map[string]any{
			"pk": fmt.Sprintf("U#alice#T#%s#%s", th.ID, th.Epoch), "sk": fmt.Sprintf("M#%012d", seq+1),
			"s": seq + 1, "l": seq + 1, "r": run, "f": 1, "m": content,
		})
		if err != nil {
			s.T.Fatal(err)
		}
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	for some := range slices.Chunk(puts, 25) {
		out, err := s.DB.BatchWriteItem(s.T.Context(),
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.Name: some}})
		if err != nil || len(out.UnprocessedItems) > 0 {
			s.T.Fatalf("%d items were not written: %v", len(out.UnprocessedItems[s.Name]), err)
		}
	}
}

// The most runs that a deployment may allow to run and to be queued are more than DynamoDB accepts in one request.
func TestRunQueue_LargestLimits(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if o.isMoto(t) {
			t.Log("not on moto: its transaction of 99 parts takes longer than a request may")
			return
		}
		w := storetest.NewWorld(t, o.client(nil))
		limited := func(runs int) *store.Store {
			w.Limits.Runs, w.Limits.Queued = runs, 110
			return storetest.As(t, w.With(w.DB), "alice")
		}
		alice := limited(1)
		w.Admit(alice, "r0", "t0")
		for i := range 110 {
			id := fmt.Sprintf("w%03d", i)
			if a := w.Admit(alice, chat.RunID(id), chat.ThreadID(id)); a.Position != i+1 {
				t.Fatalf("%s: %+v", id, a)
			}
		}
		alice = limited(100)
		started := 0
		for {
			some, err := alice.StartQueued(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if started += len(some); len(some) == 0 {
				break
			}
		}
		if d, err := alice.RunQueue(t.Context()); err != nil || started != 99 || len(d.Slots) != 100 ||
			len(d.Queued) != 11 {
			t.Errorf("%d of 110 runs were started, %d have slots and %d are queued, %v", started, len(d.Slots),
				len(d.Queued), err)
		}
	})
}

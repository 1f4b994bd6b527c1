package store_test

import (
	"encoding/json"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/store/storetest"
)

// TestRequests holds the store to the budget of docs/data.md.
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
				t.Errorf("%s took %v, which are more than %d", what, s.wire.counts, most)
			}
			clear(s.wire.counts)
		}
		s.Admit(s.bad, "r1", "t1")
		spent("an admission", 3)
		s.Admit(s.bad, "r2", "t1")
		spent("an admission to the queue", 4)
		h := s.Claim(s.bad, "r1")
		spent("a claim", 4)
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
		if _, err := s.bad.StartWaiting(t.Context()); err != nil {
			t.Error(err)
		}
		spent("a start of what waits", 3)
		if page, more, err := s.bad.Runs(t.Context(), "", 1); err != nil || !more || len(page) != 1 {
			t.Errorf("listed %+v, more %v, %v", page, more, err)
		}
		spent("a page of runs", 1)
	})
}

// TestRecordsAreSmall: what a record of the log adds to its events leaves room for a flush in one write unit of 1 KB.
func TestRecordsAreSmall(t *testing.T) {
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
			t.Errorf("a record adds %d bytes: %s", size, sent)
		}
	})
}

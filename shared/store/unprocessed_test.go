package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// throttle leaves the run queue out of the response to the first batch read and returns its key as unprocessed, as
// DynamoDB does for keys that it throttles.
type throttle struct {
	next  http.RoundTripper
	times int
}

func (h *throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := h.next.RoundTrip(req)
	if err != nil || !strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".BatchGetItem") || h.times > 0 {
		return res, err
	}
	h.times++
	var b batch
	if err := errors.Join(json.NewDecoder(res.Body).Decode(&b), res.Body.Close()); err != nil {
		return nil, err
	}
	for table, items := range b.Responses {
		for _, item := range items {
			if item["sk"]["S"] == "QUEUE" {
				key := map[string]any{"pk": item["pk"], "sk": item["sk"]}
				b.UnprocessedKeys = map[string]any{table: map[string]any{"ConsistentRead": true, "Keys": []any{key}}}
			}
		}
		b.Responses[table] = slices.DeleteFunc(items, func(item map[string]map[string]any) bool {
			return item["sk"]["S"] == "QUEUE"
		})
	}
	body, err := json.Marshal(b)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	res.Header.Del("X-Amz-Crc32")
	return res, err
}

// A batch read that leaves out the run queue does not make the user idle: neither a pong nor an admission, which read
// it so, may take an unprocessed key for a missing item.
func TestRows_UnprocessedKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		s.Admit(s.good, "r1", "t1")
		for name, works := range map[string]func(s *store.Store) bool{
			"pong": func(s *store.Store) bool {
				rows, err := s.Rows(t.Context(), store.Select{Thread: "t1", Queue: true})
				if err != nil {
					t.Fatal(err)
				}
				queue, err := rows.RunQueue()
				return err == nil && queue.Status("t1") == chat.ThreadRunning
			},
			"admission": func(s *store.Store) bool {
				second := storetest.Asked("r2", "t1")
				second.WhenBusy = chat.Reject
				_, err := s.Admit(t.Context(), second)
				return errors.Is(err, chat.ErrBusy)
			},
		} {
			h := &throttle{}
			alice := storetest.As(t,
				s.With(o.client(func(next http.RoundTripper) http.RoundTripper { h.next = next; return h })), "alice")
			if !works(alice) || h.times != 1 {
				t.Errorf("%s: the run of the thread is not seen", name)
			}
		}
	})
}

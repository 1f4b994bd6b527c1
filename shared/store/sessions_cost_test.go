package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// bill is a transport that adds up the requests and the write units that the engine reports.
type bill struct {
	next     http.RoundTripper
	requests int
	units    float64
}

func (b *bill) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := readCall(req)
	if err != nil {
		return nil, err
	}
	c.body = append([]byte(`{"ReturnConsumedCapacity":"TOTAL",`), c.body[1:]...)
	res, err := b.next.RoundTrip(c.request(req))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	b.requests++
	if c.writes() {
		var answer struct{ ConsumedCapacity json.RawMessage }
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		type consumed struct{ CapacityUnits float64 }
		var one consumed
		var many []consumed
		if json.Unmarshal(answer.ConsumedCapacity, &many) != nil && json.Unmarshal(answer.ConsumedCapacity,
			&one) == nil {
			many = []consumed{one}
		}
		for _, u := range many {
			b.units += u.CapacityUnits
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// TestConnectionCosts compares the costs with the table in docs/data.md, "Connections and sessions".
func TestConnectionCosts(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if o.isMoto(t) {
			t.Log("skipped on moto, which does not report the cost of a transaction")
			return
		}
		b := &bill{}
		w := storetest.NewWorld(t, o.client(nil))
		alice := storetest.As(t,
			w.With(o.client(func(next http.RoundTripper) http.RoundTripper { b.next = next; return b })), "alice")
		costs := func(what string, requests int, units float64, do func() error) {
			t.Helper()
			b.requests, b.units = 0, 0
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			t.Logf("%s: %d requests, %.0f write units", what, b.requests, b.units)
			if b.requests > requests || b.units > units {
				t.Errorf("%s: %d requests and %.0f write units, want at most %d and %.0f", what, b.requests, b.units,
					requests, units)
			}
		}
		row := func(n int) chat.Connection {
			return chat.Connection{
				ID:     chat.ConnectionID(fmt.Sprintf("L0SM9c%02dFiAHGg=", n)),
				Thread: chat.ThreadID(chat.NewID(time.Now())), N: 1,
				Connected: time.Now().Add(time.Duration(n) * time.Second), TokenExpires: time.Now().Add(time.Hour),
				SignedIn: time.Now(),
			}
		}
		connect := func(n int) func() error {
			return func() error { _, err := alice.Connect(t.Context(), row(n)); return err }
		}
		costs("the user's first connection", 2, 6, connect(0))
		for n := 1; n < 10; n++ {
			costs(fmt.Sprintf("connection %d", n+1), 1, 6, connect(n))
		}
		costs("a connection that evicts", 2, 10, connect(10))
		costs("a hello", 1, 1, func() error {
			c := row(10)
			c.N = 2
			_, err := alice.Watch(t.Context(), c)
			return err
		})
		costs("a disconnect", 1, 6, func() error { return alice.Disconnect(t.Context(), row(10).ID) })
		costs("a hello after the disconnect", 3, 7,
			func() error { _, err := alice.Watch(t.Context(), row(10)); return err })
		costs("a connection that a post finds closed", 1, 4,
			func() error { return alice.RemoveConnection(t.Context(), row(10).ID) })
		costs("a sign-out of nine connections", 2, 38, func() error {
			_,
				err := alice.EndSessions(t.Context(), store.Ending{})
			return err
		})
	})
}

package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store/storetest"
)

// Forty concurrent connects all succeed, and exactly ten rows remain.
func TestConnect_ManyAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		const count = 40
		w := storetest.NewWorld(t, o.client(nil))
		var wg sync.WaitGroup
		var mu sync.Mutex
		replaced := map[chat.ConnectionID]int{}
		for n := range count {
			wg.Go(func() {
				c := chat.Connection{ID: chat.ConnectionID(fmt.Sprintf("c%02d=", n)), Thread: "t1",
					Connected: time.UnixMilli(1_800_000_000_000 + int64(n))}
				evicted, err := w.As("alice").Connect(t.Context(), c)
				if err != nil {
					t.Errorf("%s: %v", c.ID, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, id := range evicted {
					replaced[id]++
				}
			})
		}
		wg.Wait()
		rows, err := w.As("alice").Connections(t.Context())
		if err != nil || len(rows) != 10 || len(replaced) != count-10 {
			t.Errorf("%d rows remain and %d were replaced, %v; want 10 and %d", len(rows), len(replaced), err, count-10)
		}
		for _, c := range rows {
			if replaced[c.ID] > 0 {
				t.Errorf("%s was replaced and has a row", c.ID)
			}
		}
		storetest.Verified(t, w.As("alice"))
	})
}

package storetest

import (
	"errors"
	"maps"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// Marked returns the mark of an answer that used this many tokens.
func Marked(n, input, output int) agui.Event {
	return agui.CustomEvent(agui.CustomAnswer, agui.Answer{
		N: n, Stop: "end", Provider: "test", Model: "none",
		Usage: &agui.Usage{InputTokens: input, OutputTokens: output},
	})
}

// dayTokens: the end of a run adds the tokens of all its attempts to the count of the UTC day, whichever function ends
// it. At the limit no run of the user is admitted until midnight, but known runs are answered. Other users have counts
// of their own.
func dayTokens(t *testing.T, w *World) {
	w.Limits.DayTokens = 100
	at := time.Date(2027, 3, 1, 20, 0, 0, 0, time.UTC)
	w.Table = store.New(w.DB, store.Config{Name: w.Name, Limits: w.Limits, Now: func() time.Time { return at }})
	alice, bob := w.As("alice"), w.As("bob")
	tokens := func(want map[string]int64) {
		t.Helper()
		if q := must[runqueue.Queue](t)(alice.RunQueue(t.Context())); !maps.Equal(q.Tokens, want) {
			t.Errorf("the tokens are %v, want %v", q.Tokens, want)
		}
	}
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h), Marked(1, 60, 30))
	w.Append(h, Marked(2, 0, 9))
	w.End(h, Finished(h))
	tokens(map[string]int64{"2027-03-01": 99})
	h = w.Begin(alice, "r2", "t1") // 99 of 100: one more run
	w.Append(h, Started(h), Marked(1, 1, 0))
	at = at.Add(time.Minute)
	dead := must[*store.Lease](t)(alice.ClaimExpired(t.Context(), "r2"))
	w.End(dead, Failed())
	tokens(map[string]int64{"2027-03-01": 100})
	refused := func(run chat.RunID, after time.Duration) {
		t.Helper()
		_, err := alice.Admit(t.Context(), Asked(run, "t2"))
		if spent := (*chat.BudgetError)(nil); !errors.As(err, &spent) || spent.After != after {
			t.Errorf("a run at the limit: %v, want a refusal for %v", err, after)
		}
	}
	refused("r3", 3*time.Hour+59*time.Minute)
	at = time.Date(2027, 3, 1, 23, 59, 59, 0, time.UTC)
	refused("r3", time.Second)
	w.Admit(alice, "r1", "t1") // a repeat
	w.Admit(bob, "r3", "t2")
	at = at.Add(time.Second)
	w.End(w.Begin(alice, "r3", "t2"), Failed())
	tokens(map[string]int64{"2027-03-01": 100})
	at = at.AddDate(0, 0, 1)
	w.Admit(alice, "r4", "t2") // removes the count of the day before yesterday
	tokens(map[string]int64{})
}

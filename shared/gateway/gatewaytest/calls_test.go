package gatewaytest_test

import (
	"sync"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
)

// Calls beside each other share a round, calls after each other do not, and time passes only between rounds.
func TestCalls_Rounds(t *testing.T) {
	calls := gatewaytest.NewCalls(t, store.Config{Limits: chat.DefaultLimits()})
	user := chattest.User(t, "alice")
	calls.Run(t, func(t *testing.T) {
		s, err := calls.Table.For(user)
		if err != nil {
			t.Fatal(err)
		}
		edge := gatewaytest.NewEdge(t)
		read := func() {
			if _, err := s.RunQueue(t.Context()); err != nil {
				t.Error(err)
			}
		}
		read()
		calls.Reset()
		var both sync.WaitGroup
		both.Go(read)
		both.Go(func() { <-time.After(time.Second); read() })
		both.Go(func() { read(); read() })
		both.Wait()
		if err := calls.Edge(edge).Turn(t.Context(), user, "r1"); err != nil {
			t.Error(err)
		}
		made := calls.Made()
		if len(made) != 5 || made[1].Round != 1 || made[2].Round != 2 || made[3].Round != 3 ||
			calls.Round("invoke turn") != 4 || calls.Round("GetItem QUEUE") != 1 || calls.Round("PutItem") != 0 {
			t.Errorf("the calls were\n%s", calls)
		}
		if got := edge.Invoked(); len(got) != 1 {
			t.Errorf("invoked %v", got)
		}
	})
}

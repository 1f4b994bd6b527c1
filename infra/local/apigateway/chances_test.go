package apigateway_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
)

// arrivals sends 20 messages on a socket and returns the order in which the function received them.
func arrivals(t *testing.T, change func(*apigateway.Config)) (order []string, log string) {
	t.Helper()
	received := make(chan []byte, 20)
	c := config(functions{"default": forwards(received)}, "$default")
	var mu sync.Mutex
	var lines strings.Builder
	c.Log = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines.WriteString(line + "\n")
	}
	change(&c)
	conn := dial(t, start(t, c))
	for i := range 20 {
		write(t, conn, fmt.Sprintf("%02d", i))
	}
	for range 20 {
		order = append(order, receive(t, received).Body)
	}
	mu.Lock()
	defer mu.Unlock()
	return order, lines.String()
}

// With Reorder, messages that are close together arrive in the order that the seed determines, and none is lost.
func TestReorder_Seed(t *testing.T) {
	order, log := arrivals(t, func(c *apigateway.Config) { c.Reorder, c.Seed = time.Second, 7 })
	random, delay := rand.New(rand.NewPCG(7, 1)), map[string]int64{}
	for i := range 20 {
		delay[fmt.Sprintf("%02d", i)] = random.Int64N(int64(time.Second))
	}
	for i, a := range order {
		for _, b := range order[i+1:] {
			if delay[a] > delay[b]+int64(300*time.Millisecond) { // a smaller difference may be scheduling noise
				t.Errorf("%s arrived before %s: %v", a, b, order)
			}
		}
	}
	if slices.Sort(order); len(slices.Compact(order)) != 20 {
		t.Errorf("some messages arrived twice: %v", order)
	}
	if !strings.Contains(log, "with seed 7") {
		t.Errorf("the log does not contain the seed:\n%s", log)
	}
}

func TestLoseDisconnects(t *testing.T) {
	for _, lose := range []bool{false, true} {
		received := make(chan []byte, 1)
		c := config(functions{"disconnect": forwards(received)}, "$disconnect")
		c.LoseDisconnects = lose
		g := start(t, c)
		if err := dial(t, g).CloseNow(); err != nil {
			t.Fatal(err)
		}
		if !lose {
			receive(t, received)
		}
		if err := g.Close(); err != nil { // waits for $disconnect functions
			t.Fatal(err)
		}
		if len(received) > 0 {
			t.Error("$disconnect was invoked despite LoseDisconnects")
		}
	}
}

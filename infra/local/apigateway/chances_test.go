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

// arrivals is the order in which a function gets the 20 messages of a socket.
func arrivals(t *testing.T, change func(*apigateway.Config)) (order []string, log string) {
	t.Helper()
	told := make(chan []byte, 20)
	c := config(functions{"default": tells(told)}, "$default")
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
		order = append(order, receive(t, told).Body)
	}
	mu.Lock()
	defer mu.Unlock()
	return order, lines.String()
}

// Messages that are close to each other overtake each other as the seed says, and none is lost.
func TestReordersOnRequest(t *testing.T) {
	order, log := arrivals(t, func(c *apigateway.Config) { c.Reorder, c.Seed = time.Second, 7 })
	dice, late := rand.New(rand.NewPCG(7, 1)), map[string]int64{}
	for i := range 20 {
		late[fmt.Sprintf("%02d", i)] = dice.Int64N(int64(time.Second))
	}
	for i, a := range order {
		for _, b := range order[i+1:] {
			if late[a] > late[b]+int64(300*time.Millisecond) { // less may be the machine's doing
				t.Errorf("%s came before %s: %v", a, b, order)
			}
		}
	}
	if slices.Sort(order); len(slices.Compact(order)) != 20 {
		t.Errorf("some came twice: %v", order)
	}
	if !strings.Contains(log, "reordered with seed 7") {
		t.Errorf("the seed is not told:\n%s", log)
	}
}

func TestLosesDisconnectOnRequest(t *testing.T) {
	for _, lose := range []bool{false, true} {
		told := make(chan []byte, 1)
		c := config(functions{"disconnect": tells(told)}, "$disconnect")
		c.LoseDisconnects = lose
		g := start(t, c)
		if err := dial(t, g).CloseNow(); err != nil {
			t.Fatal(err)
		}
		if !lose {
			receive(t, told)
		}
		if err := g.Close(); err != nil { // which waits for $disconnect
			t.Fatal(err)
		}
		if len(told) > 0 {
			t.Error("$disconnect came, though it was to be lost")
		}
	}
}

package apigateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
)

// A post answers as its fault says, and the client gets it only where the fault says that it was sent.
func TestFaultsOfPosts(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	g.SetFaults(apigateway.Faults{Post: func(p apigateway.Message) apigateway.PostFault {
		if p.Connection != id || string(p.Body) != fmt.Sprint(p.N) {
			t.Errorf("asked of %+v", p)
		}
		return []apigateway.PostFault{{}, {Status: 410}, {Status: 429}, {Status: 500}, {Status: 500, After: true},
			{}}[p.N-1]
	}})
	for i, want := range []int{0, 410, 429, 500, 500, 0} {
		if got := status(post(t, m, id, fmt.Sprint(i+1))); got != want {
			t.Errorf("post %d was answered %d, want %d", i+1, got, want)
		}
	}
	if got := []string{read(t, conn), read(t, conn), read(t, conn)}; !slices.Equal(got, []string{"1", "5", "6"}) {
		t.Errorf("arrived: %v", got)
	}
	g.SetFaults(apigateway.Faults{})
	if err := post(t, m, id, "after"); err != nil || read(t, conn) != "after" {
		t.Error("without faults it does not arrive: ", err)
	}
}

// A half-open socket takes posts and messages, and nothing arrives either way.
func TestFaultHalfOpen(t *testing.T) {
	told := make(chan []byte, 10)
	g, conn, id := connected(t, func(c *apigateway.Config) {
		c.Routes["$default"] = "default"
		c.Invoker.(functions)["default"] = tells(told)
	})
	m := management(g, "AKIA1")
	g.SetFaults(apigateway.Faults{Post: func(apigateway.Message) apigateway.PostFault { return apigateway.PostFault{HalfOpen: true} }})
	for range 3 {
		if err := post(t, m, id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	write(t, conn, "hello")
	if !g.Cut(id) || g.Cut(id) || len(g.Connections()) != 0 {
		t.Error("it could not be cut, or twice")
	}
	if _, text, err := conn.Read(t.Context()); err == nil {
		t.Errorf("%q came", text)
	}
	if err := g.Close(); err != nil || len(told) > 0 {
		t.Errorf("%d messages reached the function, %v", len(told), err)
	}
}

func TestFaultsOfMessages(t *testing.T) {
	told := make(chan []byte, 10)
	g, conn, id := connected(t, func(c *apigateway.Config) {
		c.Routes["$default"] = "default"
		c.Invoker.(functions)["default"] = tells(told)
	})
	m := management(g, "AKIA1")
	spoil := func(m apigateway.Message) apigateway.MessageFault {
		return []apigateway.MessageFault{{Drop: true}, {Repeat: true}, {Delay: 300 * time.Millisecond}, {}}[m.N-1]
	}
	g.SetFaults(apigateway.Faults{Inbound: spoil, Outbound: spoil})
	for i := range 4 {
		write(t, conn, fmt.Sprint("in", i))
		if err := post(t, m, id, fmt.Sprint("out", i)); err != nil {
			t.Fatal(err)
		}
	}
	var in, out []string
	for range 4 {
		in = append(in, receive(t, told).Body)
		out = append(out, read(t, conn))
	}
	slices.Sort(in) // functions run side by side
	if want := "in1 in1 in2 in3"; strings.Join(in, " ") != want {
		t.Errorf("functions got %v, want %s", in, want)
	}
	if want := "out1 out1 out3 out2"; strings.Join(out, " ") != want {
		t.Errorf("the client got %v, want %s", out, want)
	}
}

// The same seed gives the same faults, and shares that are none are refused.
func TestChancesFollowTheSeed(t *testing.T) {
	draw := func(seed uint64) (all []apigateway.PostFault) {
		f, err := apigateway.Chances{Seed: seed, Gone: .2, Throttled: .2, Failed: .1, Lost: .1, HalfOpen: .1}.Faults()
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			all = append(all, f.Post(apigateway.Message{}))
		}
		return all
	}
	if !slices.Equal(draw(1), draw(1)) || slices.Equal(draw(1), draw(2)) {
		t.Error("the faults do not follow the seed")
	}
	for _, c := range []apigateway.Chances{{Gone: -.1}, {Gone: .6, Lost: .6}, {DropIn: 1.1}} {
		if _, err := c.Faults(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

package apigateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
)

// A post gets the status of its fault, and the client receives only the messages that the faults let through.
func TestFaults_Posts(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	g.SetFaults(apigateway.Faults{Post: func(p apigateway.Message) apigateway.PostFault {
		if p.Connection != id || string(p.Body) != fmt.Sprint(p.N) {
			t.Errorf("fault requested for %+v", p)
		}
		return []apigateway.PostFault{{}, {Status: 410}, {Status: 429}, {Status: 500}, {Status: 500, After: true},
			{}}[p.N-1]
	}})
	for i, want := range []int{0, 410, 429, 500, 500, 0} {
		if got := status(post(t, m, id, fmt.Sprint(i+1))); got != want {
			t.Errorf("post %d got the status %d, want %d", i+1, got, want)
		}
	}
	if got := []string{read(t, conn), read(t, conn), read(t, conn)}; !slices.Equal(got, []string{"1", "5", "6"}) {
		t.Errorf("the client received %v", got)
	}
	g.SetFaults(apigateway.Faults{})
	if err := post(t, m, id, "after"); err != nil || read(t, conn) != "after" {
		t.Error("after the faults were cleared a post does not arrive: ", err)
	}
}

// A half-open socket accepts posts and messages, but delivers nothing in either direction.
func TestFaults_HalfOpen(t *testing.T) {
	received := make(chan []byte, 10)
	g, conn, id := connected(t, func(c *apigateway.Config) {
		c.Routes["$default"] = "default"
		c.Invoker.(functions)["default"] = forwards(received)
	})
	m := management(g, "AKIA1")
	g.SetFaults(apigateway.Faults{Post: func(apigateway.Message) apigateway.PostFault {
		return apigateway.PostFault{HalfOpen: true}
	}})
	for range 3 {
		if err := post(t, m, id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	write(t, conn, "hello")
	if !g.Cut(id) || g.Cut(id) || len(g.Connections()) != 0 {
		t.Error("the connection could not be cut, or could be cut twice")
	}
	if _, text, err := conn.Read(t.Context()); err == nil {
		t.Errorf("the client received %q", text)
	}
	if err := g.Close(); err != nil || len(received) > 0 {
		t.Errorf("%d messages reached the function, %v", len(received), err)
	}
}

func TestFaults_Messages(t *testing.T) {
	received := make(chan []byte, 10)
	g, conn, id := connected(t, func(c *apigateway.Config) {
		c.Routes["$default"] = "default"
		c.Invoker.(functions)["default"] = forwards(received)
	})
	m := management(g, "AKIA1")
	choose := func(m apigateway.Message) apigateway.MessageFault {
		return []apigateway.MessageFault{{Drop: true}, {Repeat: true}, {Delay: 300 * time.Millisecond}, {}}[m.N-1]
	}
	g.SetFaults(apigateway.Faults{Inbound: choose, Outbound: choose})
	for i := range 4 {
		write(t, conn, fmt.Sprint("in", i))
		if err := post(t, m, id, fmt.Sprint("out", i)); err != nil {
			t.Fatal(err)
		}
	}
	var in, out []string
	for range 4 {
		in = append(in, receive(t, received).Body)
		out = append(out, read(t, conn))
	}
	slices.Sort(in) // functions run concurrently
	if want := "in1 in1 in2 in3"; strings.Join(in, " ") != want {
		t.Errorf("the function received %v, want %s", in, want)
	}
	if want := "out1 out1 out3 out2"; strings.Join(out, " ") != want {
		t.Errorf("the client received %v, want %s", out, want)
	}
}

// The seed determines the faults, and invalid probabilities are rejected.
func TestChances_Faults(t *testing.T) {
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
			t.Errorf("%+v: no error", c)
		}
	}
}

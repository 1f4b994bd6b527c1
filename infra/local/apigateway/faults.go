package apigateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Faults says what goes wrong on the way of a message. Its functions are asked once for each message, concurrently, and
// must not block; nil ones let everything pass.
type Faults struct {
	Post     func(Message) PostFault    // posts to @connections that would be taken otherwise
	Inbound  func(Message) MessageFault // messages from clients, before their function is invoked
	Outbound func(Message) MessageFault // messages to clients, after the post was answered
}

// Message is one message of a connection.
type Message struct {
	Connection string
	N          int // of its kind on this connection, from 1
	Body       []byte
}

// PostFault is what becomes of a post. The zero value is nothing.
type PostFault struct {
	Status   int  // of the answer: 410, 429 or 500; 0: none
	After    bool // the message is sent all the same, and only the answer is wrong
	HalfOpen bool // from now on the socket is dead and nobody knows: posts are taken, and nothing goes either way
}

// MessageFault is what becomes of a message. The zero value is nothing.
type MessageFault struct {
	Drop   bool
	Repeat bool          // it comes twice
	Delay  time.Duration // later ones overtake it
}

// SetFaults has other faults, or none, from the next message on.
func (g *Gateway) SetFaults(f Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = f
}

// Cut ends a connection as a broken line does: the client is told nothing, and what waits for it is lost. It reports
// whether there was one.
func (g *Gateway) Cut(connection string) bool {
	s := g.socket(connection)
	if s == nil {
		return false
	}
	s.end(abandoned())
	return true
}

// Connections are the open ones.
func (g *Gateway) Connections() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := make([]string, 0, len(g.sockets))
	for id := range g.sockets {
		ids = append(ids, id)
	}
	return ids
}

func (g *Gateway) faultsNow() Faults {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.faults
}

// counts are how many messages of each kind a socket has had while there were faults.
type counts struct {
	mu                  sync.Mutex
	posts, inbound, out int
}

func (c *counts) next(of *int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	*of++
	return *of
}

// post sends a message to the client, or makes the fault of it.
func (s *socket) post(body []byte) error {
	ask := s.g.faultsNow().Post
	if ask == nil {
		return s.deliver(body)
	}
	f := ask(Message{s.id, s.counts.next(&s.counts.posts), body})
	if f.HalfOpen {
		s.dead.Store(true)
	}
	if f.Status == 0 {
		return s.deliver(body)
	}
	if f.After {
		if err := s.deliver(body); err != nil {
			return err
		}
	}
	return injected(f.Status)
}

// injected is the status of an answer that is a fault on request.
type injected int

func (i injected) Error() string { return fmt.Sprintf("injected: %d", int(i)) }

// deliver sends a message that was taken, as its fault says. What is delayed is taken whatever the buffer's size.
func (s *socket) deliver(body []byte) error {
	if s.dead.Load() {
		return nil
	}
	ask := s.g.faultsNow().Outbound
	if ask == nil {
		return s.send(body)
	}
	f := ask(Message{s.id, s.counts.next(&s.counts.out), body})
	if f.Drop {
		return nil
	}
	if f.Repeat {
		if err := s.send(body); err != nil {
			return err
		}
	}
	if f.Delay == 0 {
		return s.send(body)
	}
	s.g.running.Go(func() {
		s.hold(f.Delay)
		if err := s.send(body); err != nil {
			s.g.logf("a delayed message of %s is lost: %v", s.id, err)
		}
	})
	return nil
}

// inbound hands a client's message to its function, as its fault says.
func (s *socket) inbound(message []byte) bool {
	if s.dead.Load() {
		return true
	}
	ask := s.g.faultsNow().Inbound
	if ask == nil {
		return s.dispatch(message, 0)
	}
	f := ask(Message{s.id, s.counts.next(&s.counts.inbound), message})
	if f.Drop {
		return true
	}
	if f.Repeat && !s.dispatch(message, 0) {
		return false
	}
	return s.dispatch(message, f.Delay)
}

// Chances are faults at random, as shares from 0 to 1 of the messages that can meet them.
type Chances struct {
	Seed                        uint64  // of all chances; 0: they cannot be replayed
	Gone, Throttled, Failed     float64 // posts answered 410, 429 and 500, and nothing was sent
	Lost                        float64 // posts that were sent, and answered 500
	HalfOpen                    float64 // posts after which the socket is dead and nobody knows
	DropIn, RepeatIn, DelayIn   float64 // messages from clients
	DropOut, RepeatOut, LateOut float64 // messages to clients
	Delay                       time.Duration
}

// Faults makes the faults. It fails if the shares are no shares.
func (c Chances) Faults() (Faults, error) {
	groups := [...][]float64{
		{c.Gone, c.Throttled, c.Failed, c.Lost, c.HalfOpen}, {c.DropIn, c.RepeatIn, c.DelayIn},
		{c.DropOut, c.RepeatOut, c.LateOut},
	}
	for _, shares := range groups {
		sum := 0.0
		for _, share := range shares {
			if sum += share; share < 0 || sum > 1 {
				return Faults{}, errors.New("the shares of faults of one kind must be 0 or more and 1 together at most")
			}
		}
	}
	d := &dice{rand: rand.New(rand.NewPCG(c.Seed, 1))}
	return Faults{
		Post: func(Message) PostFault {
			switch d.pick(c.Gone, c.Throttled, c.Failed, c.Lost, c.HalfOpen) {
			case 0:
				return PostFault{Status: http.StatusGone}
			case 1:
				return PostFault{Status: http.StatusTooManyRequests}
			case 2:
				return PostFault{Status: http.StatusInternalServerError}
			case 3:
				return PostFault{Status: http.StatusInternalServerError, After: true}
			case 4:
				return PostFault{HalfOpen: true}
			}
			return PostFault{}
		},
		Inbound:  func(Message) MessageFault { return d.message(c.Delay, c.DropIn, c.RepeatIn, c.DelayIn) },
		Outbound: func(Message) MessageFault { return d.message(c.Delay, c.DropOut, c.RepeatOut, c.LateOut) },
	}, nil
}

// dice is a random source that may be thrown concurrently.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// pick gives the number of the share that the throw hit, or -1.
func (d *dice) pick(shares ...float64) int {
	d.mu.Lock()
	x := d.rand.Float64()
	d.mu.Unlock()
	for i, share := range shares {
		if x -= share; x < 0 {
			return i
		}
	}
	return -1
}

func (d *dice) message(delay time.Duration, drop, repeat, late float64) MessageFault {
	switch d.pick(drop, repeat, late) {
	case 0:
		return MessageFault{Drop: true}
	case 1:
		return MessageFault{Repeat: true}
	case 2:
		d.mu.Lock()
		defer d.mu.Unlock()
		return MessageFault{Delay: time.Duration(d.rand.Int64N(int64(max(delay, 1))))}
	}
	return MessageFault{}
}

package apigateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Faults are injected into messages. Each function is called once per message, concurrently, and must not block. A nil
// function injects no faults.
type Faults struct {
	Post     func(Message) PostFault    // for posts to @connections that would succeed otherwise
	Inbound  func(Message) MessageFault // for messages from clients, before their function is invoked
	Outbound func(Message) MessageFault // for messages to clients, after the post's response
}

// Message is one message of a connection.
type Message struct {
	Connection string
	N          int // the message's number among those of its kind on this connection, from 1
	Body       []byte
}

// PostFault is the fault of a post. The zero value means none.
type PostFault struct {
	Status   int  // status of the response: 410, 429 or 500; 0 for the regular one
	After    bool // the message is sent despite the error status
	HalfOpen bool // from now on the socket silently drops all messages in both directions, and posts succeed
}

// MessageFault is the fault of a message. The zero value means none.
type MessageFault struct {
	Drop   bool
	Repeat bool          // the message is delivered twice
	Delay  time.Duration // the message is delayed, so that later ones can overtake it
}

// SetFaults replaces the faults from the next message on. The zero Faults injects none.
func (g *Gateway) SetFaults(f Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = f
}

// Cut ends a connection like a broken network: without a close frame, and pending messages are lost. It returns false
// if the connection is not open.
func (g *Gateway) Cut(connection string) bool {
	s := g.socket(connection)
	if s == nil {
		return false
	}
	s.end(abnormalClosure())
	return true
}

// Connections returns the ids of the open connections.
func (g *Gateway) Connections() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := make([]string, 0, len(g.sockets))
	for id := range g.sockets {
		ids = append(ids, id)
	}
	return ids
}

func (g *Gateway) currentFaults() Faults {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.faults
}

// counts numbers the messages of a socket by kind. It counts only while faults are set.
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

// post sends a message to the client and applies its fault.
func (s *socket) post(body []byte) error {
	choose := s.g.currentFaults().Post
	if choose == nil {
		return s.deliver(body)
	}
	f := choose(Message{s.id, s.counts.next(&s.counts.posts), body})
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

// injected is the error of a post with an injected status.
type injected int

func (i injected) Error() string { return fmt.Sprintf("injected: %d", int(i)) }

// deliver sends an accepted message and applies its fault. A delayed message is accepted even if the buffer is full.
func (s *socket) deliver(body []byte) error {
	if s.dead.Load() {
		return nil
	}
	choose := s.g.currentFaults().Outbound
	if choose == nil {
		return s.send(body)
	}
	f := choose(Message{s.id, s.counts.next(&s.counts.out), body})
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

// inbound dispatches a client's message to its function and applies its fault.
func (s *socket) inbound(message []byte) bool {
	if s.dead.Load() {
		return true
	}
	choose := s.g.currentFaults().Inbound
	if choose == nil {
		return s.dispatch(message, 0)
	}
	f := choose(Message{s.id, s.counts.next(&s.counts.inbound), message})
	if f.Drop {
		return true
	}
	if f.Repeat && !s.dispatch(message, 0) {
		return false
	}
	return s.dispatch(message, f.Delay)
}

// Chances are probabilities, from 0 to 1, of random faults.
type Chances struct {
	Seed                        uint64        // determines which messages fail
	Gone, Throttled, Failed     float64       // a post gets 410, 429 or 500, and nothing is sent
	Lost                        float64       // a post is sent and gets 500
	HalfOpen                    float64       // after a post the socket silently drops everything
	DropIn, RepeatIn, DelayIn   float64       // for messages from clients
	DropOut, RepeatOut, LateOut float64       // for messages to clients
	Delay                       time.Duration // maximum delay of DelayIn and LateOut
}

// Faults returns faults with these probabilities. It fails if the probabilities of one kind are negative or add up to
// more than 1.
func (c Chances) Faults() (Faults, error) {
	groups := [...][]float64{
		{c.Gone, c.Throttled, c.Failed, c.Lost, c.HalfOpen}, {c.DropIn, c.RepeatIn, c.DelayIn},
		{c.DropOut, c.RepeatOut, c.LateOut},
	}
	for _, shares := range groups {
		sum := 0.0
		for _, share := range shares {
			if sum += share; share < 0 || sum > 1 {
				return Faults{},
					errors.New("the probabilities of the faults of one kind must be 0 or more and at most " +
						"1 in sum")
			}
		}
	}
	d := &random{rand: rand.New(rand.NewPCG(c.Seed, 1))}
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

// random is a random source for concurrent use.
type random struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// pick chooses index i with probability shares[i], or -1.
func (d *random) pick(shares ...float64) int {
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

func (d *random) message(delay time.Duration, drop, repeat, late float64) MessageFault {
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

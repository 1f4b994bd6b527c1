package stack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
)

// Faults are random faults in every part of the stack. The zero value injects none.
type Faults struct {
	DynamoDB proxy.Faults
	Gateway  apigateway.Chances
	Events   EventChances
}

// EventChances are probabilities, from 0 to 1, of faults of an asynchronous event.
type EventChances struct {
	Drop, Repeat, Expire, Late float64
	Delay                      time.Duration // maximum delay of an event that is Late
}

// ParseFaults reads faults from text such as "gone=0.01 lose=0.02 delay=200ms". The error for an unknown name lists the
// known names.
func ParseFaults(text string) (f Faults, err error) {
	shares, times := f.shares(), f.times()
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		if to, ok := shares[name]; ok {
			if *to, err = strconv.ParseFloat(value, 64); err != nil || *to < 0 || *to > 1 {
				return Faults{}, fmt.Errorf("FAULTS: %s must be a probability from 0 to 1, not %q", name, value)
			}
			continue
		}
		to, ok := times[name]
		if !ok {
			return Faults{}, fmt.Errorf("FAULTS: unknown fault %q; the faults are %s", name,
				strings.Join(names(shares, times), ", "))
		}
		if *to, err = time.ParseDuration(value); err != nil || *to < 0 {
			return Faults{}, fmt.Errorf("FAULTS: %s must be a duration such as 200ms, not %q", name, value)
		}
	}
	return f, nil
}

func (f *Faults) shares() map[string]*float64 {
	return map[string]*float64{
		"conflict": &f.DynamoDB.Conflict, "throttle": &f.DynamoDB.Throttle, "error": &f.DynamoDB.Error,
		"lose": &f.DynamoDB.Lose,
		"gone": &f.Gateway.Gone, "slow": &f.Gateway.Throttled, "fail": &f.Gateway.Failed, "unanswered": &f.Gateway.Lost,
		"halfopen": &f.Gateway.HalfOpen, "drop-in": &f.Gateway.DropIn, "repeat-in": &f.Gateway.RepeatIn,
		"late-in": &f.Gateway.DelayIn, "drop-out": &f.Gateway.DropOut, "repeat-out": &f.Gateway.RepeatOut,
		"late-out": &f.Gateway.LateOut, "event-drop": &f.Events.Drop, "event-repeat": &f.Events.Repeat,
		"event-expire": &f.Events.Expire, "event-late": &f.Events.Late,
	}
}

func (f *Faults) times() map[string]*time.Duration {
	return map[string]*time.Duration{
		"index-lag": &f.DynamoDB.IndexLag, "delay": &f.Gateway.Delay, "event-delay": &f.Events.Delay,
	}
}

func names(shares map[string]*float64, times map[string]*time.Duration) (all []string) {
	for name := range shares {
		all = append(all, name)
	}
	for name := range times {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// SetFaults replaces the random faults. The stack's seed determines which requests fail. It returns an error if the
// probabilities of one kind add up to more than 1.
func (s *Stack) SetFaults(f Faults) error {
	f.Gateway.Seed, f.DynamoDB.Seed = s.config.Seed, s.config.Seed
	messages, err := f.Gateway.Faults()
	if err != nil {
		return err
	}
	if err := s.proxy.SetFaults(f.DynamoDB); err != nil {
		return err
	}
	s.gateway.SetFaults(messages)
	s.host.SetFaults(lambda.Faults{Event: f.Events.fault(s.config.Seed)})
	if f != (Faults{DynamoDB: proxy.Faults{Seed: s.config.Seed}, Gateway: apigateway.Chances{Seed: s.config.Seed}}) {
		s.notice("injecting faults: set SEED=%d to repeat them", s.config.Seed)
	}
	return nil
}

// fault returns a function that chooses the fault of each event at random.
func (c EventChances) fault(seed uint64) func(lambda.Event) lambda.EventFault {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 2))
	return func(lambda.Event) lambda.EventFault {
		mu.Lock()
		x, late := random.Float64(), random.Float64()
		mu.Unlock()
		switch {
		case x < c.Drop:
			return lambda.EventFault{Drop: true}
		case x < c.Drop+c.Repeat:
			return lambda.EventFault{Repeat: true}
		case x < c.Drop+c.Repeat+c.Expire:
			return lambda.EventFault{Expire: true}
		case x < c.Drop+c.Repeat+c.Expire+c.Late:
			return lambda.EventFault{Delay: time.Duration(late * float64(c.Delay))}
		}
		return lambda.EventFault{}
	}
}

// Gateway returns the WebSocket API, so that a test can inject faults.
func (s *Stack) Gateway() *apigateway.Gateway { return s.gateway }

// Host returns the Lambda host, so that a test can inject faults. Its functions have the names that Function returns.
func (s *Stack) Host() *lambda.Host { return s.host }

// Function returns the name of the function with this logical id, or "" if there is none.
func (s *Stack) Function(logicalID string) string { return s.functionName(logicalID) }

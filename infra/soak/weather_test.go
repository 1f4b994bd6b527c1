package soak_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/wire"
)

// weather is what goes wrong. Each spell of it follows from the seed and its number.
type weather struct {
	*world
	harsh bool // also what takes longer than seconds to heal: killed and frozen workers, dead sockets, lost events

	thaws sync.WaitGroup
	mu    sync.Mutex
	dice  *rand.Rand // of events
}

// blow makes weather until the ctx ends, and then a good day.
func (w *weather) blow(ctx context.Context) {
	for n := uint64(1); ctx.Err() == nil; n++ {
		dice := rand.New(rand.NewPCG(w.seed, n<<20))
		w.spell(dice, n)
		end := time.Now().Add(time.Duration(1+dice.IntN(4)) * time.Second)
		for ctx.Err() == nil && time.Now().Before(end) {
			pause(ctx, time.Duration(100+dice.IntN(900))*time.Millisecond)
			w.strike(ctx, dice)
		}
	}
	w.thaws.Wait()
	w.clear()
}

// clear ends all faults.
func (w *weather) clear() {
	g := w.stack.Gateway()
	g.SetFaults(apigateway.Faults{Inbound: w.incoming(nil)})
	if err := w.stack.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		w.must("weather", "%v", err)
	}
	w.stack.DynamoDB().SetHook(nil)
	w.stack.Host().SetFaults(lambda.Faults{})
	for _, f := range []string{"TurnFunction", "MessageFunction", "SweepFunction", "ConnectFunction"} {
		w.stack.Host().Thaw(w.stack.Function(f), "")
	}
	w.did("weather", "clear")
}

// spell sets the chances of the next seconds: none, all a little, or some kinds much.
func (w *weather) spell(dice *rand.Rand, n uint64) {
	level := []float64{0, 1, 1, 3}[dice.IntN(4)]
	some := func(share float64) float64 { // each kind is off in half of the spells
		on := dice.IntN(2) == 0
		if !on {
			return 0
		}
		return level * share
	}
	c := apigateway.Chances{Seed: w.seed + n, Gone: some(.01), Throttled: some(.02), Failed: some(.02), Lost: some(.02),
		DropIn: some(.02), RepeatIn: some(.04), DelayIn: some(.04), DropOut: some(.02), RepeatOut: some(.04),
		LateOut: some(.04),
		Delay:   400 * time.Millisecond}
	d := proxy.Faults{Seed: w.seed + n, Conflict: some(.03), Throttle: some(.02), Error: some(.01), Lose: some(.02)}
	e := stack.EventChances{Repeat: some(.05), Late: some(.05), Delay: 2 * time.Second}
	if w.harsh {
		c.HalfOpen, e.Drop, e.Expire, d.IndexLag = some(.003), some(.02), some(.02), time.Second
	}
	faults, err := c.Faults()
	if err != nil {
		w.must("weather", "%v", err)
	}
	w.stack.Gateway().SetFaults(w.counting(faults))
	if err := w.stack.DynamoDB().SetFaults(d); err != nil {
		w.must("weather", "%v", err)
	}
	w.mu.Lock()
	w.dice = rand.New(rand.NewPCG(w.seed, n<<20+1))
	w.mu.Unlock()
	w.stack.Host().SetFaults(lambda.Faults{Event: func(lambda.Event) lambda.EventFault { return w.event(e) }})
	w.did("weather", "spell %d of level %.0f: %+v %+v %+v", n, level, c, d, e)
}

func (w *weather) event(c stack.EventChances) lambda.EventFault {
	w.mu.Lock()
	x, delay := w.dice.Float64(), w.dice.Float64()
	w.mu.Unlock()
	switch {
	case x < c.Repeat:
		w.count("fault: event repeated", 1)
		return lambda.EventFault{Repeat: true}
	case x < c.Repeat+c.Late:
		w.count("fault: event late", 1)
		return lambda.EventFault{Delay: time.Duration(delay * float64(c.Delay))}
	case x < c.Repeat+c.Late+c.Drop:
		w.count("fault: event dropped", 1)
		return lambda.EventFault{Drop: true}
	case x < c.Repeat+c.Late+c.Drop+c.Expire:
		w.count("fault: event without capacity", 1)
		return lambda.EventFault{Expire: true}
	}
	return lambda.EventFault{}
}

// counting counts what the faults of the gateway do.
func (w *weather) counting(f apigateway.Faults) apigateway.Faults {
	return apigateway.Faults{
		Post: func(m apigateway.Message) apigateway.PostFault {
			p := f.Post(m)
			switch {
			case p.HalfOpen:
				w.count("fault: socket half-open", 1)
			case p.Status == 0:
			case p.After:
				w.count("fault: post sent, answer 500", 1)
			case p.Status == 410:
				w.count("fault: post 410", 1)
			case p.Status == 429:
				w.count("fault: post 429", 1)
			default:
				w.count("fault: post 500", 1)
			}
			return p
		},
		Inbound:  w.incoming(f.Inbound),
		Outbound: func(m apigateway.Message) apigateway.MessageFault { return w.counted("out", f.Outbound(m)) },
	}
}

func (w *weather) counted(way string, f apigateway.MessageFault) apigateway.MessageFault {
	switch {
	case f.Drop:
		w.count("fault: frame "+way+" dropped", 1)
	case f.Repeat:
		w.count("fault: frame "+way+" repeated", 1)
	case f.Delay > 0:
		w.count("fault: frame "+way+" late", 1)
	}
	return f
}

// incoming notes the runs that are asked for: one that comes twice may be refused and accepted.
func (w *weather) incoming(next func(apigateway.Message) apigateway.MessageFault) func(apigateway.Message) apigateway.MessageFault {
	return func(m apigateway.Message) apigateway.MessageFault {
		var f apigateway.MessageFault
		if next != nil {
			f = w.counted("in", next(m))
		}
		if !bytes.Contains(m.Body, []byte(`"type":"run"`)) {
			return f
		}
		if frame, err := wire.DecodeClient(m.Body); err == nil && !f.Drop {
			if r, is := frame.(*wire.Run); is {
				w.arrived(r, f.Repeat)
			}
		}
		return f
	}
}

func (w *weather) arrived(f *wire.Run, twice bool) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.came[f.RunID]++
	if twice {
		w.came[f.RunID]++
	}
}

// strike does one thing to one process or socket.
func (w *weather) strike(ctx context.Context, dice *rand.Rand) {
	what, victim := dice.IntN(100), w.users[dice.IntN(len(w.users))]
	long := time.Duration(dice.IntN(25000)) * time.Millisecond
	which := dice.IntN(1 << 20)
	turn, message := w.stack.Function("TurnFunction"), w.stack.Function("MessageFunction")
	host := w.stack.Host()
	hit := func(kind string, n int) {
		if n > 0 {
			w.did("weather", "%s (%s): %d", kind, victim.name, n)
			w.count("fault: "+kind, n)
		}
	}
	switch {
	case what < 20:
		all := w.stack.Gateway().Connections()
		slices.Sort(all)
		if len(all) > 0 && w.stack.Gateway().Cut(all[which%len(all)]) {
			hit("socket cut", 1)
		}
	case what < 30:
		hit("message killed", host.Kill(message, ""))
	case what < 35:
		hit("connect killed", host.Kill(w.stack.Function("ConnectFunction"), ""))
	case what < 42:
		hit("message frozen", host.Freeze(message, ""))
		pause(ctx, long/20)
		host.Thaw(message, "")
	case what < 48 && w.harsh:
		hit("turn killed", host.Kill(turn, victim.name))
	case what < 52 && w.harsh:
		hit("turn frozen", host.Freeze(turn, victim.name))
		w.thaws.Go(func() {
			pause(ctx, long)
			host.Thaw(turn, victim.name)
		})
	case what < 56 && w.harsh:
		hit("sweep killed", host.Kill(w.stack.Function("SweepFunction"), ""))
	case what < 62 && w.harsh:
		w.doom(victim, 1+which%30, which%2 == 0)
	}
}

// doom has a user's worker killed at the n-th request of the store from now on, before or after its effect.
func (w *weather) doom(victim *user, n int, before bool) {
	mark := []byte(`"U#` + victim.name)
	var mu sync.Mutex
	left := n
	w.stack.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || !bytes.Contains(r.Body, mark) {
			return proxy.Fine, nil
		}
		mu.Lock()
		left--
		due := left == 0
		mu.Unlock()
		kill := func() {
			if k := w.stack.Host().Kill(w.stack.Function("TurnFunction"), victim.name); k > 0 {
				w.did("weather", "turn of %s killed at request %d of the store", victim.name, n)
				w.count("fault: turn killed at a request", k)
			}
		}
		switch {
		case due && before:
			kill()
			return proxy.Broken, nil
		case due:
			return proxy.Fine, kill
		}
		return proxy.Fine, nil
	})
}

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

// injector injects faults. The faults of each period follow from the seed and the period's number.
type injector struct {
	*world
	severe bool // also faults that take minutes to heal: killed and frozen workers, dead sockets, lost events

	thawing sync.WaitGroup
	mu      sync.Mutex
	random  *rand.Rand // for faults of events
}

// run injects faults until the context ends, and then ends all faults.
func (w *injector) run(ctx context.Context) {
	for n := uint64(1); ctx.Err() == nil; n++ {
		random := rand.New(rand.NewPCG(w.seed, n<<20))
		w.setChances(random, n)
		end := time.Now().Add(time.Duration(1+random.IntN(4)) * time.Second)
		for ctx.Err() == nil && time.Now().Before(end) {
			pause(ctx, time.Duration(100+random.IntN(900))*time.Millisecond)
			w.disturb(ctx, random)
		}
	}
	w.thawing.Wait()
	w.clear()
}

// clear ends all faults.
func (w *injector) clear() {
	g := w.stack.Gateway()
	g.SetFaults(apigateway.Faults{Inbound: w.incoming(nil)})
	if err := w.stack.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		w.fail("faults", "%v", err)
	}
	w.stack.DynamoDB().SetHook(nil)
	w.stack.Host().SetFaults(lambda.Faults{})
	for _, f := range []string{"TurnFunction", "MessageFunction", "SweepFunction", "ConnectFunction"} {
		w.stack.Host().Thaw(w.stack.Function(f), "")
	}
	w.record("faults", "clear")
}

// setChances sets the probabilities of faults for the next seconds: none, low, or high for some kinds.
func (w *injector) setChances(random *rand.Rand, n uint64) {
	level := []float64{0, 1, 1, 3}[random.IntN(4)]
	some := func(share float64) float64 { // each kind is off in half of the periods
		on := random.IntN(2) == 0
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
	if w.severe {
		c.HalfOpen, e.Drop, e.Expire, d.IndexLag = some(.003), some(.02), some(.02), time.Second
	}
	faults, err := c.Faults()
	if err != nil {
		w.fail("faults", "%v", err)
	}
	w.stack.Gateway().SetFaults(w.counting(faults))
	if err := w.stack.DynamoDB().SetFaults(d); err != nil {
		w.fail("faults", "%v", err)
	}
	w.mu.Lock()
	w.random = rand.New(rand.NewPCG(w.seed, n<<20+1))
	w.mu.Unlock()
	w.stack.Host().SetFaults(lambda.Faults{Event: func(lambda.Event) lambda.EventFault { return w.event(e) }})
	w.record("faults", "period %d, level %.0f: %+v %+v %+v", n, level, c, d, e)
}

func (w *injector) event(c stack.EventChances) lambda.EventFault {
	w.mu.Lock()
	x, delay := w.random.Float64(), w.random.Float64()
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

// counting counts the faults that the gateway injects.
func (w *injector) counting(f apigateway.Faults) apigateway.Faults {
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
		Outbound: func(m apigateway.Message) apigateway.MessageFault { return w.countFault("out", f.Outbound(m)) },
	}
}

func (w *injector) countFault(way string, f apigateway.MessageFault) apigateway.MessageFault {
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

// messageFault decides on the fault of one message.
type messageFault = func(apigateway.Message) apigateway.MessageFault

// incoming counts the requests of each run: a run that is requested twice may be both refused and accepted.
func (w *injector) incoming(next messageFault) messageFault {
	return func(m apigateway.Message) apigateway.MessageFault {
		var f apigateway.MessageFault
		if next != nil {
			f = w.countFault("in", next(m))
		}
		if !bytes.Contains(m.Body, []byte(`"type":"run"`)) {
			return f
		}
		if frame, err := wire.DecodeClient(m.Body); err == nil && !f.Drop {
			if r, is := frame.(*wire.Run); is {
				w.countArrival(r, f.Repeat)
			}
		}
		return f
	}
}

func (w *injector) countArrival(f *wire.Run, twice bool) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.arrivals[f.RunID]++
	if twice {
		w.arrivals[f.RunID]++
	}
}

// disturb kills, freezes or cuts one process or socket.
func (w *injector) disturb(ctx context.Context, random *rand.Rand) {
	what, victim := random.IntN(100), w.users[random.IntN(len(w.users))]
	long := time.Duration(random.IntN(25000)) * time.Millisecond
	which := random.IntN(1 << 20)
	turn, message := w.stack.Function("TurnFunction"), w.stack.Function("MessageFunction")
	host := w.stack.Host()
	hit := func(kind string, n int) {
		if n > 0 {
			w.record("faults", "%s (%s): %d", kind, victim.name, n)
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
	case what < 48 && w.severe:
		hit("turn killed", host.Kill(turn, victim.name))
	case what < 52 && w.severe:
		hit("turn frozen", host.Freeze(turn, victim.name))
		w.thawing.Go(func() {
			pause(ctx, long)
			host.Thaw(turn, victim.name)
		})
	case what < 56 && w.severe:
		hit("sweep killed", host.Kill(w.stack.Function("SweepFunction"), ""))
	case what < 62 && w.severe:
		w.killAtRequest(victim, 1+which%30, which%2 == 0)
	}
}

// killAtRequest kills a user's worker at its n-th request to the store from now on, before or after the effect.
func (w *injector) killAtRequest(victim *user, n int, before bool) {
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
				w.record("faults", "turn of %s killed at request %d of the store", victim.name, n)
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

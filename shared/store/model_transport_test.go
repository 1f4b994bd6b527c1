package store_test

import (
	"context"
	"fmt"
	"net/http"
)

// scheduledTransport is the transport of the actors. Each request waits until the scheduler lets it continue.
type scheduledTransport struct{ next http.RoundTripper }

func (t scheduledTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	a := req.Context().Value(actorKey{}).(*actor)
	c, err := readCall(req)
	if err != nil {
		return nil, err
	}
	if a.lost > 0 && a.forget {
		c.forgetToken()
	}
	if !c.writes() && !c.consistent() {
		a.m.fail("%s: makes an inconsistent read: %s", a.name, c.body)
	}
	if parts, err := c.parts(); err != nil || len(parts) > 1 {
		return t.inParts(req, parts, err)
	}
	return t.step(req, c)
}

// step makes one request when the scheduler lets the actor continue.
func (t scheduledTransport) step(req *http.Request, c call) (*http.Response, error) {
	a := req.Context().Value(actorKey{}).(*actor)
	if a.dead {
		return nil, context.Canceled
	}
	a.at, a.writes = c.String(), c.writes()
	if a.steps++; a.steps > 250 {
		a.m.fail("%s: has made 250 requests and does not end: %s", a.name, a.at)
	}
	a.m.stopped <- struct{}{}
	v := <-a.wake
	if v == dieBefore {
		a.dead = true
		a.die()
		return nil, context.Canceled
	}
	res, err := t.next.RoundTrip(c.request(req))
	if err != nil {
		if req.Context().Err() == nil {
			a.m.fail("%s: the engine: %v", a.name, err)
		}
		return nil, err
	}
	a.m.note("%s: %s %s", a.name, a.at, outcome(res.StatusCode))
	a.checkBeside()
	if a.writes && res.StatusCode == http.StatusOK {
		a.m.look(a)
	}
	return a.answered(res, v)
}

// inParts makes a batch request as one request for each item, in random order, because DynamoDB does not guarantee
// more.
func (t scheduledTransport) inParts(req *http.Request, parts []call, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	a := req.Context().Value(actorKey{}).(*actor)
	a.rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	var all answers
	for _, c := range parts {
		res, err := t.step(req.Clone(req.Context()), c)
		if err != nil || res.StatusCode != http.StatusOK {
			return res, err
		}
		if err := all.add(res); err != nil {
			return nil, err
		}
	}
	return all.response(req)
}

// answered returns the response to the actor, loses it, or ends the actor.
func (a *actor) answered(res *http.Response, v verdict) (*http.Response, error) {
	switch {
	case v == dieAfter:
		a.dead = true
		a.die()
		return nil, fmt.Errorf("%w: %v", context.Canceled, res.Body.Close())
	case v == loseResponse && res.StatusCode == http.StatusOK:
		a.lost++
		return nil, fmt.Errorf("the response was lost: %v", res.Body.Close())
	}
	a.lost = 0
	return res, nil
}

package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// record is what a failure destination gets, as Lambda documents it.
type record struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  recordRequest    `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"` // nil when no try was made
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

type recordRequest struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	Count       int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError"`
}

const (
	retriesExhausted = "RetriesExhausted"
	eventAgeExceeded = "EventAgeExceeded"
	recursionStopped = "RecursiveInvocation"
)

// enqueue takes an asynchronous event, which is late by so much on request, or too old after that time. Each has a goroutine
// that waits for a slot: slots go to the longest waiting.
func (h *Host) enqueue(f *function, inv *invocation, late time.Duration, expire bool) error {
	now := time.Now()
	e := queued{ID: inv.id, Entry: inv.entry, Function: f.Name, Tenant: inv.tenant, Trace: inv.trace, Runs: inv.runs, Payload: inv.payload,
		Taken: now, Expires: now.Add(f.MaxEventAge)}
	if err := h.queue.add(e); err != nil {
		return fmt.Errorf("lambda: queueing an event for %s: %w", f.Name, err)
	}
	if expire {
		e.Expires = now.Add(late)
	}
	if !h.own(func() {
		switch {
		case late > 0 && !h.wait(late):
		case expire:
			h.finish(f, inv, h.giveUp(f, inv, eventAgeExceeded, 0, outcome{}), 0)
		default:
			h.work(f, inv, e.Expires, 0)
		}
	}) {
		return ErrClosed
	}
	return nil
}

// work delivers an event and takes it from the queue, unless the host closes first.
func (h *Host) work(f *function, inv *invocation, expires time.Time, tries int) {
	h.finish(f, inv, h.deliver(f, inv, expires, tries), tries)
}

// finish takes an event that is done from the queue.
func (h *Host) finish(f *function, inv *invocation, done bool, tries int) {
	if !done {
		return
	}
	if err := h.queue.remove(inv.entry, max(tries, f.MaxRetries+1)); err != nil {
		h.log(f.Name, fmt.Sprintf("lambda: event %s is done and may come again: %v", inv.id, err))
	}
}

// deliver tries an event until it is answered, its tries are used up, it is too old or loops (true), or the host closes
// (false). tries is how many an earlier host has begun.
func (h *Host) deliver(f *function, inv *invocation, expires time.Time, tries int) bool {
	if f.loops(inv) {
		return h.giveUp(f, inv, recursionStopped, 0, outcome{})
	}
	last := exited(inv.id, errEndedWithHost)
	for ; ; tries++ {
		if tries > f.MaxRetries {
			return h.giveUp(f, inv, retriesExhausted, tries, last)
		}
		if tries > 0 && !h.pause(tries, expires) || !f.awaitSlot(expires) {
			return h.ctx.Err() == nil && h.giveUp(f, inv, eventAgeExceeded, tries, last)
		}
		if h.ctx.Err() != nil { // the slot became free because the host closes
			<-f.slots
			return false
		}
		if err := h.queue.begin(inv.entry, tries+1); err != nil {
			h.log(f.Name, fmt.Sprintf("lambda: event %s: %v", inv.id, err))
		}
		try := inv.again()
		try.event = true
		f.place(try)
		last = <-try.done
		switch {
		case errors.Is(last.err, ErrClosed):
			h.log(f.Name, fmt.Sprintf("lambda: event %s was cut short by the end of the host", inv.id))
			return false
		case last.err != nil:
			h.log(f.Name, fmt.Sprintf("lambda: event %s is lost: %v", inv.id, last.err))
			return true
		case last.functionError == "":
			return true
		}
	}
}

// pause waits before a retry; false means that the event is too old by then, or the host closed.
func (h *Host) pause(retry int, expires time.Time) bool {
	delays := h.config.RetryDelays
	delay := delays[min(retry, len(delays))-1]
	return h.wait(min(delay, time.Until(expires))) && time.Now().Before(expires)
}

// wait waits; false means that the host closed.
func (h *Host) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.ctx.Done():
		return false
	}
}

// awaitSlot takes a slot; false means that the event got too old, or the host closed.
func (f *function) awaitSlot(expires time.Time) bool {
	select {
	case f.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(expires))
	defer timer.Stop()
	select {
	case f.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	case <-f.host.ctx.Done():
		return false
	}
}

// giveUp tells the failure destination, if there is one, of an event that is not tried again. It is false if it could not.
func (h *Host) giveUp(f *function, inv *invocation, condition string, tries int, last outcome) bool {
	h.log(f.Name, fmt.Sprintf("lambda: event %s is given up after %d tries: %s", inv.id, tries, condition))
	if f.OnFailure == "" {
		return true
	}
	r := record{
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: recordRequest{inv.id, h.arn(f.Name) + ":" + version, condition, tries},
		RequestPayload: inv.payload,
	}
	if tries > 0 {
		r.ResponseContext = &responseContext{200, version, last.functionError}
		r.ResponsePayload = asJSON(last.payload)
	}
	payload, err := json.Marshal(r)
	if err == nil {
		to := h.functions[f.OnFailure]
		err = h.spoil(to, h.newInvocation(to, "", inv.trace, payload))
	}
	if err != nil {
		h.log(f.Name, fmt.Sprintf("lambda: the failure record of event %s is lost: %v", inv.id, err))
	}
	return err == nil
}

// asJSON keeps an answer that is JSON and quotes one that is not.
func asJSON(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return payload
	}
	quoted, err := json.Marshal(string(payload))
	if err != nil {
		return nil
	}
	return quoted
}

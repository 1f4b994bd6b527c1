package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// record is the event for a failure destination, in Lambda's documented format.
type record struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  recordRequest    `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"` // nil without an attempt
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

// enqueue queues an asynchronous event. Faults may delay it, or make it expire after the delay. A goroutine per event
// waits for a slot; slots are granted in the order of waiting.
func (h *Host) enqueue(f *function, inv *invocation, delay time.Duration, expire bool) error {
	now := time.Now()
	e := storedEvent{ID: inv.id, Entry: inv.entry, Function: f.Name, Tenant: inv.tenant, Trace: inv.trace,
		Runs: inv.runs, Payload: inv.payload,
		Taken: now, Expires: now.Add(f.MaxEventAge)}
	if err := h.queue.add(e); err != nil {
		return fmt.Errorf("lambda: queue an event for %s: %w", f.Name, err)
	}
	if expire {
		e.Expires = now.Add(delay)
	}
	if !h.spawn(func() {
		switch {
		case delay > 0 && !h.wait(delay):
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

// work delivers an event and removes it from the queue, unless the host closes first.
func (h *Host) work(f *function, inv *invocation, expires time.Time, tries int) {
	h.finish(f, inv, h.deliver(f, inv, expires, tries), tries)
}

// finish removes a completed event from the queue.
func (h *Host) finish(f *function, inv *invocation, done bool, tries int) {
	if !done {
		return
	}
	if err := h.queue.remove(inv.entry, max(tries, f.MaxRetries+1)); err != nil {
		h.log(f.Name, fmt.Sprintf("lambda: remove the completed event %s, which may be delivered again: %v", inv.id,
			err))
	}
}

// deliver attempts an event until it succeeds, its attempts are used up, it is too old, or it recurses too often. It
// returns false if the host closes first. tries is the number of attempts that an earlier host started.
func (h *Host) deliver(f *function, inv *invocation, expires time.Time, tries int) bool {
	if f.exceedsRecursion(inv) {
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
			h.log(f.Name, fmt.Sprintf("lambda: record an attempt of event %s: %v", inv.id, err))
		}
		try := inv.retry()
		try.event = true
		f.place(try)
		last = <-try.done
		switch {
		case errors.Is(last.err, ErrClosed):
			h.log(f.Name, fmt.Sprintf("lambda: event %s was interrupted: the host closed", inv.id))
			return false
		case last.err != nil:
			h.log(f.Name, fmt.Sprintf("lambda: event %s is lost: %v", inv.id, last.err))
			return true
		case last.functionError == "":
			return true
		}
	}
}

// pause waits before a retry. It returns false if the event will be too old, or the host closed.
func (h *Host) pause(retry int, expires time.Time) bool {
	delays := h.config.RetryDelays
	delay := delays[min(retry, len(delays))-1]
	return h.wait(min(delay, time.Until(expires))) && time.Now().Before(expires)
}

// wait waits for a duration. It returns false if the host closed.
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

// awaitSlot waits for a slot. It returns false if the event became too old, or the host closed.
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

// giveUp discards an event and sends a record to the failure destination, if there is one. It returns false if that
// failed.
func (h *Host) giveUp(f *function, inv *invocation, condition string, tries int, last outcome) bool {
	h.log(f.Name, fmt.Sprintf("lambda: event %s is discarded after %d attempts: %s", inv.id, tries, condition))
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
		err = h.submit(to, h.newInvocation(to, "", inv.trace, payload))
	}
	if err != nil {
		h.log(f.Name, fmt.Sprintf("lambda: the failure record of event %s is lost: %v", inv.id, err))
	}
	return err == nil
}

// asJSON returns a payload that is JSON unchanged, and any other as a JSON string.
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

package client

import (
	"strings"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// done handles the answer to a rename or a delete. Without a thread it reports that everything of the user is erased.
func (v *View) done(f *wire.Done) {
	if f.ThreadID == "" {
		v.eraseDone()
		return
	}
	kind, _, _ := strings.Cut(f.RequestID, ".")
	a := v.requests.answer(kind, f.ThreadID, f.RequestID)
	if a == nil {
		return
	}
	if _, deleted := a.frame.(*wire.Delete); deleted {
		v.deleted(f.ThreadID)
	}
	v.answered()
}

// page handles the answer to a history.
func (v *View) page(f *wire.HistoryPage) {
	if a := v.requests.answer("history", f.ThreadID, f.RequestID); a != nil {
		a.page = f
		v.answered()
	}
}

// callRefused handles the refusal of a call. A thread that the server does not know has no row.
func (v *View) callRefused(f *wire.Error) {
	a := v.requests.answer("", "", f.RequestID)
	if a == nil {
		return
	}
	a.refused = f
	if f.Code == wire.CodeNotFound {
		delete(v.list, a.thread)
	}
}

// runList handles the answer to a runs.
func (v *View) runList(f *wire.RunList) {
	if a := v.requests.answer("runs", "", f.RequestID); a != nil {
		a.runs = f
		v.answered()
	}
}

// rejected handles the refusal of a run. With the code interrupted, its list replaces the thread's open interrupts.
func (v *View) rejected(f *wire.Rejected) {
	n := Notice{Code: f.Code, Message: f.Message, RunID: f.RunID, Field: f.Field, RetryAfterMS: f.RetryAfterMS}
	if f.Code == wire.CodeErasing {
		v.eraseRefused(n)
		return
	}
	t := v.threads[v.requests.thread(f.RunID)]
	v.requests.ran(f.RunID)
	v.requests.cancelled(f.RunID)
	v.withdraw(f.RunID)
	if t != nil && f.Code == wire.CodeInterrupted {
		t.interrupts.set(f.Interrupts)
	}
	v.notice(n)
	v.answered()
}

// accepted handles the answer to a run, a cancel or an erase.
func (v *View) accepted(f *wire.Accepted) {
	if f.State == stateErasing {
		v.eraseAccepted(f)
		return
	}
	if strings.HasPrefix(f.RequestID, "cancel.") {
		v.requests.cancelled(f.RunID)
		if f.State == "ended" {
			v.ended(f.RunID)
		}
		v.answered()
		return
	}
	first := v.requests.ran(f.RunID) // a later answer may be out of date
	if t := v.threads[f.ThreadID]; t != nil && (first || f.State == "ended") {
		t.accept(f.RunID, f.State, v.socket.n)
	}
	v.answered()
}

// ended records the end of a run, which has no events or whose last events have not arrived yet.
func (v *View) ended(run chat.RunID) {
	v.over[run] = true
	for _, t := range v.threads {
		t.end(run)
	}
	v.requests.ran(run)
	v.requests.cancelled(run)
	v.answered()
}

// refused handles an error frame.
func (v *View) refused(f *wire.Error) {
	switch f.Code {
	case wire.CodeInternal:
		v.retry()
		return
	case wire.CodeReplaced:
		// During a handover the client has an eleventh connection, and the oldest one may be its own.
		if v.wanted {
			v.actions.Close = true
			v.lose()
			return
		}
		v.socket = socket{}
		v.status, v.wanted = Replaced, false
		v.actions = Actions{Close: true}
		return
	case wire.CodeTokenExpired, wire.CodeUnauthorized:
		v.actions.Close = true
		v.lose()
		return
	case wire.CodeSignedOut:
		v.signedOut(f)
		return
	case wire.CodeRateLimited:
		v.flooded(f)
		return
	case wire.CodeErasing:
		v.eraseRefused(Notice{Code: f.Code, Message: f.Message})
		return
	}
	kind, id, _ := strings.Cut(f.RequestID, ".")
	run := chat.RunID(id)
	switch kind {
	case "run":
		v.requests.ran(run)
		v.requests.cancelled(run)
		v.withdraw(run)
	case "cancel":
		v.requests.cancelled(run)
	case "threads":
		v.requests.list, v.requests.listSent = false, false
	case "hello", "ping", "":
		run = ""
	default:
		run = ""
		v.callRefused(f)
	}
	v.notice(Notice{Code: f.Code, Message: f.Message, RunID: run, Field: f.Field, RetryAfterMS: f.RetryAfterMS})
	v.answered()
}

// answered resets the retry timer after any answer.
func (v *View) answered() {
	s := &v.socket
	s.retries = 0
	if s.hello == 0 && !s.pinging && !v.requests.out() {
		s.retryAt = time.Time{}
	}
}

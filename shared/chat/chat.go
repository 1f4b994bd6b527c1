// Package chat is Carrel's vocabulary: who, where and what, as types. It knows no transport, no storage and no
// agent, and imports the standard library only. Everything else is written in these words.
package chat

import (
	"errors"
	"fmt"
	"time"

	"carrel/shared/internal/principal"
)

// User is a signed-in user: proof that a token was verified, not a string. Only the edge makes one (gateway, and
// the one file of store that restores owners); the zero User is nobody and refused everywhere.
type User = principal.User

// ThreadID names one conversation inside its user's own partition. The client chooses it; it carries no authority.
type ThreadID string

// RunID names one run of an agent inside its user's own partition. A repeated RunID is the same run.
type RunID string

// ConnectionID is API Gateway's name of one WebSocket. It has no fixed length and contains '='.
type ConnectionID string

// InterruptID names one question that a run has put to a person.
type InterruptID string

// Epoch is the random name of one life of a thread: a thread deleted and made again has another.
type Epoch string

// Seq numbers a thread's events 1, 2, 3, … without gap within an epoch. 0 is "before the first".
type Seq int64

// Cursor is a position in a thread: the last event that somebody has applied.
type Cursor struct {
	Epoch Epoch `json:"epoch"`
	Seq   Seq   `json:"seq"`
}

// ListCursor is where a page of a list begins: behind the row that it was made of. Only the store reads it; "" is the top.
type ListCursor string

// RunStatus is where a run is in its life.
type RunStatus string

// The life of a run: waiting → admitted → running → one of the terminal four. A run that never began goes from
// waiting or admitted to a terminal status directly.
const (
	RunQueued    RunStatus = "queued"    // in the desk's queue
	RunAdmitted  RunStatus = "admitted"  // has a seat, nobody has claimed it yet
	RunRunning   RunStatus = "running"   // claimed by a turn
	RunFinished  RunStatus = "finished"  // ended with RUN_FINISHED
	RunFailed    RunStatus = "failed"    // ended with RUN_ERROR
	RunCancelled RunStatus = "cancelled" // ended because its user asked
	RunSuspended RunStatus = "suspended" // ended with questions to a person; the run that brings the answers goes on
)

// Terminal reports whether a run of this status has ended.
func (s RunStatus) Terminal() bool {
	return s == RunFinished || s == RunFailed || s == RunCancelled || s == RunSuspended
}

// ThreadStatus is what a thread's runs are at, as the desk has them.
type ThreadStatus string

// The statuses of a thread.
const (
	ThreadRunning ThreadStatus = "running" // a run of it has a seat
	ThreadQueued  ThreadStatus = "queued"  // none has, and some wait
	ThreadIdle    ThreadStatus = "idle"
)

// WhenBusy says what a run wants if its thread is busy.
type WhenBusy string

// The policies of WhenBusy. Empty means Enqueue.
const (
	Enqueue   WhenBusy = "enqueue"   // wait for the thread, in order
	Reject    WhenBusy = "reject"    // refuse with ErrBusy
	Interrupt WhenBusy = "interrupt" // cancel the running one and go after it
)

// Limits bound one user and one run of theirs.
type Limits struct {
	Runs        int           // running runs per user, over all threads and devices
	Queued      int           // waiting runs per user
	Connections int           // sockets per user
	RunBurst    int           // runs that a user may start at once after a pause: the size of a token bucket
	RunsPerHour int           // tokens that the bucket gains
	FrameBurst  int           // frames of a user that one process takes at once after a pause
	FrameRate   int           // frames of a user per second that one process takes in the long run
	Attempts    int           // turns that may try one run
	RunTime     time.Duration // one run, at most 14 minutes
	ModelCalls  int           // model calls of one run
	ToolCalls   int           // tool calls of one run
	Events      int           // events of one run
	OutputBytes int           // bytes of all deltas and tool results of one run
	MemoryBytes int           // of the run's process above what it had when the run began
	Retention   time.Duration // of a thread's events; what was said stays in its transcripts
}

// DefaultLimits are the limits where a deployment says nothing else.
func DefaultLimits() Limits {
	return Limits{
		Runs: 5, Queued: 20, Connections: 10, RunBurst: 60, RunsPerHour: 600, Attempts: 3,
		FrameBurst: 40, FrameRate: 3,
		RunTime: 5 * time.Minute, ModelCalls: 25, ToolCalls: 50, Events: 10_000, OutputBytes: 4 << 20, MemoryBytes: 128 << 20,
		Retention: 7 * 24 * time.Hour,
	}
}

// RunStats are what a run has used so far, or used. They are kept with its record.
type RunStats struct {
	ModelCalls  int   `json:"modelCalls"`
	ToolCalls   int   `json:"toolCalls"`
	Events      int   `json:"events"`
	OutputBytes int64 `json:"outputBytes"`
}

// Plus is the sum.
func (f RunStats) Plus(more RunStats) RunStats {
	return RunStats{
		ModelCalls: f.ModelCalls + more.ModelCalls, ToolCalls: f.ToolCalls + more.ToolCalls,
		Events: f.Events + more.Events, OutputBytes: f.OutputBytes + more.OutputBytes,
	}
}

// Claims are what a verified access token says. Only the edge turns them into a User.
type Claims struct {
	Issuer  string
	Subject string
	Expires time.Time
	SignIn  SignIn
	Grants  []string // what its scopes, permissions or groups allow
}

// SignIn is when the user of a token signed in, to the second.
type SignIn struct {
	At time.Time
	// Proven is whether the token's auth_time says so. Without it At is when the token was issued, which a refresh moves.
	Proven bool
}

// OwnerHash identifies the owner of a record. It is a one-way hash (User.Hash) and cannot be turned back into a User.
type OwnerHash string

// Connection is one WebSocket of a user as the user's own partition lists it.
type Connection struct {
	ID           ConnectionID
	Owner        OwnerHash // the user whom the edge wrote it for, as read from the row; "": unknown, and nothing is posted to it
	Thread       ThreadID
	N            int64  // of its last hello or run; 0 until the first hello: not yet a target for posts
	HelloBy      string // the request that set N and Thread: the gateway's id of it
	Connected    time.Time
	TokenExpires time.Time // nothing is posted to it afterwards
	SignedIn     time.Time // when its user signed in, in whole seconds; a refreshed token keeps it
	Acked        Cursor    // what its client last said that it had applied; the epoch says of which thread
}

// Note is something that a user had kept, under a number of the user's own.
type Note struct {
	ID   int
	Text string
	At   time.Time
}

// The kinds of refusal. They are wrapped with what was being done and mapped to the protocol's codes once, at the
// edge. Another user's thing is ErrNotFound, like a thing that nobody has.
var (
	ErrNoUser       = principal.ErrNoUser
	ErrNotFound     = errors.New("not found")
	ErrBadID        = errors.New("bad id")
	ErrBusy         = errors.New("the thread is busy")
	ErrInterrupted  = errors.New("the thread waits for a person")
	ErrTooManyRuns  = errors.New("too many runs")
	ErrRateLimited  = errors.New("rate limited")
	ErrUnknownAgent = errors.New("unknown agent")
	ErrDenied       = errors.New("denied")
	ErrClosed       = errors.New("closed")
	ErrFull         = errors.New("full")
	ErrReplaced     = errors.New("the connection was replaced by a newer one")
	ErrSignedOut    = errors.New("the session was ended")

	// ErrForeign is a record that stands with one user and belongs to another: an isolation violation. Who does not look
	// for it sees something that is not there.
	ErrForeign = fmt.Errorf("%w: it is another user's", ErrNotFound)

	// ErrGone is a post to a connection that no longer exists; ErrSlow one to a client that does not keep up.
	ErrGone = errors.New("the connection is gone")
	ErrSlow = errors.New("the connection is too slow")

	// ErrNotClaimed is what a turn gets for a run that is somebody else's or over: it returns success and does nothing.
	ErrNotClaimed = errors.New("the run cannot be claimed")
	// ErrLeaseLost is returned to a worker whose lease on a run is lost: the worker stops at once and writes nothing more.
	ErrLeaseLost = errors.New("the lease on the run is lost")
)

// RateLimitedError is an ErrRateLimited that tells when to try again.
type RateLimitedError struct{ After time.Duration }

// Error says when to try again.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrRateLimited, e.After)
}

// Unwrap makes it an ErrRateLimited.
func (e *RateLimitedError) Unwrap() error { return ErrRateLimited }

// ForeignError is an ErrForeign that tells whose connection's record it is.
type ForeignError struct{ Connection ConnectionID }

// Error does not tell the connection.
func (e *ForeignError) Error() string { return "a connection: " + ErrForeign.Error() }

// Unwrap makes it an ErrForeign.
func (e *ForeignError) Unwrap() error { return ErrForeign }

// Foreign are the connections that an error's ForeignErrors name.
func Foreign(err error) []ConnectionID {
	switch e := err.(type) {
	case nil:
		return nil
	case *ForeignError:
		return []ConnectionID{e.Connection}
	case interface{ Unwrap() []error }:
		var all []ConnectionID
		for _, one := range e.Unwrap() {
			all = append(all, Foreign(one)...)
		}
		return all
	}
	return Foreign(errors.Unwrap(err))
}

// MaxID is the longest thread, run or message id in bytes.
const MaxID = 128

// CheckID reports whether a client's id may name a thread, a run, a message or an interrupt: 1–128 of
// [A-Za-z0-9._:-]. The error wraps ErrBadID and is written for the client.
func CheckID(id string) error {
	if id == "" || len(id) > MaxID {
		return fmt.Errorf("%w: want 1 to %d characters, have %d", ErrBadID, MaxID, len(id))
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return fmt.Errorf("%w: only A-Z a-z 0-9 . _ : - may stand in it", ErrBadID)
		}
	}
	return nil
}

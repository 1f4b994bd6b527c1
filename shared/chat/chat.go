// Package chat is Carrel's vocabulary: users, threads, runs, connections and errors, as types. Every other package is
// written in these terms. It knows no transport, no storage and no agent, and imports only the standard library.
package chat

import (
	"errors"
	"fmt"
	"time"

	"carrel/shared/internal/principal"
)

// User is a signed-in user. A User proves that a token was verified: only the edge can create one (package gateway, and
// the file of package store that restores the owner of a record). Every function rejects the zero User.
type User = principal.User

// ThreadID identifies one conversation within its user's partition. The client chooses it, and it grants no access.
type ThreadID string

// RunID identifies one run of an agent within its user's partition. A repeated RunID means the same run.
type RunID string

// ConnectionID is API Gateway's id of one WebSocket. It has no fixed length and contains '='.
type ConnectionID string

// InterruptID identifies one question that a run has asked a person.
type InterruptID string

// Epoch is a random name for one life of a thread. A thread that is deleted and created again has a new epoch.
type Epoch string

// Seq numbers the events of a thread 1, 2, 3, … without gaps within an epoch. 0 means "before the first event".
type Seq int64

// Cursor is a position in a thread: the last event that a client has applied.
type Cursor struct {
	Epoch Epoch `json:"epoch"`
	Seq   Seq   `json:"seq"`
}

// ListCursor marks the end of a page of a list; the next page begins after it. Only the store interprets it. The empty
// cursor is the beginning of the list.
type ListCursor string

// RunStatus is a run's state in its life cycle.
type RunStatus string

// The life cycle of a run: queued → admitted → running → one of four terminal statuses. A run that never starts goes
// from queued or admitted directly to a terminal status.
const (
	RunQueued    RunStatus = "queued"    // waits in the run queue for a slot
	RunAdmitted  RunStatus = "admitted"  // has a slot, and no turn has claimed it yet
	RunRunning   RunStatus = "running"   // claimed by a turn
	RunFinished  RunStatus = "finished"  // ended with RUN_FINISHED
	RunFailed    RunStatus = "failed"    // ended with RUN_ERROR
	RunCancelled RunStatus = "cancelled" // ended because its user cancelled it
	RunSuspended RunStatus = "suspended" // ended with open interrupts; a later run continues
)

// Terminal reports whether a run of this status has ended.
func (s RunStatus) Terminal() bool {
	return s == RunFinished || s == RunFailed || s == RunCancelled || s == RunSuspended
}

// ThreadStatus summarizes the runs of a thread, as the run queue lists them.
type ThreadStatus string

// The statuses of a thread.
const (
	ThreadRunning ThreadStatus = "running" // one of its runs has a slot
	ThreadQueued  ThreadStatus = "queued"  // none of its runs has a slot, and at least one is queued
	ThreadIdle    ThreadStatus = "idle"
)

// WhenBusy is a run's policy for a thread that already has a run.
type WhenBusy string

// The policies of WhenBusy. Empty means Enqueue.
const (
	Enqueue   WhenBusy = "enqueue"   // wait for the thread, in order
	Reject    WhenBusy = "reject"    // fail with ErrBusy
	Interrupt WhenBusy = "interrupt" // cancel the running run and start after it
)

// Limits bound one user and each of the user's runs.
type Limits struct {
	Runs        int           // runs of one user that have a slot at the same time, over all threads and devices
	Queued      int           // queued runs of one user
	Connections int           // open WebSockets of one user
	RunBurst    int           // runs that a user may start at once after a pause: the size of a token bucket
	RunsPerHour int           // tokens that the bucket gains per hour
	DayTokens   int           // tokens of one user's model calls in a UTC day, to admit a run; 0: no limit
	FrameBurst  int           // frames of a user that one process accepts at once after a pause
	FrameRate   int           // frames per second of a user that one process accepts in the long run
	Attempts    int           // turns that may work on one run
	RunTime     time.Duration // of one run, at most one hour
	ModelCalls  int           // model calls of one run
	ToolCalls   int           // tool calls of one run
	Events      int           // events of one run
	Tokens      int           // tokens of one run's model calls, input and output; 0: no limit
	OutputBytes int           // bytes of all deltas and tool results of one run
	MemoryBytes int           // memory of the run's process, above what it used when the run began
	Retention   time.Duration // of a thread's events; transcripts keep the messages
}

// DefaultLimits returns the limits that hold unless a deployment changes them.
func DefaultLimits() Limits {
	return Limits{
		Runs: 5, Queued: 20, Connections: 10, RunBurst: 60, RunsPerHour: 600, Attempts: 3,
		FrameBurst: 40, FrameRate: 3,
		RunTime: 5 * time.Minute, ModelCalls: 25, ToolCalls: 50, Events: 10_000,
		OutputBytes: 4 << 20, MemoryBytes: 128 << 20,
		Retention: 7 * 24 * time.Hour,
	}
}

// RunStats counts what a run has used. The run's record stores it.
type RunStats struct {
	ModelCalls  int   `json:"modelCalls"`
	ToolCalls   int   `json:"toolCalls"`
	Events      int   `json:"events"`
	OutputBytes int64 `json:"outputBytes"`
}

// Plus returns the sum of s and more.
func (s RunStats) Plus(more RunStats) RunStats {
	return RunStats{
		ModelCalls: s.ModelCalls + more.ModelCalls, ToolCalls: s.ToolCalls + more.ToolCalls,
		Events: s.Events + more.Events, OutputBytes: s.OutputBytes + more.OutputBytes,
	}
}

// Claims are the contents of a verified access token. Only the edge turns them into a User.
type Claims struct {
	Issuer  string
	Subject string
	Expires time.Time
	SignIn  SignIn
	Grants  []string // from the token's scopes, permissions or groups
}

// SignIn is the time at which the user of a token signed in, to the second.
type SignIn struct {
	At time.Time
	// Proven is true if At comes from the token's auth_time. Otherwise At is the time at which the token was issued,
	// which changes with each refresh.
	Proven bool
}

// OwnerHash identifies the owner of a record. It is a one-way hash (User.Hash) and cannot be turned back into a User.
type OwnerHash string

// Connection is one WebSocket of a user, as listed in the user's partition.
type Connection struct {
	ID           ConnectionID
	Owner        OwnerHash
	Thread       ThreadID
	N            int64  // of its last hello or run; 0 until the first hello, and until then nothing is posted to it
	HelloBy      string // the gateway's id of the request that set N and Thread
	Connected    time.Time
	TokenExpires time.Time // nothing is posted to the connection after this time
	SignedIn     time.Time // when the user signed in, in whole seconds; a refreshed token keeps it
	Acked        Cursor    // the position that the client acknowledged last; its epoch identifies the thread
}

// Note is a text that a tool stored for a user, with a number that is unique for that user.
type Note struct {
	ID   int
	Text string
	At   time.Time
}

// The errors that callers distinguish. They are wrapped with the operation that failed, and the edge maps them to the
// protocol's error codes in one place. A record of another user is ErrNotFound, like a record that does not exist.
var (
	ErrNoUser       = principal.ErrNoUser
	ErrNotFound     = errors.New("not found")
	ErrBadID        = errors.New("bad id")
	ErrBusy         = errors.New("the thread is busy")
	ErrInterrupted  = errors.New("the thread is awaiting input")
	ErrTooManyRuns  = errors.New("too many runs")
	ErrRateLimited  = errors.New("rate limited")
	ErrBudget       = errors.New("the budget of the day is used up")
	ErrUnknownAgent = errors.New("unknown agent")
	ErrDenied       = errors.New("denied")
	ErrErasing      = errors.New("the user is being erased") // or was erased in the last 24 hours
	ErrClosed       = errors.New("closed")                   // a user context or an emitter: it does no more work
	ErrFull         = errors.New("full")
	ErrReplaced     = errors.New("the connection was replaced by a newer one")
	ErrSignedOut    = errors.New("the session was ended")

	// ErrForeign reports an isolation violation: a record in one user's partition that belongs to another user. It
	// wraps ErrNotFound, so callers that do not check for ErrForeign treat the record as missing.
	ErrForeign = fmt.Errorf("%w: it is another user's", ErrNotFound)

	// ErrGone is returned for a post to a connection that no longer exists, and ErrSlow for a post to a client that
	// does not read fast enough.
	ErrGone = errors.New("the connection is gone")
	ErrSlow = errors.New("the connection is too slow")

	// ErrNotClaimed is returned when a run is leased by another worker or has ended. The turn returns success and does
	// nothing.
	ErrNotClaimed = errors.New("the run cannot be claimed")
	// ErrLeaseLost is returned to a worker whose lease on a run is lost: the worker stops at once and writes nothing
	// more.
	ErrLeaseLost = errors.New("the lease on the run is lost")
)

// RateLimitedError is an ErrRateLimited with the time after which to retry.
type RateLimitedError struct{ After time.Duration }

// Error includes the time after which to retry.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrRateLimited, e.After)
}

// Unwrap returns ErrRateLimited.
func (e *RateLimitedError) Unwrap() error { return ErrRateLimited }

// BudgetError is an ErrBudget with the time after which to retry.
type BudgetError struct{ After time.Duration }

// Error includes the time after which to retry.
func (e *BudgetError) Error() string { return fmt.Sprintf("%v: try again in %v", ErrBudget, e.After) }

// Unwrap returns ErrBudget.
func (e *BudgetError) Unwrap() error { return ErrBudget }

// ForeignError is an ErrForeign for the row of a connection.
type ForeignError struct{ Connection ConnectionID }

// Error does not include the connection id.
func (e *ForeignError) Error() string { return "a connection: " + ErrForeign.Error() }

// Unwrap returns ErrForeign.
func (e *ForeignError) Unwrap() error { return ErrForeign }

// Foreign returns the connections of all ForeignErrors that err wraps.
func Foreign(err error) []ConnectionID {
	switch e := err.(type) {
	case nil:
		return nil
	case *ForeignError:
		return []ConnectionID{e.Connection}
	case interface{ Unwrap() []error }:
		var all []ConnectionID
		for _, wrapped := range e.Unwrap() {
			all = append(all, Foreign(wrapped)...)
		}
		return all
	}
	return Foreign(errors.Unwrap(err))
}

// MaxID is the maximum length of a thread, run or message id in bytes.
const MaxID = 128

// CheckID reports whether an id from a client is valid for a thread, a run, a message or an interrupt: 1–128 characters
// of [A-Za-z0-9._:-]. The error wraps ErrBadID and is written for the client.
func CheckID(id string) error {
	if id == "" || len(id) > MaxID {
		return fmt.Errorf("%w: want 1 to %d characters, have %d", ErrBadID, MaxID, len(id))
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return fmt.Errorf("%w: only A-Z a-z 0-9 . _ : - are allowed", ErrBadID)
		}
	}
	return nil
}

// Package store keeps everything that Carrel remembers in one DynamoDB table. Table.For(user) is the only door to a
// user's data: no method behind it takes a user, so another user's data has no name in the program. keys.go is the
// only place that builds a key. Every conditional write recognises itself, because the SDK repeats a write whose answer
// was lost.
package store

import (
	"context"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/desk"
)

// Config is what a Table is made from.
type Config struct {
	Name   string           // of the table
	Limits chat.Limits      // of every user
	Now    func() time.Time // nil: time.Now
	NewID  func() string    // nonces and epochs; nil: random ones
}

// Table is the table. It holds no user's anything and is shared by all requests.
type Table struct{}

// Store is one user's part of the table. All of its methods are safe for concurrent use.
type Store struct{}

// For opens one user's part. The zero user is refused with chat.ErrNoUser.
func (t *Table) For(u chat.User) (*Store, error) { panic("not built") }

// Owner restores the user whom the edge wrote for a connection, or chat.ErrNotFound. Only disconnect, whose event may
// lack the authorizer's context, and the check of one that has it, read it.
func (t *Table) Owner(ctx context.Context, id chat.ConnectionID) (chat.User, error) {
	panic("not built")
}

// LiveRun is one entry of the live index.
type LiveRun struct {
	User     chat.User
	Run      chat.RunID
	Deadline time.Time
}

// Live reads the live index whole: runs accepted and not ended, of all users. For sweep and operators only.
func (t *Table) Live(ctx context.Context) ([]LiveRun, error) { panic("not built") }

// Connect writes the owner and connection records. If the user then has more than the limit, it removes the oldest
// and returns them: the caller tells and closes them.
func (s *Store) Connect(ctx context.Context, c chat.Connection) (replaced []chat.Connection, err error) {
	panic("not built")
}

// Connection reads one of the user's connections, or chat.ErrNotFound.
func (s *Store) Connection(ctx context.Context, id chat.ConnectionID) (chat.Connection, error) {
	panic("not built")
}

// Connections lists the user's connections, consistently.
func (s *Store) Connections(ctx context.Context) ([]chat.Connection, error) { panic("not built") }

// Watch points a connection at a thread if c.N is higher than the stored n, and returns the row as it is then: its
// Thread tells whether the change took (a repeat of the same n and thread did). A row that is missing is made again
// from c; a row of another owner gives chat.ErrNotFound.
func (s *Store) Watch(ctx context.Context, c chat.Connection) (chat.Connection, error) {
	panic("not built")
}

// RemoveConnection forgets a connection and its owner record. One that is not there is fine.
func (s *Store) RemoveConnection(ctx context.Context, id chat.ConnectionID) error {
	panic("not built")
}

// Thread is one thread's record.
type Thread struct {
	ID      chat.ThreadID
	Epoch   chat.Epoch
	Head    chat.Seq // last event of the last run that ended
	Title   string
	Created time.Time
	Updated time.Time
}

// Thread reads a thread consistently, or chat.ErrNotFound.
func (s *Store) Thread(ctx context.Context, id chat.ThreadID) (Thread, error) { panic("not built") }

// Threads lists a page of threads, highest id first, beginning below before ("": at the top).
func (s *Store) Threads(ctx context.Context, before chat.ThreadID, limit int) (page []Thread, more bool, err error) {
	panic("not built")
}

// Record is one record of a thread's log: the events of one flush.
type Record struct {
	Seq    chat.Seq // of the first event
	Run    chat.RunID
	Events []agui.Event
}

// Log reads the records after a position, consistently and in order, at most limit records. A position inside a record
// gives that record whole.
func (s *Store) Log(ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, after chat.Seq, limit int) ([]Record, error) {
	panic("not built")
}

// Last is the last event's sequence number in a thread's log, read consistently: 0 for an empty one.
func (s *Store) Last(ctx context.Context, thread chat.ThreadID, epoch chat.Epoch) (chat.Seq, error) {
	panic("not built")
}

// Transcript is the messages of one run that has ended.
type Transcript struct {
	First, Last chat.Seq // the run's events
	Run         chat.RunID
	Messages    []agui.Message
}

// Transcripts reads the transcripts that begin below before (0: no bound) and end at or below head, newest first, until
// they hold limit messages or more; more tells whether older ones exist.
func (s *Store) Transcripts(ctx context.Context, t Thread, before chat.Seq, limit int) (ts []Transcript, more bool, err error) {
	panic("not built")
}

// Admission is what a user asks for with a run.
type Admission struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	Agent    string
	Messages []agui.Message
	Grants   []string
	WhenBusy chat.WhenBusy
	Title    string // of the thread, if this run creates it
}

// Run is one run's record.
type Run struct {
	ID              chat.RunID
	Thread          chat.ThreadID
	Agent           string
	Status          chat.RunStatus
	Fence           int64 // how often it was claimed
	Lease           time.Time
	CancelRequested bool
	Created, Ended  time.Time
	Usage           []agui.Usage
}

// Admitted is the answer to an admission.
type Admitted struct {
	Run      Run
	Position int  // among the waiting, from 1
	Repeat   bool // the run was known before
	Invoke   bool // turn is to be invoked: the run has a seat and nobody has claimed it
}

// Admit records a run and gives it a seat or a place in the queue, in one transaction, creating its thread if need be.
// A repeat of the same run answers as the first did. It fails with chat.ErrBusy, ErrTooManyRuns, and ErrBadID for a run
// id that is another thread's.
func (s *Store) Admit(ctx context.Context, a Admission) (Admitted, error) { panic("not built") }

// Run reads a run's record, or chat.ErrNotFound.
func (s *Store) Run(ctx context.Context, id chat.RunID) (Run, error) { panic("not built") }

// Input reads what a run was asked and the grants of its admission.
func (s *Store) Input(ctx context.Context, id chat.RunID) (Admission, error) { panic("not built") }

// Desk reads the user's desk, consistently.
func (s *Store) Desk(ctx context.Context) (desk.Desk, error) { panic("not built") }

// Cancelled says what Cancel did.
type Cancelled struct {
	Run   Run  // as it is now; its Thread is empty for a run that is not known
	Ended bool // it was waiting, or admitted and not claimed, and has ended without events: its watchers are to be told
}

// Cancel asks a running run to stop, ends one that never began, and keeps the wish for one that is not known yet. A run
// that has ended stays as it is.
func (s *Store) Cancel(ctx context.Context, id chat.RunID) (Cancelled, error) { panic("not built") }

// StartWaiting moves what may start from the queue to seats and returns those runs: the caller invokes turn for each.
func (s *Store) StartWaiting(ctx context.Context) ([]Run, error) { panic("not built") }

// Holder is the claim on one run: the permission to write its thread. Each write carries its fence and nonce; once the
// claim is past, every method returns chat.ErrFenced. Append and End are for one goroutine at a time; Renew and
// CancelRequested may run beside them.
type Holder struct{}

// Claim claims a run for a turn: one that is admitted, or running with a lease that is past. It fails with
// chat.ErrNotClaimed (somebody else's, or over) and chat.ErrNotFound.
func (s *Store) Claim(ctx context.Context, id chat.RunID) (*Holder, error) { panic("not built") }

// Run is the run as claimed; Input what it was asked; Thread its thread, read after the claim.
func (h *Holder) Run() Run { panic("not built") }

// Input is what the run was asked, with the grants of its admission.
func (h *Holder) Input() Admission { panic("not built") }

// Thread is the run's thread as it was read after the claim.
func (h *Holder) Thread() Thread { panic("not built") }

// Earlier are the events of this run that earlier attempts left in the log, oldest first: empty for a first attempt.
func (h *Holder) Earlier() []agui.Event { panic("not built") }

// Append makes events durable as one record and returns the first's sequence number.
func (h *Holder) Append(ctx context.Context, events []agui.Event) (chat.Seq, error) {
	panic("not built")
}

// Renew extends the lease; every 6 s of its 20 s.
func (h *Holder) Renew(ctx context.Context) error { panic("not built") }

// Lease is when the claim ends unless renewed.
func (h *Holder) Lease() time.Time { panic("not built") }

// CancelRequested reads whether the user asked the run to stop.
func (h *Holder) CancelRequested(ctx context.Context) (bool, error) { panic("not built") }

// End ends the run: it puts the transcript, folded from all of the run's events, and then writes the last record, the
// thread's head, the run's status and the freed seat in one transaction. last must end with a terminal event; the
// status follows from it. It returns the sequence number of last's first event and the thread as it is then.
func (h *Holder) End(ctx context.Context, last []agui.Event) (chat.Seq, Thread, error) {
	panic("not built")
}

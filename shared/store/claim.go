package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// ErrStaleAttempt is what the first write of a holder gets if an earlier attempt woke up and wrote once more: nothing was
// written, Earlier holds that record now, and the first record is to be chosen anew. It cannot happen to a first
// attempt (fence 1), nor twice to one holder unless more than one earlier attempt wakes up.
var ErrStaleAttempt = errors.New("an earlier attempt wrote in between")

// Lease is the claim on one run: the permission to write its thread. Each write carries its fence and nonce; once the
// claim is past, every method returns chat.ErrLeaseLost. Append and End are for one goroutine at a time; Renew and
// CancelRequested may run beside them.
type Lease struct {
	s       *Store
	run     Run
	nonce   string
	input   Admission
	thread  Thread
	past    atomic.Bool  // the claim is
	deleted bool         // the thread is: the run can only be ended
	broken  error        // what of the run cannot be read, if anything: likewise
	lease   atomic.Int64 // ms since the epoch
	due     atomic.Int64 // when sweep looks at the run next, likewise

	// Of the goroutine that appends.
	figures chat.RunStats
	folder  agui.Folder // of the whole run's events, as far as a transcript has room for them
	header  agui.Header
	earlier earlier
	first   chat.Seq // of the run's events; 0: none
	next    chat.Seq
	wrote   bool  // a record of this claim is in the log
	expires int64 // of the last record: later ones never expire before it
}

// Claim claims a run for a turn: one that is admitted, or running with a lease that is past and time left. The claim
// itself counts the attempt, so that one which dies while it loads is counted too. It fails with chat.ErrNotClaimed
// (somebody else's, over, or its time or attempts are used up: sweep's to end), chat.ErrNotFound, and chat.ErrForeign if it
// finds another user's name in the run: a key led to the wrong place. Nothing is changed then.
func (s *Store) Claim(ctx context.Context, id chat.RunID) (*Lease, error) {
	if err := checkID("run", id); err != nil {
		return nil, err
	}
	worker := ""
	if s.t.c.Worker != nil {
		worker = s.t.c.Worker(ctx)
	}
	return s.claim(ctx, id, claiming{
		worker: worker,
		count:  ", #attempts = if_not_exists(#attempts, :zero) + :one",
		when: "(#status = :admitted OR (#status = :running AND #lease < :clock AND #deadline > :clock))" +
			" AND (attribute_not_exists(#attempts) OR #attempts < :most)",
		values: attributes{
			":admitted": text(chat.RunAdmitted), ":zero": number(int64(0)), ":most": number(int64(s.t.c.Limits.Attempts)),
		},
	})
}

// ClaimExpired claims a run whose worker is gone, to end it: one that is running with a lease that is past, or admitted
// and not claimed by its deadline. It counts no attempt and needs none to be left. It fails with chat.ErrNotClaimed for
// any other, and with chat.ErrNotFound. For sweep.
func (s *Store) ClaimExpired(ctx context.Context, id chat.RunID) (*Lease, error) {
	r, err := s.runItem(ctx, id)
	if err != nil {
		return nil, err
	}
	now := s.t.c.Now()
	// What is read here is in the condition: whoever claims or renews in between keeps the run.
	seen := attributes{":seen": text(r.Status), ":fence": number(r.Fence), ":old": text(r.Nonce)}
	const unchanged = "#status = :seen AND #fence = :fence AND #nonce = :old AND "
	switch {
	case chat.RunStatus(r.Status) == chat.RunRunning && fromMillis(r.Lease).Before(now):
		return s.claim(ctx, id, claiming{when: unchanged + "#lease < :clock", values: seen})
	case chat.RunStatus(r.Status) == chat.RunAdmitted && fromMillis(r.Deadline).Before(now):
		return s.claim(ctx, id, claiming{when: unchanged + "#deadline < :clock", values: seen})
	}
	return nil, fmt.Errorf("claim an expired run: %w", chat.ErrNotClaimed)
}

// ClaimUnclaimed claims a run that is admitted, to end it: its turn failed before the claim, or Lambda never ran it. It
// counts no attempt. It fails with chat.ErrNotClaimed for any other, and with chat.ErrNotFound. For sweep.
func (s *Store) ClaimUnclaimed(ctx context.Context, id chat.RunID) (*Lease, error) {
	if err := checkID("run", id); err != nil {
		return nil, err
	}
	return s.claim(ctx, id, claiming{when: "#status = :seen", values: attributes{":seen": text(chat.RunAdmitted)}})
}

// claiming is what sets one kind of claim apart.
type claiming struct {
	worker string // the invocation that claims; "": no failure record is about it
	count  string // more to change
	when   string
	values attributes
}

// claim takes the run if it may. The deadline counts from the first claim: no attempt gives the run more time.
func (s *Store) claim(ctx context.Context, id chat.RunID, c claiming) (*Lease, error) {
	now, nonce, values := s.t.c.Now(), s.t.c.NewID(), c.values
	lease := now.Add(leaseTime)
	values[":running"], values[":nonce"], values[":one"] = text(chat.RunRunning), text(nonce), number(int64(1))
	values[":lease"], values[":clock"] = number(millis(lease)), number(millis(now))
	values[":due"], values[":me"] = number(millis(now.Add(lookTime))), text(s.user.Key())
	values[":worker"] = text(c.worker)
	values[":time"], values[":now"] = number((s.t.c.Limits.RunTime + overTime).Milliseconds()), number(s.t.nowSeconds())
	item, err := s.t.update(ctx, update{
		key: s.runKey(id),
		change: "SET #status = :running, #fence = #fence + :one, #nonce = :nonce, #lease = :lease, #due = :due," +
			" #worker = :worker, #started = if_not_exists(#started, :clock)," +
			" #deadline = if_not_exists(#started, :clock) + :time" + c.count,
		when: present + " AND #user = :me AND " + c.when, values: values,
	})
	if old, isOld := refused(err); isOld {
		item, err = old, nil // perhaps as this very call left it, its answer lost
	}
	if err != nil {
		return nil, fmt.Errorf("claim a run: %w", err)
	}
	r, err := asRun(item)
	switch {
	case err != nil:
		return nil, err
	case r.ID == "" || s.t.expired(r.Expires):
		return nil, fmt.Errorf("claim a run: %w", chat.ErrNotFound)
	case r.User != s.user.Key():
		return nil, fmt.Errorf("claim a run: %w", chat.ErrForeign)
	case r.Nonce != nonce:
		return nil, fmt.Errorf("claim a run: %w", chat.ErrNotClaimed)
	}
	h := &Lease{s: s, nonce: nonce, folder: agui.Folder{MaxBytes: maxTranscript}}
	h.lease.Store(r.Lease)
	h.due.Store(r.Due)
	if err := h.load(ctx, r); err != nil {
		return nil, err // the lease ends by itself
	}
	return h, nil
}

// load reads what the holder goes on from. The claim is made: what it reads was written before or is refused.
func (h *Lease) load(ctx context.Context, r runItem) error {
	s := h.s
	run, err := r.run()
	if err != nil {
		return err
	}
	h.run = run
	input, thread := s.inputKey(run.ID, r.Input), s.threadKey(run.Thread)
	found, err := s.t.getAll(ctx, []key{input, thread})
	if err != nil {
		return fmt.Errorf("read a claimed run's thread and input: %w", err)
	}
	var t threadItem
	if err := attributevalue.UnmarshalMap(found[thread.sk], &t); err != nil {
		return fmt.Errorf("read a claimed run's thread: %w", err)
	}
	if h.deleted = t.ID == "" || !s.t.visible(t); h.deleted {
		t = threadItem{ID: string(run.Thread)}
	}
	h.thread = s.t.thread(t)
	h.input = Admission{Run: run.ID, Thread: run.Thread, Agent: run.Agent}
	if item, ok := found[input.sk]; ok { // else TTL has taken it: such a run can only be ended
		var i inputItem
		if err := attributevalue.UnmarshalMap(item, &i); err != nil {
			return fmt.Errorf("read a claimed run's input: %w", err)
		}
		if in, err := i.admission(); err != nil {
			h.broken = fmt.Errorf("a run's input: %w: %w", ErrUnreadable, err)
		} else {
			h.input = in
		}
	}
	if h.deleted {
		return nil
	}
	if err := h.loadLog(ctx); err != nil {
		return err
	}
	// If the run was taken over and ended before all this was read, then nothing at the log's end tells of it, and the
	// next number would be free.
	_, err = h.CancelRequested(ctx)
	return err
}

func (h *Lease) fenced(why string) error {
	h.past.Store(true)
	return fmt.Errorf("%w: %s", chat.ErrLeaseLost, why)
}

// live refuses whoever holds a claim that is known to be past.
func (h *Lease) live() error {
	if h.past.Load() {
		return fmt.Errorf("%w: it has ended or was taken over", chat.ErrLeaseLost)
	}
	return nil
}

// Run is the run as claimed; Input what it was asked; Thread its thread, read after the claim.
func (h *Lease) Run() Run { return h.run }

// Input is what the run was asked, with the grants of its admission.
func (h *Lease) Input() Admission { return h.input }

// Thread is the run's thread as it was read after the claim.
func (h *Lease) Thread() Thread { return h.thread }

// Deleted tells whether the thread was found deleted: the run can only be ended then.
func (h *Lease) Deleted() bool { return h.deleted }

// Unreadable is an ErrUnreadable if the run's input, or a record that an earlier attempt left, cannot be read. Then the run
// can only be ended.
func (h *Lease) Unreadable() error { return h.broken }

// HasRecords reports whether the log has a record of the run.
func (h *Lease) HasRecords() bool { return h.first != 0 }

// Expires returns when the claim ends unless renewed.
func (h *Lease) Expires() time.Time { return fromMillis(h.lease.Load()) }

// mine is the condition of every change of the run by its holder.
const mine = "attribute_exists(#pk) AND #fence = :fence AND #nonce = :nonce AND #status = :running"

func (h *Lease) mine(more attributes) attributes {
	more[":fence"], more[":nonce"], more[":running"] = number(h.run.Fence), text(h.nonce), text(chat.RunRunning)
	return more
}

// Renew extends the lease; every 6 s of its 20 s. It does not extend it beyond the run's deadline, after which it fails
// with chat.ErrLeaseLost: a worker that does not come to its end has lost the run then, whatever it still does.
func (h *Lease) Renew(ctx context.Context) error {
	if err := h.live(); err != nil {
		return err
	}
	now := h.s.t.c.Now()
	if !now.Before(h.run.Deadline) {
		return h.fenced("its time is over")
	}
	lease := min(millis(now.Add(leaseTime)), millis(h.run.Deadline))
	u := update{
		key: h.s.runKey(h.run.ID), change: "SET #lease = :lease", when: mine,
		values: h.mine(attributes{":lease": number(lease)}),
	}
	due := h.dueAfter(now)
	if due != h.due.Load() { // only then, because each change of the index costs two write units
		u.change, u.values[":due"] = u.change+", #due = :due", number(due)
	}
	_, err := h.s.t.update(ctx, u)
	if _, isOld := refused(err); isOld {
		return h.fenced("the run was taken over or has ended")
	}
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	h.lease.Store(lease)
	h.due.Store(due)
	return nil
}

// CancelRequested reads whether the user asked the run to stop.
func (h *Lease) CancelRequested(ctx context.Context) (bool, error) {
	if err := h.live(); err != nil {
		return false, err
	}
	r, err := h.s.runItem(ctx, h.run.ID)
	if err != nil && !errors.Is(err, chat.ErrNotFound) {
		return false, err
	}
	if err != nil || r.Fence != h.run.Fence || r.Nonce != h.nonce || chat.RunStatus(r.Status) != chat.RunRunning {
		return false, h.fenced("the run was taken over or has ended")
	}
	return r.Cancel, nil
}

// SetStats says what the run has used; End writes it. For the goroutine that appends.
func (h *Lease) SetStats(f chat.RunStats) { h.figures = f }

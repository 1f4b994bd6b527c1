package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/chat"
)

// The live index is ordered by due: the time at which sweep looks at an entry next. So sweep reads only the entries that
// need it. docs/data.md has the table of due times.
const (
	lookTime     = time.Minute      // from an admission, a claim or a look to the next look
	patientTime  = 5 * time.Minute  // from one look to the next, once a run has been queued for as long
	moveDueBelow = 20 * time.Second // the heartbeat moves a due time that is nearer than this
)

// Live returns every entry of the live index, of all users, oldest first: runs that are accepted and have not ended, and
// erasures that are not finished. Entries that it cannot read are in the error; the others are returned beside it. The
// index lags behind, so each entry must be checked against its item. For operators.
func (t *Table) Live(ctx context.Context) ([]LiveEntry, error) {
	return t.shards(ctx, "", nil)
}

// Due returns the entries of the live index that are due, oldest first. Entries and shards that it cannot read are in the
// error; the others are returned beside it. For sweep.
func (t *Table) Due(ctx context.Context) ([]LiveEntry, error) {
	return t.shards(ctx, " AND #due < :now", attributes{":now": number(millis(t.c.Now()))})
}

// LiveOf returns one user's entries of the live index, oldest first. It takes one query. Entries of the shard that it
// cannot read are in the error. For sweep, because a failure record names its user by hash only.
func (t *Table) LiveOf(ctx context.Context, of chat.OwnerHash) ([]LiveEntry, error) {
	all, err := t.shard(ctx, liveShard(of), "", nil)
	return slices.DeleteFunc(all, func(e LiveEntry) bool { return chat.OwnerHash(e.User.Hash()) != of }), err
}

// shards reads all shards. One that cannot be read stops no other.
func (t *Table) shards(ctx context.Context, when string, values attributes) (entries []LiveEntry, err error) {
	for n := range liveShards {
		some, failed := t.shard(ctx, shardName(n), when, values)
		entries, err = append(entries, some...), errors.Join(err, failed)
	}
	slices.SortStableFunc(entries, func(a, b LiveEntry) int { return a.Due.Compare(b.Due) })
	return entries, err
}

// shard reads the entries of one shard that meet the condition, oldest first. It returns the readable entries together with
// the errors of the others.
func (t *Table) shard(ctx context.Context, name, when string, values attributes) (entries []LiveEntry, err error) {
	condition := "#live = :shard" + when
	in := &dynamodb.QueryInput{
		TableName: &t.c.Name, IndexName: aws.String("live"), KeyConditionExpression: &condition,
		ExpressionAttributeNames: names(condition), ExpressionAttributeValues: attributes{":shard": text(name)},
	}
	for placeholder, v := range values {
		in.ExpressionAttributeValues[placeholder] = v
	}
	var unreadable []error
	for {
		out, err := t.db.Query(ctx, in)
		if err != nil {
			return entries, errors.Join(append(unreadable, fmt.Errorf("read the live index: %w", err))...)
		}
		var page []liveItem
		if err := attributevalue.UnmarshalListOfMaps(out.Items, &page); err != nil {
			return entries, errors.Join(append(unreadable, fmt.Errorf("read the live index: %w", err))...)
		}
		for _, i := range page {
			e, err := i.entry()
			if err != nil {
				unreadable = append(unreadable, err)
				continue
			}
			entries = append(entries, e)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return entries, errors.Join(unreadable...)
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// dueAfter is when sweep is to look at the run next, if its worker lives at now: as before while that is far enough ahead.
// A look beyond the run's deadline would come late.
func (h *Lease) dueAfter(now time.Time) int64 {
	due := h.due.Load()
	if due-millis(now) >= moveDueBelow.Milliseconds() {
		return due
	}
	return max(due, min(millis(now.Add(lookTime)), millis(h.run.Deadline)))
}

// LookAgain sets when sweep looks at a run next, unless the run has changed since r was read. For sweep, after each look
// that leaves a run live.
func (s *Store) LookAgain(ctx context.Context, r Run) error {
	if err := checkID("run", r.ID); err != nil {
		return err
	}
	_, err := s.t.update(ctx, update{
		key: s.runKey(r.ID), change: "SET #due = :due",
		when: "attribute_exists(#pk) AND #status = :status AND #fence = :fence AND #due = :seen",
		values: attributes{
			":due": number(millis(nextLook(r, s.t.c.Now()))), ":status": text(r.Status), ":fence": number(r.Fence),
			":seen": number(millis(r.Due)),
		},
	})
	if _, isOld := refused(err); isOld {
		return nil // the change that came first has set its own due time
	}
	if err != nil {
		return fmt.Errorf("set when a run is looked at next: %w", err)
	}
	return nil
}

// nextLook is when a run that was looked at now is due again: at its deadline at the latest, if that is ahead.
func nextLook(r Run, now time.Time) time.Time {
	next := now.Add(lookTime)
	switch {
	case r.Status == chat.RunAdmitted: // turn was asked for once more; then the run ends
		next = r.Deadline
	case r.Status == chat.RunQueued && now.Sub(r.Created) >= patientTime:
		next = now.Add(patientTime)
	}
	if r.Deadline.After(now) && r.Deadline.Before(next) {
		next = r.Deadline
	}
	if !next.After(now) {
		next = now.Add(lookTime)
	}
	return next
}

// Unclaimed is for how long a run that is admitted has waited for its claim at now.
func (r Run) Unclaimed(now time.Time) time.Duration { return now.Sub(r.Deadline.Add(-claimTime)) }

// Release ends the lease of a run whose worker has died: of the invocation that claimed the run last. It returns the run
// as it is then. It fails with chat.ErrNotClaimed if another invocation claimed the run, if the run is not running, and
// with chat.ErrNotFound. For sweep, which knows from a failure record that this invocation has ended.
func (s *Store) Release(ctx context.Context, id chat.RunID, worker string) (Run, error) {
	if err := checkID("run", id); err != nil {
		return Run{}, err
	}
	if worker == "" { // claims of sweep have no worker
		return Run{}, fmt.Errorf("release a run: %w", chat.ErrNotClaimed)
	}
	item, err := s.t.update(ctx, update{
		key: s.runKey(id), change: "SET #lease = :over, #due = :due",
		when: present + " AND #status = :running AND #worker = :worker",
		values: attributes{
			":over": number(int64(0)), ":due": number(millis(s.t.c.Now().Add(lookTime))), ":running": text(chat.RunRunning),
			":worker": text(worker), ":now": number(s.t.nowSeconds()),
		},
	})
	if old, isOld := refused(err); isOld {
		err = chat.ErrNotClaimed
		if len(old) == 0 {
			err = chat.ErrNotFound
		}
	}
	if err != nil {
		return Run{}, fmt.Errorf("release a run: %w", err)
	}
	return runOf(item)
}

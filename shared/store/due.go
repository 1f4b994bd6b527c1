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

// The live index is ordered by due: the time at which sweep looks at an entry next. So sweep reads only the entries
// that need it. docs/data.md has the table of due times.
const (
	lookTime     = time.Minute      // from an admission, a claim or an examination by sweep to the next examination
	patientTime  = 5 * time.Minute  // between examinations of a run that has been queued for at least this long
	moveDueBelow = 20 * time.Second // a claim or a heartbeat moves a due time that is nearer than this
	clockMargin  = 5 * time.Second  // between the clocks of the admission and the claim
)

// Live returns every entry of the live index, of all users, oldest first: runs that are accepted and have not ended,
// and erasures that are not finished. Entries that it cannot read are in the error; it returns the others as well.
// The index lags behind, so each entry must be checked against its item. For operators.
func (t *Table) Live(ctx context.Context) ([]LiveEntry, error) {
	return t.shards(ctx, "", nil)
}

// Due returns the entries of the live index that are due, oldest first. Entries and shards that it cannot read are in
// the error; it returns the others as well. For sweep.
func (t *Table) Due(ctx context.Context) ([]LiveEntry, error) {
	return t.shards(ctx, " AND #due < :now", attributes{":now": number(millis(t.c.Now()))})
}

// LiveOf returns one user's entries of the live index, oldest first. It takes one query. Entries of the shard that it
// cannot read are in the error. For sweep, because a failure record names its user by hash only.
func (t *Table) LiveOf(ctx context.Context, of chat.OwnerHash) ([]LiveEntry, error) {
	all, err := t.shard(ctx, liveShard(of), "", nil)
	return slices.DeleteFunc(all, func(e LiveEntry) bool { return chat.OwnerHash(e.User.Hash()) != of }), err
}

// shards reads all shards. After a shard that it cannot read, it continues with the next.
func (t *Table) shards(ctx context.Context, when string, values attributes) (entries []LiveEntry, err error) {
	for n := range liveShards {
		some, failed := t.shard(ctx, shardName(n), when, values)
		entries, err = append(entries, some...), errors.Join(err, failed)
	}
	slices.SortStableFunc(entries, func(a, b LiveEntry) int { return a.Due.Compare(b.Due) })
	return entries, err
}

// shard reads the entries of one shard that meet the condition, oldest first. It returns the readable entries together
// with the errors of the others.
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

// dueAfter returns when sweep examines the run next if its worker is alive now. The due time stays while it is far
// enough ahead. It is never after the run's deadline.
func (l *Lease) dueAfter(now time.Time) int64 {
	due := l.due.Load()
	if due-millis(now) >= moveDueBelow.Milliseconds() {
		return due
	}
	return max(due, min(millis(now.Add(lookTime)), millis(l.run.Deadline)))
}

// LookAgain sets when sweep examines a run next, unless the run has changed since r was read. Sweep calls it each time
// it examines a run and leaves it live.
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
		return nil // the concurrent change has set its own due time
	}
	if err != nil {
		return fmt.Errorf("set the due time of a run: %w", err)
	}
	return nil
}

// nextLook returns when a run that was examined now is due again: at its deadline at the latest, if that is in the
// future.
func nextLook(r Run, now time.Time) time.Time {
	next := now.Add(lookTime)
	switch {
	case r.Status == chat.RunAdmitted: // sweep has invoked turn once more; at the deadline the run ends
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

// Unclaimed returns how long an admitted run has been waiting for its claim.
func (r Run) Unclaimed(now time.Time) time.Duration { return now.Sub(r.Deadline.Add(-claimTime)) }

// Release ends the lease of a run that the invocation worker claimed last and returns the run. It fails with
// chat.ErrNotClaimed if another invocation claimed the run or if the run is not running, and with chat.ErrNotFound.
// Sweep calls it when a failure record says that the invocation has ended.
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
			":over": number(int64(0)), ":due": number(millis(s.t.c.Now().Add(lookTime))),
			":running": text(chat.RunRunning), ":worker": text(worker), ":now": number(s.t.nowSeconds()),
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

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// forgottenLife is for how long one who was erased stays refused: what was on its way then has arrived or has failed.
const forgottenLife = 24 * time.Hour

// userErasureItem remembers in the live index that a user is to be erased.
type userErasureItem struct {
	PK     string `dynamodbav:"pk"`
	SK     string `dynamodbav:"sk"`
	Live   string `dynamodbav:"live"`
	Due    int64  `dynamodbav:"due"`
	Marked int64  `dynamodbav:"marked"`
}

// RequestErasure marks the user as one who is to be erased, also one of whom nothing is kept yet, and puts that among what is
// live, in one transaction. From then on the user is refused everything with chat.ErrClosed. For one who bears the mark
// already it changes nothing. The erasing is EraseUser's.
func (s *Store) RequestErasure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		d, err := s.queueItem(ctx)
		if err != nil || d.Erasing {
			return err
		}
		err = s.markUser(ctx)
		if err == nil {
			return nil
		}
		if !anyRefused(err) {
			return fmt.Errorf("forget a user: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("forget a user: %w", waited)
		}
	}
}

// markUser closes the desk, or makes a closed one, and puts what remembers it.
func (s *Store) markUser(ctx context.Context) error {
	now, k := millis(s.t.c.Now()), s.userErasureKey()
	remember, err := s.t.putPart(userErasureItem{PK: k.pk, SK: k.sk, Live: s.liveShard(), Due: now, Marked: now}, "", nil)
	if err != nil {
		return err
	}
	none := &types.AttributeValueMemberM{Value: attributes{}}
	// The version rises, so that no admission that had read the open desk is written.
	closing := s.t.updatePart(update{
		key: s.queueKey(),
		change: "SET #erasing = :true, #slots = if_not_exists(#slots, :none), #queued = if_not_exists(#queued, :nobody), " +
			"#version = if_not_exists(#version, :zero) + :one REMOVE #expires",
		when: "(attribute_not_exists(#erasing) OR #expires < :now)",
		values: attributes{
			":true": &types.AttributeValueMemberBOOL{Value: true}, ":none": none,
			":nobody": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
			":zero":   number(int64(0)), ":one": number(int64(1)), ":now": number(s.t.nowSeconds()),
		},
	})
	return s.t.transact(ctx, closing, remember)
}

// queueItem reads the desk, consistently; that of one who was erased long enough ago is none.
func (s *Store) queueItem(ctx context.Context) (queueItem, error) {
	var item queueItem
	if _, err := s.t.get(ctx, s.queueKey(), &item); err != nil {
		return queueItem{}, fmt.Errorf("read the desk: %w", err)
	}
	return s.t.current(item), nil
}

// current is the desk, or none if it is left from one who may be new again.
func (t *Table) current(d queueItem) queueItem {
	if t.expired(d.Expires) {
		return queueItem{}
	}
	return d
}

// Open fails with chat.ErrClosed for a user who is being erased, or was within the last 24 hours.
func (s *Store) Open(ctx context.Context) error {
	d, err := s.queueItem(ctx)
	if err != nil {
		return err
	}
	if d.Erasing {
		return fmt.Errorf("the user is being erased: %w", chat.ErrClosed)
	}
	return nil
}

// StopAll cancels every run of a user who is being erased: those that nobody has claimed end at once, and it returns how
// many are at work still. One whose lease is past is not: its worker is dead, or will find its claim gone. Of any other
// user it leaves all runs alone, and fails with chat.ErrNotFound.
func (s *Store) StopAll(ctx context.Context) (working int, err error) {
	if _, err := s.closing(ctx); err != nil {
		return 0, err
	}
	var left []runItem
	q := s.runSpan()
	_, err = s.t.each(ctx, q, func(item attributes) (bool, error) {
		r, err := asRun(item)
		if err == nil && r.ID != "" && !chat.RunStatus(r.Status).Terminal() {
			left = append(left, r)
		}
		return true, err
	})
	if err != nil {
		return 0, fmt.Errorf("read the runs: %w", err)
	}
	for _, r := range left {
		works, err := s.stop(ctx, r)
		if err != nil {
			return working, fmt.Errorf("stop a run: %w", err)
		}
		if works {
			working++
		}
	}
	return working, nil
}

// stop cancels one run. Its seat stays: nobody will have it. One that was claimed since it was read works, or has ended.
func (s *Store) stop(ctx context.Context, r runItem) (works bool, err error) {
	u := s.cancelRequest(chat.RunID(r.ID))
	running := chat.RunStatus(r.Status) == chat.RunRunning
	if !running {
		u = update{
			key: key{r.PK, r.SK}, change: "SET #status = :cancelled, #ended = :ended REMOVE #live, #due, #deadline",
			when: "attribute_exists(#pk) AND #status IN (:queued, :admitted) AND #fence = :zero",
			values: attributes{
				":cancelled": text(chat.RunCancelled), ":ended": number(millis(s.t.c.Now())), ":zero": number(int64(0)),
				":queued": text(chat.RunQueued), ":admitted": text(chat.RunAdmitted),
			},
		}
	}
	_, err = s.t.update(ctx, u)
	if old, isOld := refused(err); isOld {
		now, err := asRun(old)
		return !chat.RunStatus(now.Status).Terminal() && now.ID != "", err
	}
	return running && !fromMillis(r.Lease).Before(s.t.c.Now()), err
}

// closing reads the desk of a user who is being erased, or fails with chat.ErrNotFound: nothing but the user's mark lets
// anything be erased.
func (s *Store) closing(ctx context.Context) (queueItem, error) {
	d, err := s.queueItem(ctx)
	if err == nil && !d.Erasing {
		err = fmt.Errorf("erase a user who does not bear the mark: %w", chat.ErrNotFound)
	}
	return d, err
}

// EraseUser makes one pass over everything that is kept of a user who bears the mark and whose runs have ended (StopAll):
// what it has deleted stays deleted, and what it did not come to the next pass does. When all but the connections is
// gone it calls farewell with them, to tell and to close, then removes them too. What is left is a desk that refuses the
// user for 24 hours more, and for 20 minutes after the mark the names of the threads, without content: then another pass
// looks whether a worker that did not know has written to one. It fails with chat.ErrNotFound without the mark.
func (s *Store) EraseUser(ctx context.Context, farewell func([]chat.Connection) error) error {
	begun := s.t.c.Now()
	d, err := s.closing(ctx)
	if err != nil {
		return err
	}
	var note userErasureItem
	noted, err := s.t.get(ctx, s.userErasureKey(), &note)
	if err != nil {
		return fmt.Errorf("erase a user: %w", err)
	}
	again := fromMillis(note.Marked).Add(eraseAgain)
	last := !noted || !begun.Before(again)
	err = s.eraseContent(ctx, last)
	if err == nil {
		err = s.eraseConnections(ctx, farewell)
	}
	if err == nil {
		err = s.leaveClosed(ctx, d)
	}
	if err == nil && noted {
		if last {
			err = s.t.remove(ctx, s.userErasureKey(), "", nil)
		} else {
			err = s.eraseAt(ctx, s.userErasureKey(), again)
		}
	}
	if err != nil {
		return fmt.Errorf("erase a user: %w", err)
	}
	return nil
}

// leaveClosed replaces the desk by one that refuses the user for a while and says nothing else.
func (s *Store) leaveClosed(ctx context.Context, d queueItem) error {
	k := s.queueKey()
	left := queueItem{
		PK: k.pk, SK: k.sk, Slots: map[string]string{}, Queued: []queuedItem{}, Version: d.Version + 1,
		Erasing: true, Expires: s.t.expiry(forgottenLife),
	}
	err := s.t.put(ctx, left, "attribute_exists(#erasing)", nil)
	if _, isOld := refused(err); isOld {
		return nil // another pass was slower still, and the user is new by now
	}
	return err
}

// eraseConnections calls farewell with the connections and removes them, expired ones too. Of SESSIONS it leaves which
// sign-ins are refused.
func (s *Store) eraseConnections(ctx context.Context, farewell func([]chat.Connection) error) error {
	notified := map[chat.ConnectionID]bool{}
	return s.again(ctx, "erase the connections", func(ctx context.Context) error {
		sessions, err := s.sessionsItem(ctx)
		if err != nil {
			return err
		}
		there, all, err := s.allConnections(ctx)
		if err != nil {
			return err
		}
		there = slices.DeleteFunc(there, func(c chat.Connection) bool { return notified[c.ID] })
		if err := farewell(there); err != nil {
			return err
		}
		for _, c := range there {
			notified[c.ID] = true
		}
		return s.dropConnections(ctx, sessions, all)
	})
}

// allConnections reads every row: the connections of the user that have not expired, and the ids of all rows.
func (s *Store) allConnections(ctx context.Context) (there []chat.Connection, all []chat.ConnectionID, err error) {
	_, err = s.t.each(ctx, s.connectionSpan(), func(item attributes) (bool, error) {
		var row connectionItem
		if err := attributevalue.UnmarshalMap(item, &row); err != nil {
			return false, err
		}
		c, err := s.connection(row)
		if foreign := (*chat.ForeignError)(nil); errors.As(err, &foreign) { // its row is erased; no connection is notified or closed
			all = append(all, foreign.Connection)
			return true, nil
		}
		all = append(all, c.ID)
		if !s.t.expired(row.Expires) {
			there = append(there, c)
		}
		return true, nil
	})
	return there, all, err
}

// dropConnections removes rows and all entries of SESSIONS, if no entry has changed since it was read.
func (s *Store) dropConnections(ctx context.Context, sessions sessionsItem, rows []chat.ConnectionID) error {
	for _, id := range rows {
		if _, known := sessions.Open[string(id)]; known {
			continue
		}
		orphan := s.orphanRow(id)
		err := s.t.remove(ctx, orphan.key, orphan.when, orphan.values)
		if _, written := refused(err); err != nil && !written { // a row that was written since has an entry, and the next attempt removes both
			return err
		}
	}
	if sessions.PK == "" {
		return nil
	}
	u := s.unchanged(sessions)
	part := s.t.deletePart(u)
	if sessions.Before != 0 || sessions.Barred {
		u.change = "REMOVE #open, #until, #expires"
		if !sessions.Barred {
			u.change = "SET #expires = :expires REMOVE #open, #until"
			u.set(":expires", number(s.t.expiry(erasedSessionsLife)))
		}
		part = s.t.updatePart(u)
	}
	parts := []types.TransactWriteItem{part}
	for id := range sessions.Open {
		parts = append(parts, s.t.deletePart(update{key: s.connectionKey(chat.ConnectionID(id))}))
	}
	return s.t.transact(ctx, parts...)
}

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

// erasedLife is how long a user is refused after the erasure. Requests that were in flight have arrived or failed by
// then.
const erasedLife = 24 * time.Hour

// userErasureItem is the request to erase a user. It is in the live index.
type userErasureItem struct {
	PK     string `dynamodbav:"pk"`
	SK     string `dynamodbav:"sk"`
	Live   string `dynamodbav:"live"`
	Due    int64  `dynamodbav:"due"`
	Marked int64  `dynamodbav:"marked"`
}

// RequestErasure marks the user for erasure and stores the request in the live index, in one transaction. It also works
// for a user without data. From then on every request of the user fails with chat.ErrErasing. If the user is marked
// already, it changes nothing. EraseUser erases the data.
func (s *Store) RequestErasure(ctx context.Context) error {
	return s.requestErasure(ctx, s.t.reader(ctx))
}

// requestErasure makes its first attempt by what first reads.
func (s *Store) requestErasure(ctx context.Context, first reader) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		queue, err := s.queueItem(first)
		if err != nil || queue.Erasing {
			return err
		}
		first = s.t.reader(ctx)
		err = s.markUser(ctx)
		if err == nil {
			return nil
		}
		if !anyRefused(err) {
			return fmt.Errorf("request the erasure of a user: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("request the erasure of a user: %w", waited)
		}
	}
}

// markUser marks the run queue as erasing, creates it if there is none, and stores the request.
func (s *Store) markUser(ctx context.Context) error {
	now, k := millis(s.t.c.Now()), s.userErasureKey()
	item := userErasureItem{PK: k.pk, SK: k.sk, Live: s.liveShard(), Due: now, Marked: now}
	request, err := s.t.putPart(item, "", nil)
	if err != nil {
		return err
	}
	none := &types.AttributeValueMemberM{Value: attributes{}}
	// The version rises, so that no admission is written that read the run queue before.
	mark := s.t.updatePart(update{
		key: s.queueKey(),
		change: "SET #erasing = :true, #slots = if_not_exists(#slots, :none), " +
			"#queued = if_not_exists(#queued, :list), #tokens = if_not_exists(#tokens, :none), " +
			"#version = if_not_exists(#version, :zero) + :one REMOVE #expires",
		when: "(attribute_not_exists(#erasing) OR #expires < :now)",
		values: attributes{
			":true": &types.AttributeValueMemberBOOL{Value: true}, ":none": none,
			":list": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
			":zero": number(int64(0)), ":one": number(int64(1)), ":now": number(s.t.nowSeconds()),
		},
	})
	return s.t.transact(ctx, mark, request)
}

// queueItem reads the run queue, consistently. It returns the zero item once the refusal of an erased user has ended.
func (s *Store) queueItem(read reader) (queueItem, error) {
	var item queueItem
	if _, err := read(s.queueKey(), &item); err != nil {
		return queueItem{}, fmt.Errorf("read the run queue: %w", err)
	}
	return s.t.current(item), nil
}

// current returns the run queue, or the zero item if it is left from an erasure that ended long enough ago.
func (t *Table) current(item queueItem) queueItem {
	if t.expired(item.Expires) {
		return queueItem{}
	}
	return item
}

// Open fails with chat.ErrErasing if the user is being erased or was erased within the last 24 hours.
func (s *Store) Open(ctx context.Context) error { return s.checkOpen(s.t.reader(ctx)) }

func (s *Store) checkOpen(read reader) error {
	queue, err := s.queueItem(read)
	if err != nil {
		return err
	}
	if queue.Erasing {
		return chat.ErrErasing
	}
	return nil
}

// StopAll cancels every run of a user who is being erased. Unclaimed runs end at once. It returns the number of runs
// that are still working; a run whose lease has expired does not count, because its worker is dead or will find the
// lease lost. For any other user it changes nothing and fails with chat.ErrNotFound.
func (s *Store) StopAll(ctx context.Context) (working int, err error) {
	if _, err := s.erasingQueue(ctx); err != nil {
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

// stop cancels one run. It leaves the slot, because no other run of the user will need it. A run that was claimed
// since it was read is working or has ended.
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

// erasingQueue reads the run queue of a user who is being erased. It fails with chat.ErrNotFound for any other user:
// nothing is erased without the mark.
func (s *Store) erasingQueue(ctx context.Context) (queueItem, error) {
	queue, err := s.queueItem(s.t.reader(ctx))
	if err == nil && !queue.Erasing {
		err = fmt.Errorf("the user is not marked for erasure: %w", chat.ErrNotFound)
	}
	return queue, err
}

// EraseUser makes one pass over the data of a user who is marked for erasure and whose runs have ended (StopAll). After
// an interruption the next pass continues. When only the connections are left, EraseUser calls farewell, which notifies
// and closes the connections, and then removes them too.
//
// Two things stay: a run queue that refuses the user for 24 hours, and the names of the threads, without content, until
// 20 minutes after the mark. Then another pass deletes the items that workers which did not know of the erasure have
// written to those threads. EraseUser fails with chat.ErrNotFound without the mark.
func (s *Store) EraseUser(ctx context.Context, farewell func([]chat.Connection) error) error {
	begun := s.t.c.Now()
	queue, err := s.erasingQueue(ctx)
	if err != nil {
		return err
	}
	var request userErasureItem
	found, err := s.t.get(ctx, s.userErasureKey(), &request)
	if err != nil {
		return fmt.Errorf("erase a user: %w", err)
	}
	again := fromMillis(request.Marked).Add(eraseAgain)
	last := !found || !begun.Before(again)
	err = s.eraseContent(ctx, last)
	if err == nil {
		err = s.eraseConnections(ctx, farewell)
	}
	if err == nil {
		err = s.refuseErased(ctx, queue)
	}
	if err == nil && found {
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

// refuseErased replaces the run queue by an empty queue that refuses the user until it expires after erasedLife.
func (s *Store) refuseErased(ctx context.Context, queue queueItem) error {
	k := s.queueKey()
	left := queueItem{
		PK: k.pk, SK: k.sk, Slots: map[string]string{}, Queued: []queuedItem{}, Tokens: map[string]int64{},
		Version: queue.Version + 1, Erasing: true, Expires: s.t.expiry(erasedLife),
	}
	err := s.t.put(ctx, left, "attribute_exists(#erasing)", nil)
	if _, isOld := refused(err); isOld {
		return nil // this pass was slow: the refusal has ended, and the user has returned
	}
	return err
}

// eraseConnections calls farewell with the connections and removes them, including expired ones. It keeps the part of
// SESSIONS that records which sign-ins are refused.
func (s *Store) eraseConnections(ctx context.Context, farewell func([]chat.Connection) error) error {
	notified := map[chat.ConnectionID]bool{}
	return s.again(ctx, "erase the connections", func(ctx context.Context) error {
		sessions, err := s.sessionsItem(s.t.reader(ctx))
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

// allConnections returns the connections of the user that have not expired, and the ids of all rows.
func (s *Store) allConnections(ctx context.Context) (there []chat.Connection, all []chat.ConnectionID, err error) {
	_, err = s.t.each(ctx, s.connectionSpan(), func(item attributes) (bool, error) {
		var row connectionItem
		if err := attributevalue.UnmarshalMap(item, &row); err != nil {
			return false, err
		}
		c, err := s.connection(row)
		// The row is erased, and no connection is notified or closed.
		if foreign := (*chat.ForeignError)(nil); errors.As(err, &foreign) {
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

// dropConnections removes the rows and all entries of SESSIONS, on the condition that no entry has changed since it was
// read.
func (s *Store) dropConnections(ctx context.Context, sessions sessionsItem, rows []chat.ConnectionID) error {
	for _, id := range rows {
		if _, known := sessions.Open[string(id)]; known {
			continue
		}
		orphan := s.orphanRow(id)
		err := s.t.remove(ctx, orphan.key, orphan.when, orphan.values)
		// A row that was written since has an entry, and the next attempt removes both.
		if _, written := refused(err); err != nil && !written {
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

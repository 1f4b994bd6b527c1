package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// eraseBatch is the maximum number of deletes and puts in one DynamoDB request.
const eraseBatch = 25

// Erase makes one pass over the log and the transcripts of a deleted thread. It deletes them batch by batch until none
// are left or ctx ends; a later pass continues. The first complete pass schedules a second one for 20 minutes after
// the deletion, when no worker can write to the thread any more; the second complete pass is the last. Without an
// erasure item, which only Delete writes, Erase does nothing.
func (s *Store) Erase(ctx context.Context, e Erasure) error {
	if err := checkLog(e.Thread, e.Epoch); err != nil {
		return err
	}
	var item erasureItem
	k := s.erasureKey(e)
	found, err := s.t.get(ctx, k, &item)
	if err != nil {
		return fmt.Errorf("erase a thread: %w", err)
	}
	if !found {
		return nil
	}
	begun := s.t.c.Now()
	if err := s.erase(ctx, whole(s.logPartition(e.Thread, e.Epoch)), nil); err != nil {
		return fmt.Errorf("erase a thread: %w", err)
	}
	again := fromMillis(item.Marked).Add(eraseAgain)
	if begun.Before(again) {
		err = s.eraseAt(ctx, k, again)
	} else {
		err = s.t.remove(ctx, k, "", nil)
	}
	if err != nil {
		return fmt.Errorf("erase a thread: %w", err)
	}
	return nil
}

// eraseAt schedules the next pass.
func (s *Store) eraseAt(ctx context.Context, k key, at time.Time) error {
	_, err := s.t.update(ctx, update{
		key: k, change: "SET #due = :due", when: "attribute_exists(#pk)",
		values: attributes{":due": number(millis(at))},
	})
	if _, isOld := refused(err); isOld {
		return nil // another worker has made the last pass
	}
	return err
}

// eraseContent deletes all items of a user except the run queue, the connections, the sessions and, unless it is the
// last pass, the names of the threads. The names are deleted after the logs, because nothing else refers to the logs.
func (s *Store) eraseContent(ctx context.Context, last bool) error {
	for _, named := range []span{s.erasureSpan(), s.threadSpan()} {
		if err := s.eraseLogs(ctx, named, last); err != nil {
			return err
		}
	}
	if err := s.erase(ctx, whole(s.toolPartition()), nil); err != nil {
		return err
	}
	return s.erase(ctx, whole(s.pk), func(sort string) bool {
		return sort == queueSort || sort == userErasureSort || sort == sessionsSort ||
			strings.HasPrefix(sort, connectionPrefix) ||
			!last && strings.HasPrefix(sort, erasurePrefix)
	})
}

// eraseLogs deletes the logs and transcripts of the threads that the items of q name. Unless it is the last pass, it
// then stores the name of each thread as an erasure item, as a deleted thread has one already. This item is not in the
// live index, so sweep does not process it.
func (s *Store) eraseLogs(ctx context.Context, q span, last bool) error {
	var names batch
	_, err := s.t.each(ctx, q, func(item attributes) (bool, error) {
		e, again, err := namedLog(item)
		if err == nil {
			err = s.erase(ctx, whole(s.logPartition(e.Thread, e.Epoch)), nil)
		}
		if err != nil || last || !again {
			return true, err
		}
		return true, names.add(ctx, s.t, types.WriteRequest{
			PutRequest: &types.PutRequest{Item: s.erasureKey(e).attributes()},
		})
	})
	if err != nil {
		return err
	}
	return names.write(ctx, s.t)
}

// namedLog returns the log that a THREAD or an ERASE item names. again is true if no other item will name the log once
// the THREAD item is deleted.
func namedLog(item attributes) (e Erasure, again bool, err error) {
	var t threadItem
	if err := attributevalue.UnmarshalMap(item, &t); err != nil {
		return e, false, fmt.Errorf("read a thread: %w", err)
	}
	if t.ID != "" {
		return Erasure{chat.ThreadID(t.ID), chat.Epoch(t.Epoch)}, t.Deleted == 0, nil
	}
	_, _, e, err = splitLiveKey(key{t.PK, t.SK})
	return e, false, err
}

// erase deletes the items of a span, except those for which kept returns true. A nil kept keeps none.
func (s *Store) erase(ctx context.Context, q span, kept func(sort string) bool) error {
	var deletes batch
	q.keys = true
	_, err := s.t.each(ctx, q, func(item attributes) (bool, error) {
		var k struct {
			PK string `dynamodbav:"pk"`
			SK string `dynamodbav:"sk"`
		}
		if err := attributevalue.UnmarshalMap(item, &k); err != nil {
			return false, err
		}
		if kept != nil && kept(k.SK) {
			return true, nil
		}
		return true, deletes.add(ctx, s.t, types.WriteRequest{
			DeleteRequest: &types.DeleteRequest{Key: key{k.PK, k.SK}.attributes()},
		})
	})
	if err != nil {
		return err
	}
	return deletes.write(ctx, s.t)
}

// batch collects deletes and puts until they fill a request.
type batch []types.WriteRequest

func (b *batch) add(ctx context.Context, t *Table, r types.WriteRequest) error {
	if *b = append(*b, r); len(*b) < eraseBatch {
		return nil
	}
	return b.write(ctx, t)
}

// write sends the collected requests.
func (b *batch) write(ctx context.Context, t *Table) error {
	if len(*b) == 0 {
		return nil
	}
	left := map[string][]types.WriteRequest{t.c.Name: *b}
	for n := 0; len(left) > 0; n++ {
		if n > 0 { // throttled
			if err := pause(ctx, n); err != nil {
				return err
			}
		}
		out, err := t.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return err
		}
		left = out.UnprocessedItems
	}
	*b = nil
	return nil
}

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// eraseBatch is what DynamoDB deletes in one request at most.
const eraseBatch = 25

// Erase makes one pass over what is left of a deleted thread, its log and its transcripts, batch by batch until there is
// nothing or the ctx ends: what it has deleted then stays deleted. The first pass that comes to the end is followed by
// one 20 minutes after the thread's mark, when nothing can write any more, and that by none. Without an erasure among what
// is live it does nothing: only a thread's mark puts one there.
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
	if err := s.erase(ctx, s.logPartition(e.Thread, e.Epoch)); err != nil {
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

// eraseAt notes when the next pass is due.
func (s *Store) eraseAt(ctx context.Context, k key, at time.Time) error {
	_, err := s.t.update(ctx, update{
		key: k, change: "SET #deadline = :deadline", when: "attribute_exists(#pk)",
		values: attributes{":deadline": number(millis(at))},
	})
	if _, isOld := refused(err); isOld {
		return nil // another has made the last pass
	}
	return err
}

// erase deletes a partition's items.
func (s *Store) erase(ctx context.Context, pk string) error {
	var batch []types.WriteRequest
	q := span{pk: pk, low: belowAll, high: aboveAll, keys: true}
	_, err := s.t.each(ctx, q, func(item attributes) (bool, error) {
		var k struct {
			PK string `dynamodbav:"pk"`
			SK string `dynamodbav:"sk"`
		}
		if err := attributevalue.UnmarshalMap(item, &k); err != nil {
			return false, err
		}
		batch = append(batch, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key{k.PK, k.SK}.attributes()}})
		if len(batch) < eraseBatch {
			return true, nil
		}
		err := s.t.deleteAll(ctx, batch)
		batch = nil
		return true, err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return s.t.deleteAll(ctx, batch)
}

// deleteAll makes one batch of deletes.
func (t *Table) deleteAll(ctx context.Context, batch []types.WriteRequest) error {
	left := map[string][]types.WriteRequest{t.c.Name: batch}
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
	return nil
}

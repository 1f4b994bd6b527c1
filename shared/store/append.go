package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// maxRecord is the maximum size of a record's JSON text in bytes: DynamoDB limits an item to 400 KB, and a reader holds
// several records at once.
const maxRecord = 300 << 10

// Append writes events to the log as one record and returns the sequence number of the first event. A failed call may
// be repeated with the same events: Append recognises a record that the failed call wrote. It fails with
// chat.ErrLeaseLost, after which the worker must do nothing more for the run. Only the first record of a later attempt
// may fail with ErrStaleAttempt.
func (l *Lease) Append(ctx context.Context, events []agui.Event) (chat.Seq, error) {
	if err := l.checkHeld(); err != nil {
		return 0, err
	}
	if l.deleted {
		return 0, fmt.Errorf("append to the log: %w", ErrDeleted)
	}
	for {
		r, err := l.record(events)
		if err != nil {
			return 0, err
		}
		err = l.s.t.put(ctx, r, absent, attributes{":now": number(l.s.t.nowSeconds())})
		if old, isRefused := refused(err); isRefused {
			own, err := l.recordExists(old, r)
			if err != nil {
				return 0, err
			}
			if !own {
				continue
			}
		} else if err != nil {
			return 0, fmt.Errorf("append to the log: %w", err)
		}
		l.advance(r, events)
		l.wrote = true
		return chat.Seq(r.Seq), nil
	}
}

// record returns the next record of the log.
func (l *Lease) record(events []agui.Event) (recordItem, error) {
	if len(events) == 0 {
		return recordItem{}, errors.New("append to the log: no events")
	}
	if l.next+chat.Seq(len(events)) > lastSeq {
		return recordItem{}, errors.New("append to the log: the thread has no sequence numbers left")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // six bytes for each < and > would cost write units
	if err := enc.Encode(events); err != nil {
		return recordItem{}, fmt.Errorf("append to the log: %w", err)
	}
	if b.Len() > maxRecord {
		return recordItem{}, fmt.Errorf("append to the log: %d events of %d bytes are too large for one record",
			len(events), b.Len())
	}
	return recordItem{
		PK: l.s.logPartition(l.thread.ID, l.thread.Epoch), SK: recordSort(l.next),
		Seq: int64(l.next), Count: int64(len(events)), Run: string(l.run.ID), Fence: l.run.Fence, Nonce: l.nonce,
		Events:  string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))),
		Expires: max(l.expires, l.s.t.expiry(l.s.t.c.Limits.Retention)),
	}, nil
}

// recordExists examines the record that has the sequence number of r already. own is true if it is r itself, written
// by an earlier try whose answer was lost. Otherwise recordExists folds the record, and the caller tries the next
// number, or err says why the worker must stop.
func (l *Lease) recordExists(old attributes, r recordItem) (own bool, err error) {
	var existing recordItem
	if err := attributevalue.UnmarshalMap(old, &existing); err != nil {
		return false, fmt.Errorf("decode the existing log record: %w", err)
	}
	if existing.Run == r.Run && existing.Nonce == r.Nonce && existing.Events == r.Events {
		return true, nil
	}
	if err := l.fold(existing); err != nil {
		return false, err
	}
	if !l.wrote && existing.Fence < r.Fence {
		return false, fmt.Errorf("append to the log: %w", ErrStaleAttempt)
	}
	return false, nil
}

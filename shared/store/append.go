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

// maxRecord bounds a record's JSON text in bytes: an item ends at 400 KB, and a reader holds a few.
const maxRecord = 300 << 10

// Append makes events durable as one record and returns the first's sequence number. A failed call may be repeated with
// the same events: the record that it may have left is recognised. It fails with chat.ErrLeaseLost, after which nothing more
// may be done for the run, and, for a later attempt's first record only, with ErrStaleAttempt.
func (h *Lease) Append(ctx context.Context, events []agui.Event) (chat.Seq, error) {
	if err := h.live(); err != nil {
		return 0, err
	}
	if h.deleted {
		return 0, fmt.Errorf("append to the log: %w", ErrDeleted)
	}
	for {
		r, err := h.record(events)
		if err != nil {
			return 0, err
		}
		err = h.s.t.put(ctx, r, absent, attributes{":now": number(h.s.t.nowSeconds())})
		if old, isOld := refused(err); isOld {
			own, err := h.refusedBy(old, r)
			if err != nil {
				return 0, err
			}
			if !own {
				continue
			}
		} else if err != nil {
			return 0, fmt.Errorf("append to the log: %w", err)
		}
		h.took(r, events)
		h.wrote = true
		return chat.Seq(r.Seq), nil
	}
}

// record is the log's next one.
func (h *Lease) record(events []agui.Event) (recordItem, error) {
	if len(events) == 0 {
		return recordItem{}, errors.New("append to the log: no events")
	}
	if h.next+chat.Seq(len(events)) > lastSeq {
		return recordItem{}, errors.New("append to the log: the thread has no numbers left")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // six bytes for each < and > would cost units
	if err := enc.Encode(events); err != nil {
		return recordItem{}, fmt.Errorf("append to the log: %w", err)
	}
	if b.Len() > maxRecord {
		return recordItem{}, fmt.Errorf("append to the log: %d events of %d bytes are too large for one record", len(events), b.Len())
	}
	return recordItem{
		PK: h.s.logPartition(h.thread.ID, h.thread.Epoch), SK: recordSort(h.next),
		Seq: int64(h.next), Count: int64(len(events)), Run: string(h.run.ID), Fence: h.run.Fence, Nonce: h.nonce,
		Events: string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), Expires: max(h.expires, h.s.t.expiry(h.s.t.c.Limits.Retention)),
	}, nil
}

// refusedBy looks at the record that stands where r was to go. own: it is r itself, written by an earlier try. Otherwise
// it has been folded in and the next number is to be tried, or the error says that this holder is to stop.
func (h *Lease) refusedBy(old attributes, r recordItem) (own bool, err error) {
	var there recordItem
	if err := attributevalue.UnmarshalMap(old, &there); err != nil {
		return false, fmt.Errorf("read the log record that is there: %w", err)
	}
	if there.Run == r.Run && there.Nonce == r.Nonce && there.Events == r.Events {
		return true, nil
	}
	if err := h.fold(there); err != nil {
		return false, err
	}
	if !h.wrote && there.Fence < r.Fence {
		return false, fmt.Errorf("append to the log: %w", ErrStaleAttempt)
	}
	return false, nil
}

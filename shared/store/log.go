package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// ErrUnreadable is returned for a log record or a run's input whose JSON text cannot be decoded. Callers continue
// without it.
var ErrUnreadable = errors.New("it cannot be read")

// Record is one record of a thread's log. It holds the events of one flush.
type Record struct {
	Seq, Last chat.Seq // of the first and of the last event
	Run       chat.RunID
	Events    []agui.Event
	Size      int // of the events as JSON text, in bytes
}

// Log reads the records after a position, consistently and in order. It returns at most limit records and at most what
// one request returns, which is 1 MB. A position inside a record returns that whole record. If the first record begins
// beyond after + 1, or there is none although the log continues, retention has deleted the events after the position.
// Log stops before a record that cannot be decoded; if that is the first one, it fails with ErrUnreadable.
func (s *Store) Log(
	ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, after chat.Seq, limit int,
) ([]Record, error) {
	if err := checkLog(thread, epoch); err != nil {
		return nil, err
	}
	after = max(after, 0)
	items, _, err := s.records(ctx, thread, epoch, after+1, max(limit, 1))
	if err != nil {
		return nil, err
	}
	if after > 0 && (len(items) == 0 || chat.Seq(items[0].Seq) > after+1) {
		before, found, err := s.recordBefore(ctx, thread, epoch, after)
		if err != nil {
			return nil, err
		}
		if found && before.last() > after {
			items = append([]recordItem{before}, items...)
		}
	}
	records, _, err := decoded(items[:min(len(items), max(limit, 1))])
	return records, err
}

// LogPage is the part of a thread's log that one request read.
type LogPage struct {
	Records []Record
	End     bool // the log ended behind Records when it was read
}

// LogPage reads the records that begin after a position, consistently and in order, in one request. It returns at most
// limit records and at most 1 MB, and stops where Log stops. If the position is inside a record, it leaves out the rest
// of that record, which Log returns.
func (s *Store) LogPage(
	ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, after chat.Seq, limit int,
) (LogPage, error) {
	if err := checkLog(thread, epoch); err != nil {
		return LogPage{}, err
	}
	items, end, err := s.records(ctx, thread, epoch, max(after, 0)+1, max(limit, 1))
	if err != nil {
		return LogPage{}, err
	}
	records, whole, err := decoded(items)
	return LogPage{Records: records, End: end && whole}, err
}

// decoded decodes records until one cannot be decoded. It fails if the first record cannot. whole is true if it has
// decoded all.
func decoded(items []recordItem) (records []Record, whole bool, err error) {
	records = make([]Record, 0, len(items))
	for _, i := range items {
		r, err := i.record()
		if err != nil && len(records) > 0 {
			return records, false, nil // a request for the following records returns the error
		}
		if err != nil {
			return nil, false, err
		}
		records = append(records, r)
	}
	return records, true, nil
}

// Last returns the last record of a thread's log, read consistently, or the zero Record if the log is empty. For a
// record that cannot be decoded it returns the record without its events, and ErrUnreadable.
func (s *Store) Last(ctx context.Context, thread chat.ThreadID, epoch chat.Epoch) (Record, error) {
	if err := checkLog(thread, epoch); err != nil {
		return Record{}, err
	}
	tail, found, err := s.recordBefore(ctx, thread, epoch, lastSeq)
	if err != nil || !found {
		return Record{}, err
	}
	return tail.record()
}

// lastSeq is greater than every sequence number and has the same number of digits.
const lastSeq chat.Seq = 999_999_999_999

func checkLog(thread chat.ThreadID, epoch chat.Epoch) error {
	return errors.Join(checkID("thread", thread), checkID("epoch", epoch))
}

// records returns at most limit records that begin at from or later, from one request. end is true if no record follows
// them. If the first one has expired it returns none, so that records which TTL has not deleted yet cost no more
// requests.
func (s *Store) records(
	ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, from chat.Seq, limit int,
) (items []recordItem, end bool, err error) {
	q := s.recordSpan(thread, epoch, from, lastSeq)
	q.page, q.once = limit, true
	end, err = s.t.each(ctx, q, func(item attributes) (bool, error) {
		var r recordItem
		if err := attributevalue.UnmarshalMap(item, &r); err != nil {
			return false, err
		}
		if s.t.expired(r.Expires) {
			return false, nil
		}
		items = append(items, r)
		return len(items) < limit, nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the log: %w", err)
	}
	return items, end, nil
}

// eachRecord calls f with the records of a span, in order, until f returns false.
func (t *Table) eachRecord(ctx context.Context, q span, f func(recordItem) (more bool, err error)) error {
	_, err := t.each(ctx, q, func(item attributes) (bool, error) {
		var r recordItem
		if err := attributevalue.UnmarshalMap(item, &r); err != nil {
			return false, err
		}
		if t.expired(r.Expires) {
			return true, nil
		}
		return f(r)
	})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// recordBefore returns the last record that begins at seq or earlier. If it has expired, found is false, because the
// records before it are older.
func (s *Store) recordBefore(
	ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, seq chat.Seq,
) (r recordItem, found bool, err error) {
	q := s.recordSpan(thread, epoch, 0, seq)
	q.descending, q.page = true, 1
	_, err = s.t.each(ctx, q, func(item attributes) (bool, error) {
		err := attributevalue.UnmarshalMap(item, &r)
		found = err == nil && !s.t.expired(r.Expires)
		return false, err
	})
	if err != nil {
		return r, false, fmt.Errorf("read the log: %w", err)
	}
	return r, found, nil
}

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// ErrBadCursor is returned for a cursor that this list never returns.
var ErrBadCursor = errors.New("no cursor of this list")

// recentItem holds the attributes that the index recent projects.
type recentItem struct {
	SK     string `dynamodbav:"sk"`
	Recent string `dynamodbav:"recent"`
}

// Threads lists a page of threads: pinned threads first, archived threads last, and within each class the most recently
// used first. before is the cursor that the previous page returned ("" for the first page). next is the cursor for
// the following page ("" if no rows follow). A limit below 1 counts as 1.
func (s *Store) Threads(
	ctx context.Context, before chat.ListCursor, limit int,
) (page []Thread, next chat.ListCursor, err error) {
	q, err := s.recentSpan(recentThreadPrefix, before)
	if err != nil {
		return nil, "", fmt.Errorf("list threads: %w", err)
	}
	rows, next, err := s.recent(ctx, q, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list threads: %w", err)
	}
	keys := make([]key, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, key{s.pk, row.SK})
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, "", fmt.Errorf("list threads: %w", err)
	}
	for _, k := range keys {
		var t threadItem
		if err := attributevalue.UnmarshalMap(found[k.sk], &t); err != nil {
			return nil, "", fmt.Errorf("list threads: %w", err)
		}
		if t.ID != "" && s.t.visible(t) { // not deleted since the index was read
			page = append(page, s.t.thread(t))
		}
	}
	return page, next, nil
}

// Runs lists a page of runs, newest first, including ended runs for as long as their records are kept. The first page
// also has all runs that have not ended. before, next and limit have the same meaning as for Threads. It fails with
// chat.ErrErasing for a user who is being erased.
func (s *Store) Runs(
	ctx context.Context, before chat.ListCursor, limit int,
) (page []Run, next chat.ListCursor, err error) {
	q, err := s.recentSpan(recentRunPrefix, before)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	q.low = recentRun(millis(s.t.c.Now().Add(-runLife)), "") // TTL deletes days late
	rows, next, err := s.recent(ctx, q, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	keys, found, err := s.listedRuns(ctx, rows, before == "")
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	for _, k := range keys {
		r, err := asRun(found[k.sk])
		if err != nil {
			return nil, "", fmt.Errorf("list runs: %w", err)
		}
		if r.ID == "" || s.t.expired(r.Expires) {
			continue
		}
		run, err := r.run()
		if err != nil {
			return nil, "", fmt.Errorf("list runs: %w", err)
		}
		page = append(page, run)
	}
	slices.SortFunc(page, func(a, b Run) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(string(b.ID), string(a.ID)))
	})
	return page, next, nil
}

// listedRuns reads the runs of a page of the index, and with all also the runs that have not ended. It reads the run
// queue after the index, so that it has all runs admitted since, and in one request with the runs of the page. It fails
// with chat.ErrErasing for a user who is being erased.
func (s *Store) listedRuns(
	ctx context.Context, rows []recentItem, all bool,
) (keys []key, found map[string]attributes, err error) {
	for _, row := range rows {
		keys = append(keys, key{s.pk, row.SK})
	}
	if found, err = s.t.getAll(ctx, append([]key{s.queueKey()}, keys...)); err != nil {
		return nil, nil, err
	}
	queue, err := s.queueItem(func(k key, into any) (bool, error) {
		return found[k.sk] != nil, attributevalue.UnmarshalMap(found[k.sk], into)
	})
	if err == nil && queue.Erasing {
		err = chat.ErrErasing
	}
	if err != nil || !all {
		return keys, found, err
	}
	var more []key
	for _, id := range queue.queue().All() {
		if k := s.runKey(id); !slices.Contains(keys, k) {
			more = append(more, k)
		}
	}
	older, err := s.t.getAll(ctx, more)
	maps.Copy(found, older)
	return append(keys, more...), found, err
}

// recent reads a page of the index, newest row first, and returns the cursor of the next page.
func (s *Store) recent(ctx context.Context, q span, limit int) (page []recentItem, next chat.ListCursor, err error) {
	if q.high < q.low { // the cursor's row has expired; DynamoDB rejects a span whose high is below its low
		return nil, "", nil
	}
	limit = max(limit, 1)
	q.descending, q.page = true, limit+2 // the cursor's row, and one more to see whether rows follow
	_, err = s.t.each(ctx, q, func(item attributes) (bool, error) {
		var row recentItem
		if err := attributevalue.UnmarshalMap(item, &row); err != nil {
			return false, err
		}
		if row.Recent == q.high { // the cursor's row
			return true, nil
		}
		if len(page) == limit {
			next = listCursor(page[limit-1].Recent)
			return false, nil
		}
		page = append(page, row)
		return true, nil
	})
	return page, next, err
}

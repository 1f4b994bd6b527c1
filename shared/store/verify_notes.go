package store

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
)

// judgeNotes compares the note counter with the notes.
func (a *audit) judgeNotes(ctx context.Context) error {
	var counter noteCounterItem
	var notes, highest int
	_, err := a.s.t.each(ctx, whole(a.s.toolPartition()), func(item attributes) (bool, error) {
		a.kept++
		var n noteItem
		if err := attributevalue.UnmarshalMap(item, &n); err != nil {
			return false, err
		}
		switch {
		case n.SK == noteCounterSort:
			return true, attributevalue.UnmarshalMap(item, &counter)
		case strings.HasPrefix(n.SK, notePrefix):
			notes, highest = notes+1, max(highest, n.ID)
		default:
			a.report("unknown item", n.SK, "nothing in Carrel writes such a sort key")
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if counter.Count != notes || counter.Last < highest {
		a.report("wrong note counter", noteCounterSort, "it counts %d up to number %d; there are %d up to number %d",
			counter.Count, counter.Last, notes, highest)
	}
	return nil
}

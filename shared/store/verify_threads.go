package store

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// judgeThread compares a thread with its log and its transcripts.
func (a *audit) judgeThread(ctx context.Context, t threadItem) error {
	e := Erasure{chat.ThreadID(t.ID), chat.Epoch(t.Epoch)}
	tail, found, err := a.s.recordBefore(ctx, e.Thread, e.Epoch, lastSeq)
	if err != nil {
		return err
	}
	if t.Deleted != 0 {
		if found && !a.erasures[e] {
			a.report("deleted thread with a log", t.ID, "and no erasure")
		}
		return nil
	}
	for _, thread := range a.queue.Slots {
		if thread == t.ID {
			return nil // a run works on it
		}
	}
	if found {
		if err := a.judgeTail(t, tail); err != nil {
			return err
		}
	}
	q := a.s.transcriptSpan(e.Thread, e.Epoch, lastSeq)
	q.descending, q.page = true, 1
	_, err = a.s.t.each(ctx, q, func(item attributes) (bool, error) {
		var i transcriptItem
		err := attributevalue.UnmarshalMap(item, &i)
		if err == nil && i.Last > t.Head {
			a.report("transcript beyond the head", t.ID, "run %s ends at %d, the head is %d", i.Run, i.Last, t.Head)
		}
		return false, err
	})
	return err
}

// judgeTail checks the last record of a log on which no run works.
func (a *audit) judgeTail(t threadItem, tail recordItem) error {
	r, err := tail.record()
	if err != nil {
		return err
	}
	switch {
	case int64(tail.last()) > t.Head:
		a.report("log beyond the head", t.ID, "it ends at %d by run %s, the head is %d, and no run works",
			tail.last(), tail.Run, t.Head)
	case int64(tail.last()) < t.Head:
		a.report("log short of the head", t.ID, "it goes to %d, the head is %d", tail.last(), t.Head)
	case len(r.Events) == 0 || !r.Events[len(r.Events)-1].Terminal():
		a.report("log without end", t.ID, "run %s has no last event", tail.Run)
	}
	return nil
}

// judgeLists checks the sort keys of threads and runs in the user's lists.
func (a *audit) judgeLists() {
	for _, t := range a.threads {
		_, _, ok := splitRecent(recentThreadPrefix, t.Recent)
		switch listed := ok && strings.HasSuffix(t.Recent, "#"+t.ID); {
		case t.Deleted != 0 && t.Recent != "":
			a.report("deleted thread in the list", t.ID, "pages of the list are short")
		case t.Deleted == 0 && !listed:
			a.report("thread outside of the list", t.ID, "the user does not see it")
		}
	}
	for id, r := range a.runs {
		if r.Recent != recentRun(r.Created, id) {
			a.report("run outside of the list", id, "the user does not see it")
		}
	}
}

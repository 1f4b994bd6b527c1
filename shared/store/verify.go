package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/chat"
)

// Finding is one inconsistency in a user's data.
type Finding struct {
	Kind   string `json:"kind"` // the kind of inconsistency, one of a fixed set of texts
	Thing  string `json:"thing"`
	Detail string `json:"detail,omitempty"`
}

// audit is one check of all data of a user.
type audit struct {
	s         *Store
	queue     queueItem
	sessions  sessionsItem
	requested bool // the item ERASURE exists
	runs      map[string]runItem
	inputs    map[string]string // the run of each input's key
	threads   []threadItem
	erasures  map[Erasure]bool
	conns     []connectionItem
	kept      int // items in the partition of the tools
	found     []Finding
}

// Verify reads all data of the user and returns the inconsistencies: slots without runs and runs without slots, inputs
// without a run, connections without an owner, logs without an end, transcripts beyond a thread's head, and remains of
// deleted threads. It reads items at different moments, so only an inconsistency that a second call finds again is
// real. Operators use it.
func (s *Store) Verify(ctx context.Context) ([]Finding, error) {
	a := &audit{s: s, runs: map[string]runItem{}, inputs: map[string]string{}, erasures: map[Erasure]bool{}}
	_, err := s.t.each(ctx, whole(s.pk), func(item attributes) (bool, error) {
		return true, a.read(item)
	})
	if err != nil {
		return nil, fmt.Errorf("verify a user: %w", err)
	}
	a.judgeQueue()
	a.judgeRuns()
	a.judgeLists()
	if err := a.judgeConnections(ctx); err != nil {
		return nil, fmt.Errorf("verify a user: %w", err)
	}
	for _, t := range a.threads {
		if err := a.judgeThread(ctx, t); err != nil {
			return nil, fmt.Errorf("verify a user: %w", err)
		}
	}
	if err := a.judgeNotes(ctx); err != nil {
		return nil, fmt.Errorf("verify a user: %w", err)
	}
	a.judgeErasure()
	return a.found, nil
}

// report adds a finding.
func (a *audit) report(kind, thing, format string, args ...any) {
	a.found = append(a.found, Finding{kind, thing, fmt.Sprintf(format, args...)})
}

// read adds one item of the user's partition to the audit.
func (a *audit) read(item attributes) error {
	var k struct {
		SK      string `dynamodbav:"sk"`
		Expires int64  `dynamodbav:"expires"`
	}
	if err := attributevalue.UnmarshalMap(item, &k); err != nil {
		return err
	}
	id, isRun := strings.CutPrefix(k.SK, runPrefix)
	input, isInput := strings.CutPrefix(k.SK, inputPrefix)
	switch {
	case k.SK == queueSort:
		return attributevalue.UnmarshalMap(item, &a.queue)
	case k.SK == userErasureSort:
		a.requested = true
	case k.SK == sessionsSort:
		return attributevalue.UnmarshalMap(item, &a.sessions)
	case isInput && a.s.t.expired(k.Expires): // TTL deletes days late
	case isInput:
		a.inputs[input], _, _ = strings.Cut(input, "#")
	case isRun:
		r, err := asRun(item)
		a.runs[id] = r
		return err
	case strings.HasPrefix(k.SK, threadPrefix):
		var t threadItem
		err := attributevalue.UnmarshalMap(item, &t)
		a.threads = append(a.threads, t)
		return err
	case strings.HasPrefix(k.SK, connectionPrefix):
		var c connectionItem
		err := attributevalue.UnmarshalMap(item, &c)
		a.conns = append(a.conns, c)
		return err
	case strings.HasPrefix(k.SK, erasurePrefix):
		_, _, e, err := splitLiveKey(key{a.s.pk, k.SK})
		a.erasures[e] = true
		return err
	default:
		a.report("unknown item", k.SK, "Carrel writes no item with this sort key")
	}
	return nil
}

// judgeQueue compares the run queue with the runs that it names.
func (a *audit) judgeQueue() {
	threads := map[string]string{}
	for run, thread := range a.queue.Slots {
		r, known := a.runs[run]
		switch {
		case !known:
			a.report("slot without run", run, "the run has no record")
		case chat.RunStatus(r.Status).Terminal() || r.Status == string(chat.RunQueued):
			a.report("slot without run", run, "the run is %s", r.Status)
		case r.Thread != thread:
			a.report("slot without run", run, "the run is on thread %s, the slot on %s", r.Thread, thread)
		}
		if other, taken := threads[thread]; taken {
			a.report("two slots on a thread", thread, "of the runs %s and %s", other, run)
		}
		threads[thread] = run
	}
	if n, most := len(a.queue.Slots), a.s.t.c.Limits.Runs; most > 0 && n > most {
		a.report("too many slots", queueSort, "%d slots are taken, the limit is %d", n, most)
	}
	for _, w := range a.queue.Queued {
		if r, known := a.runs[w.Run]; !known || chat.RunStatus(r.Status) != chat.RunQueued {
			a.report("place in the queue without run", w.Run, "the run is %s", none(r.Status))
		}
	}
}

func none(status string) string {
	if status == "" {
		return "not known"
	}
	return status
}

// judgeRuns compares the runs with the run queue and the live index, and the inputs with the runs.
func (a *audit) judgeRuns() {
	for id, r := range a.runs {
		_, hasSlot := a.queue.Slots[id]
		queued := slices.ContainsFunc(a.queue.Queued, func(w queuedItem) bool { return w.Run == id })
		switch status := chat.RunStatus(r.Status); {
		case status.Terminal():
			if r.Live != "" {
				a.report("ended run in the live index", id, "it is %s", status)
			}
			continue
		case status == chat.RunQueued && !queued:
			a.report("queued run without place", id, "it is not in the run queue")
		case status != chat.RunQueued && !hasSlot:
			a.report("run without slot", id, "it is %s", status)
		}
		if r.Live == "" || r.Due == 0 {
			a.report("live run outside of the live index", id, "sweep does not see it")
		}
	}
	for input, run := range a.inputs {
		if _, known := a.runs[run]; !known {
			a.report("input without run", input, "TTL deletes it within two hours")
		}
	}
}

// judgeSession compares a connection with the sessions: each row has an entry, and no row is of a session that was
// ended.
func (a *audit) judgeSession(c connectionItem) {
	if _, open := a.sessions.Open[c.ID]; !open {
		a.report("connection without entry", c.ID, "the limit of connections does not count it")
	}
	if a.sessions.Barred || a.sessions.Before != 0 && c.SignedIn <= a.sessions.Before {
		a.report("connection of an ended session", c.ID, "its user signed in at %d, and sign-ins up to %d are ended",
			c.SignedIn, a.sessions.Before)
	}
}

// judgeConnections compares the connections with their owner records.
func (a *audit) judgeConnections(ctx context.Context) error {
	for _, c := range a.conns {
		if a.s.t.expired(c.Expires) {
			continue
		}
		if _, err := a.s.connection(c); err != nil {
			a.report("connection of two users", c.ID,
				"its row was written for another user or connection: an isolation violation")
			continue
		}
		a.judgeSession(c)
		var o ownerItem
		found, err := a.s.t.get(ctx, ownerKey(chat.ConnectionID(c.ID)), &o)
		switch {
		case err != nil:
			return err
		case !found:
			a.report("connection without owner", c.ID, "")
		case o.User != a.s.user.Key():
			a.report("connection of two users", c.ID, "its owner record names another user: an isolation violation")
		}
	}
	return nil
}

// judgeErasure checks that the erasure of a marked user can complete.
func (a *audit) judgeErasure() {
	erased := a.queue.Expires != 0
	switch {
	case a.requested && !a.queue.Erasing:
		a.report("erasure without mark", userErasureSort, "the run queue is not marked")
	case a.queue.Erasing && !a.requested && !erased:
		a.report("mark without erasure", queueSort, "sweep does not see it")
	case erased && len(a.runs)+len(a.threads)+len(a.inputs)+a.kept > 0:
		a.report("items of an erased user", queueSort, "%d runs, %d threads, %d inputs, %d items of tools",
			len(a.runs), len(a.threads), len(a.inputs), a.kept)
	}
}

// Orphans scans the whole table for items of this user to which no other item refers: owner records without connections
// and without a time to live, and logs without threads. Its cost grows with the whole table. For operators.
func (s *Store) Orphans(ctx context.Context) ([]Finding, error) {
	filter := "begins_with(#pk, :logs) OR (begins_with(#pk, :owners) AND #user = :me)"
	project := "#pk, #sk"
	pages := dynamodb.NewScanPaginator(s.t.db, &dynamodb.ScanInput{
		TableName: &s.t.c.Name, FilterExpression: &filter, ProjectionExpression: &project,
		ExpressionAttributeNames: names(filter, project),
		ExpressionAttributeValues: attributes{
			":logs": text(s.logPrefix()), ":owners": text(ownerPrefix), ":me": text(s.user.Key()),
		},
	})
	seen, orphans := map[string]bool{}, []Finding{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan for orphans: %w", err)
		}
		for _, item := range page.Items {
			var k struct {
				PK string `dynamodbav:"pk"`
			}
			if err := attributevalue.UnmarshalMap(item, &k); err != nil {
				return nil, fmt.Errorf("scan for orphans: %w", err)
			}
			if seen[k.PK] {
				continue
			}
			seen[k.PK] = true
			f, err := s.orphan(ctx, k.PK)
			if err != nil {
				return nil, fmt.Errorf("scan for orphans: %w", err)
			}
			orphans = append(orphans, f...)
		}
	}
	return orphans, nil
}

// orphan returns the findings for one partition that the scan returned.
func (s *Store) orphan(ctx context.Context, pk string) ([]Finding, error) {
	if id, isOwner := strings.CutPrefix(pk, ownerPrefix); isOwner {
		found, err := s.t.get(ctx, s.connectionKey(chat.ConnectionID(id)), &connectionItem{})
		if err != nil || found {
			return nil, err
		}
		// Code with credentials for one user cannot delete it. $disconnect does, but may never arrive. Then TTL deletes
		// it, if it has a time to live.
		var o ownerItem
		if _, err := s.t.get(ctx, ownerKey(chat.ConnectionID(id)), &o); err != nil || o.Expires != 0 {
			return nil, err
		}
		return []Finding{{"owner without connection", id, "and without a time to live"}}, nil
	}
	thread, epoch, _ := strings.Cut(strings.TrimPrefix(pk, s.logPrefix()), "#")
	var t threadItem
	if _, err := s.t.get(ctx, s.threadKey(chat.ThreadID(thread)), &t); err != nil || t.Epoch == epoch {
		return nil, err
	}
	erased, err := s.t.get(ctx, s.erasureKey(Erasure{chat.ThreadID(thread), chat.Epoch(epoch)}), &erasureItem{})
	if err != nil || erased {
		return nil, err
	}
	return []Finding{{"log without thread", thread, "of the epoch " + epoch}}, nil
}

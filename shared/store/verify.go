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
	s        *Store
	desk     queueItem
	sessions sessionsItem
	noted    bool // the item ERASURE exists
	runs     map[string]runItem
	inputs   map[string]string // the run of each input's key
	threads  []threadItem
	erasures map[Erasure]bool
	conns    []connectionItem
	kept     int // items in the partition of the tools
	found    []Finding
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
	a.judgeForgotten()
	return a.found, nil
}

func (a *audit) say(kind, thing, format string, args ...any) {
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
		return attributevalue.UnmarshalMap(item, &a.desk)
	case k.SK == userErasureSort:
		a.noted = true
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
		a.say("unknown item", k.SK, "nothing in Carrel writes such a sort key")
	}
	return nil
}

// judgeQueue compares the run queue with the runs that it names.
func (a *audit) judgeQueue() {
	threads := map[string]string{}
	for run, thread := range a.desk.Slots {
		r, known := a.runs[run]
		switch {
		case !known:
			a.say("slot without run", run, "there is no such run")
		case chat.RunStatus(r.Status).Terminal() || r.Status == string(chat.RunQueued):
			a.say("slot without run", run, "the run is %s", r.Status)
		case r.Thread != thread:
			a.say("slot without run", run, "the run is on thread %s, the seat on %s", r.Thread, thread)
		}
		if other, taken := threads[thread]; taken {
			a.say("two slots on a thread", thread, "of %s and %s", other, run)
		}
		threads[thread] = run
	}
	if n, most := len(a.desk.Slots), a.s.t.c.Limits.Runs; most > 0 && n > most {
		a.say("too many slots", queueSort, "%d are taken, and %d may be", n, most)
	}
	for _, w := range a.desk.Queued {
		if r, known := a.runs[w.Run]; !known || chat.RunStatus(r.Status) != chat.RunQueued {
			a.say("place in the queue without run", w.Run, "the run is %s", none(r.Status))
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
		_, sits := a.desk.Slots[id]
		waits := slices.ContainsFunc(a.desk.Queued, func(w queuedItem) bool { return w.Run == id })
		switch status := chat.RunStatus(r.Status); {
		case status.Terminal():
			if r.Live != "" {
				a.say("ended run in the live index", id, "it is %s", status)
			}
			continue
		case status == chat.RunQueued && !waits:
			a.say("waiting run without place", id, "it is not in the run queue")
		case status != chat.RunQueued && !sits:
			a.say("run without slot", id, "it is %s", status)
		}
		if r.Live == "" || r.Due == 0 {
			a.say("live run outside of the live index", id, "sweep does not see it")
		}
	}
	for input, run := range a.inputs {
		if _, known := a.runs[run]; !known {
			a.say("input without run", input, "it goes by its time to live within two hours")
		}
	}
}

// judgeSession compares a connection with the sessions: each row has an entry, and no row is of a session that was
// ended.
func (a *audit) judgeSession(c connectionItem) {
	if _, open := a.sessions.Open[c.ID]; !open {
		a.say("connection without entry", c.ID, "the limit of connections does not count it")
	}
	if a.sessions.Barred || a.sessions.Before != 0 && c.SignedIn <= a.sessions.Before {
		a.say("connection of an ended session", c.ID, "its user signed in at %d, and sign-ins up to %d are ended",
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
			a.say("connection of two users", c.ID, "its row was written for another: an isolation violation")
			continue
		}
		a.judgeSession(c)
		var o ownerItem
		found, err := a.s.t.get(ctx, ownerKey(chat.ConnectionID(c.ID)), &o)
		switch {
		case err != nil:
			return err
		case !found:
			a.say("connection without owner", c.ID, "")
		case o.User != a.s.user.Key():
			a.say("connection of two users", c.ID, "its owner record names another: an isolation violation")
		}
	}
	return nil
}

// judgeForgotten checks that the erasure of a marked user can complete.
func (a *audit) judgeForgotten() {
	erased := a.desk.Expires != 0
	switch {
	case a.noted && !a.desk.Erasing:
		a.say("erasure without mark", userErasureSort, "the run queue is not marked")
	case a.desk.Erasing && !a.noted && !erased:
		a.say("mark without erasure", queueSort, "sweep does not see it")
	case erased && len(a.runs)+len(a.threads)+len(a.inputs)+a.kept > 0:
		a.say("left of one who was erased", queueSort, "%d runs, %d threads, %d inputs, %d items of tools",
			len(a.runs), len(a.threads), len(a.inputs), a.kept)
	}
}

// Orphans scans the whole table for what is this user's and what nothing else of theirs names: owner records without
// connections that would stay, and logs without threads. It costs what the table holds. For operators.
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

// orphan judges one partition that a scan has found.
func (s *Store) orphan(ctx context.Context, pk string) ([]Finding, error) {
	if id, isOwner := strings.CutPrefix(pk, ownerPrefix); isOwner {
		found, err := s.t.get(ctx, s.connectionKey(chat.ConnectionID(id)), &connectionItem{})
		if err != nil || found {
			return nil, err
		}
		// Code with credentials for one user leaves it to $disconnect, which may never come, or to its time to live.
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

// Package storetest is the conformance and isolation suite of the store, to be run against every DynamoDB engine. Its
// cases call the store as users, each through a store.Store that is limited to that user.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// Run runs the suite. open returns a client of the engine. Each case creates its own table.
func Run(t *testing.T, open func(t *testing.T) *dynamodb.Client) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *World)
	}{
		{"Connections", connections}, {"ConnectionLimit", connectionLimit}, {"Watch", watch},
		{"HelloNeverEvicts", helloNeverEvicts}, {"StaleEntries", staleEntries}, {"SignOut", signOut}, {"Bar", bar},
		{"RefusedFor", refusedFor}, {"ErasedSessions", erasedSessions}, {"ForeignOwner", foreignOwner},
		{"ForeignRows", foreignRows},
		{"Admission", admission}, {"AdmissionRepeated", admissionRepeated}, {"AdmissionChanged", admissionChanged},
		{"Input", input},
		{"MessageIDs", messageIDsAreUnique}, {"AdmissionRefused", admissionRefused},
		{"AdmissionOfDeleted", admissionOfDeleted}, {"Interrupt", interrupt}, {"SlotsOfEndedRuns", slotsOfEndedRuns},
		{"Suspended", suspended}, {"ResponsesGoFirst", responsesGoFirst}, {"ResponsesWithdrawn", responsesWithdrawn},
		{"InterruptsExpire", interruptsExpire}, {"QueuedBehindInterrupts", queuedBehindInterrupts},
		{"Interrupting", interrupting}, {"Erasing", erasing},
		{"LostInput", lostInput}, {"DeletedInterrupts", deletedInterrupts}, {"Policies", policies},
		{"InterruptedUnclaimed", interruptedUnclaimed}, {"RateLimit", rateLimit},
		{"DayTokens", dayTokens}, {"HandOver", handOver},
		{"HandOverAndDeath", handOverAndDeath},
		{"Cancel", cancel}, {"StartQueued", startQueued}, {"StartQueuedSkipsEnded", startQueuedSkipsEnded},
		{"Claim", claim}, {"Owner", owner}, {"Attempts", attempts}, {"Deadline", deadline}, {"Runs", runs},
		{"Log", log}, {"End", end}, {"EndStatus", endStatus}, {"StatusAfterEnd", statusAfterEnd},
		{"LostLease", lostLease}, {"StaleEnd", staleEnd},
		{"StaleEndBeforeTheFirstRecord", staleEndBeforeTheFirstRecord}, {"Fault45LateAppend", lateAppend},
		{"EndedBySweep", endedBySweep}, {"EndAfterRejectedEnd", endAfterRejectedEnd},
		{"SecondAttempt", secondAttempt}, {"Expired", expired}, {"ExpireQueued", expireQueued}, {"Live", live},
		{"DueTimes", dueTimes}, {"Due", due}, {"LiveOf", liveOf}, {"Release", release},
		{"ClaimUnclaimed", claimUnclaimed},
		{"Threads", threads}, {"ThreadClasses", threadClasses}, {"Transcripts", transcripts},
		{"TranscriptHeaders", transcriptHeaders}, {"LargeTranscript", largeTranscript},
		{"ManyMessages", manyMessages},
		{"Fault44Retention", retention}, {"Expiry", expiry},
		{"Rename", rename}, {"Newer", newer}, {"Delete", deletion}, {"DeletedRuns", deletedRuns},
		{"CreatedAgain", createdAgain}, {"Erasure", erasure},
		{"Notes", notes}, {"NotesAreBounded", notesAreBounded},
		{"EraseUser", eraseUser}, {"EraseUnknownUser", eraseUnknownUser}, {"EraseNotRequested", eraseNotRequested},
		{"Verify", verify},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, NewWorld(t, open(t))) })
	}
	t.Run("Isolation", func(t *testing.T) { isolation(t, open(t)) })
}

// CreateTable creates the table as template.yaml defines it and returns when the table is ready.
func CreateTable(ctx context.Context, db *dynamodb.Client, name string) error {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("pk", "sk"),
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS),
			attribute("live", types.ScalarAttributeTypeS), attribute("due", types.ScalarAttributeTypeN),
			attribute("recent", types.ScalarAttributeTypeS),
		},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String("recent"), KeySchema: keys("pk", "recent"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("live"), KeySchema: keys("live", "due"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
	if err != nil {
		return fmt.Errorf("create table %s: %w", name, err)
	}
	waiter := dynamodb.NewTableExistsWaiter(db)
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		return fmt.Errorf("wait for table %s: %w", name, err)
	}
	return nil
}

// Clock is the real clock plus the durations passed to Advance.
type Clock struct{ ahead atomic.Int64 }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance adds d to the clock.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// World is the table of one test, its clock, and short methods for the calls of users.
type World struct {
	T     *testing.T
	DB    *dynamodb.Client
	Name  string
	Clock *Clock
	Table *store.Table
	// Limits are the default limits without the rate limit, which only its own case sets. With applies them.
	Limits chat.Limits
	// Worker is the id of the Lambda invocation that claims runs.
	Worker string
}

// NewWorld creates a table that is deleted at the end of the test.
func NewWorld(t *testing.T, db *dynamodb.Client) *World {
	t.Helper()
	return newWorld(t, db, "carrel-"+rand.Text())
}

func newWorld(t *testing.T, db *dynamodb.Client, name string) *World {
	t.Helper()
	w := &World{T: t, DB: db, Name: name, Clock: &Clock{}, Limits: chat.DefaultLimits(), Worker: "worker"}
	w.Limits.RunsPerHour = 0
	if err := CreateTable(t.Context(), db, w.Name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &w.Name}); err != nil {
			t.Errorf("delete table %s: %v", w.Name, err)
		}
	})
	w.Table = w.With(db)
	return w
}

// With opens the table with another client, for example a client that counts requests or loses responses.
func (w *World) With(db *dynamodb.Client) *store.Table {
	return store.New(db, store.Config{Name: w.Name, Limits: w.Limits, Now: w.Clock.Now,
		Worker: func(context.Context) string { return w.Worker }})
}

// As opens the table of w for a user.
func (w *World) As(subject string) *store.Store { return As(w.T, w.Table, subject) }

// As opens a table for a user.
func As(t *testing.T, table *store.Table, subject string) *store.Store {
	t.Helper()
	s, err := table.For(chattest.User(t, subject))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Asked returns an admission with one message.
func Asked(run chat.RunID, thread chat.ThreadID) store.Admission {
	return store.Admission{
		Run: run, Thread: thread, Agent: "echo", Grants: []string{"calc"}, Title: "title of " + string(thread),
		Messages: []agui.Message{{ID: messageID(run), Role: agui.RoleUser, Content: "question of " + string(run)}},
	}
}

// AskedLong returns Asked with a message that does not fit inside RUN.
func AskedLong(run chat.RunID, thread chat.ThreadID) store.Admission {
	a := Asked(run, thread)
	a.Messages[0].Content += strings.Repeat(" and so on", 100)
	return a
}

// inputOf returns what a run needs of its admission.
func inputOf(a store.Admission) store.Admission {
	a.Title, a.WhenBusy = "", ""
	return a
}

// messageID returns an id of the form that is reserved for the run, or an id without a dot if the id of the run is too
// long.
func messageID(run chat.RunID) string {
	if id := string(run) + ".1"; len(id) <= chat.MaxID {
		return id
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(run)))
}

// Admit admits a run.
func (w *World) Admit(s *store.Store, run chat.RunID, thread chat.ThreadID) store.Admitted {
	w.T.Helper()
	a, err := s.Admit(w.T.Context(), Asked(run, thread))
	if err != nil {
		w.T.Fatalf("admit %s: %v", run, err)
	}
	return a
}

// Claim claims a run.
func (w *World) Claim(s *store.Store, run chat.RunID) *store.Lease {
	w.T.Helper()
	h, err := s.Claim(w.T.Context(), run)
	if err != nil {
		w.T.Fatalf("claim %s: %v", run, err)
	}
	return h
}

// Begin admits and claims a run.
func (w *World) Begin(s *store.Store, run chat.RunID, thread chat.ThreadID) *store.Lease {
	w.T.Helper()
	w.Admit(s, run, thread)
	return w.Claim(s, run)
}

// Append appends events.
func (w *World) Append(h *store.Lease, events ...agui.Event) chat.Seq {
	w.T.Helper()
	seq, err := h.Append(w.T.Context(), events)
	if err != nil {
		w.T.Fatalf("append: %v", err)
	}
	return seq
}

// End ends a run.
func (w *World) End(h *store.Lease, last ...agui.Event) store.Thread {
	w.T.Helper()
	ended, err := h.End(w.T.Context(), last)
	if err != nil {
		w.T.Fatalf("end: %v", err)
	}
	return ended.Thread
}

// Complete admits, claims and ends a run whose only message is answer.
func (w *World) Complete(s *store.Store, run chat.RunID, thread chat.ThreadID, answer string) store.Thread {
	w.T.Helper()
	h := w.Begin(s, run, thread)
	w.Append(h, Started(h))
	w.Append(h, Said(string(run), answer)...)
	return w.End(h, Finished(h))
}

// Started returns the first event of a run.
func Started(h *store.Lease) agui.Event {
	in := h.Input()
	return agui.Event{
		Type: agui.RunStarted, ThreadID: in.Thread, RunID: in.Run, Timestamp: h.Run().Started.UnixMilli(),
		Metadata: agui.Marks{Agent: in.Agent}.Metadata(),
		Input:    &agui.RunInput{ThreadID: in.Thread, RunID: in.Run, Messages: in.Messages},
	}
}

// Said returns the events of one assistant message.
func Said(id, text string) []agui.Event {
	return []agui.Event{
		{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant},
		{Type: agui.TextMessageContent, MessageID: id, Delta: text},
		{Type: agui.TextMessageEnd, MessageID: id},
	}
}

// Finished returns the last event of a successful run.
func Finished(h *store.Lease) agui.Event {
	return agui.Event{
		Type: agui.RunFinished, ThreadID: h.Run().Thread, RunID: h.Run().ID,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess},
		Usage:   []agui.Usage{{Model: "none", InputTokens: 3, OutputTokens: 5}},
	}
}

// Failed returns the last event of a failed run.
func Failed() agui.Event {
	return agui.Event{Type: agui.RunError, Message: "the run was interrupted", Code: "internal"}
}

// Package storetest is the conformance and isolation suite of the store, to be run against every DynamoDB engine. It
// speaks as users do: it opens one's part of the table and asks.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
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

// Run runs the suite. open gives a client of the engine; each test makes a table of its own.
func Run(t *testing.T, open func(t *testing.T) *dynamodb.Client) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *World)
	}{
		{"Connections", connections}, {"ConnectionLimit", connectionLimit}, {"Watch", watch},
		{"HelloNeverEvicts", helloNeverEvicts}, {"StaleEntries", staleEntries}, {"SignOut", signOut}, {"Bar", bar},
		{"RefusedFor", refusedFor}, {"ErasedSessions", erasedSessions}, {"ForeignOwner", foreignOwner},
		{"ForeignRows", foreignRows}, {"RowsWithoutSeal", rowsWithoutSeal},
		{"Admission", admission}, {"AdmissionRepeated", admissionRepeated}, {"AdmissionChanged", admissionChanged},
		{"MessageIDs", messageIDsAreUnique}, {"AdmissionRefused", admissionRefused},
		{"AdmissionOfDeleted", admissionOfDeleted}, {"Interrupt", interrupt}, {"SlotsOfEndedRuns", slotsOfEndedRuns},
		{"Suspended", suspended}, {"AnswersGoFirst", answersGoFirst}, {"AnswersTakenBack", answersTakenBack},
		{"QuestionsExpire", questionsExpire}, {"QueuedBehindInterrupts", queuedBehindInterrupts},
		{"Interrupting", interrupting},
		{"Erasing", closing}, {"LostInput", lostInput}, {"DeletedQuestions", deletedQuestions}, {"Policies", policies},
		{"InterruptedUnclaimed", interruptedUnclaimed}, {"RateLimit", rateLimit},
		{"Cancel", cancel}, {"StartQueued", startQueued}, {"StartQueuedSkipsEnded", startQueuedSkipsEnded},
		{"Claim", claim}, {"Owner", owner}, {"Attempts", attempts}, {"Deadline", deadline}, {"Runs", runs},
		{"Log", log}, {"End", end}, {"EndStatus", endStatus},
		{"StaleHolder", staleHolder}, {"StaleEnd", staleEnd},
		{"StaleEndBeforeTheFirstRecord", staleEndBeforeTheFirstRecord}, {"Fault45OldOwnerWakesUp", oldOwnerWakesUp},
		{"OldOwnerIsToldToStop", oldOwnerIsTold},
		{"EndAfterARefusal", endAfterARefusal},
		{"SecondAttempt", secondAttempt}, {"Expired", expired}, {"ExpireQueued", expireQueued}, {"Live", live},
		{"DueTimes", dueTimes}, {"Due", due}, {"LiveOf", liveOf}, {"Release", release},
		{"ClaimUnclaimed", claimUnclaimed},
		{"Threads", threads}, {"ThreadClasses", threadClasses}, {"Transcripts", transcripts},
		{"TranscriptHeaders", transcriptHeaders}, {"LargeTranscript", largeTranscript},
		{"ManyMessages", manyMessages},
		{"Fault44Retention", retention}, {"Expiry", expiry},
		{"Rename", rename}, {"Newer", newer}, {"Delete", deletion}, {"DeletedRuns", deletedRuns}, {"Erasure", erasure},
		{"Notes", notes}, {"NotesAreBounded", notesAreBounded},
		{"Forget", forget}, {"ForgetNobody", forgetNobody}, {"ForgetWithoutMark", forgetWithoutMark},
		{"Verify", verify},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, NewWorld(t, open(t))) })
	}
	t.Run("Isolation", func(t *testing.T) { isolation(t, open(t)) })
}

// CreateTable creates the table as template.yaml defines it and returns when it may be used.
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

// Clock is the real one, moved on by Advance.
type Clock struct{ ahead atomic.Int64 }

// Now is the clock's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the clock on by d.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// World is one test's table, its clock, and short ways to say what users do.
type World struct {
	T     *testing.T
	DB    *dynamodb.Client
	Name  string
	Clock *Clock
	Table *store.Table
	// Limits are the default ones but for the rate limit, which only its own case wants; With reads them.
	Limits chat.Limits
	// Worker is the id of the invocation that claims.
	Worker string
}

// NewWorld makes a table that ends with the test.
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

// With is the world's table seen through another client: one that counts, say, or loses answers.
func (w *World) With(db *dynamodb.Client) *store.Table {
	return store.New(db, store.Config{Name: w.Name, Limits: w.Limits, Now: w.Clock.Now,
		Worker: func(context.Context) string { return w.Worker }})
}

// As opens a user's part of the table.
func (w *World) As(subject string) *store.Store { return As(w.T, w.Table, subject) }

// As opens a user's part of a table.
func As(t *testing.T, table *store.Table, subject string) *store.Store {
	t.Helper()
	s, err := table.For(chattest.User(t, subject))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Asked is an admission of one message.
func Asked(run chat.RunID, thread chat.ThreadID) store.Admission {
	return store.Admission{
		Run: run, Thread: thread, Agent: "echo", Grants: []string{"calc"}, Title: "title of " + string(thread),
		Messages: []agui.Message{{ID: messageID(run), Role: agui.RoleUser, Content: "question of " + string(run)}},
	}
}

// messageID is the run's own form, or of a run whose id is too long for it an id without a dot.
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
	_, t, err := h.End(w.T.Context(), last)
	if err != nil {
		w.T.Fatalf("end: %v", err)
	}
	return t
}

// Complete is a whole run that says answer.
func (w *World) Complete(s *store.Store, run chat.RunID, thread chat.ThreadID, answer string) store.Thread {
	w.T.Helper()
	h := w.Begin(s, run, thread)
	w.Append(h, Started(h))
	w.Append(h, Said(string(run), answer)...)
	return w.End(h, Finished(h))
}

// Started is the first event of a run.
func Started(h *store.Lease) agui.Event {
	in := h.Input()
	return agui.Event{
		Type: agui.RunStarted, ThreadID: in.Thread, RunID: in.Run, Timestamp: h.Run().Started.UnixMilli(),
		Metadata: agui.Marks{Agent: in.Agent}.Metadata(),
		Input:    &agui.RunInput{ThreadID: in.Thread, RunID: in.Run, Messages: in.Messages},
	}
}

// Said are the events of one assistant message.
func Said(id, what string) []agui.Event {
	return []agui.Event{
		{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant},
		{Type: agui.TextMessageContent, MessageID: id, Delta: what},
		{Type: agui.TextMessageEnd, MessageID: id},
	}
}

// Finished is the last event of a run that went well; Failed of one that did not.
func Finished(h *store.Lease) agui.Event {
	return agui.Event{
		Type: agui.RunFinished, ThreadID: h.Run().Thread, RunID: h.Run().ID,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess},
		Usage:   []agui.Usage{{Model: "none", InputTokens: 3, OutputTokens: 5}},
	}
}

// Failed is the last event of a run that went wrong.
func Failed() agui.Event {
	return agui.Event{Type: agui.RunError, Message: "the run was interrupted", Code: "internal"}
}

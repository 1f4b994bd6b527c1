package bench_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// generous returns template parameters that let one user start any number of runs and send any number of frames.
func generous() map[string]string {
	return map[string]string{"RunBurst": "100000", "RunsPerHour": "100000", "FrameBurst": "1000000"}
}

// needsTime skips benchmarks outside of make bench.
func needsTime(t *testing.T) {
	t.Helper()
	if os.Getenv("CARREL_BENCH") == "" {
		t.Skip("make bench runs it")
	}
}

// openTable opens a stack's table without a function, through the stack's proxy.
func openTable(e stack.Endpoints) *store.Table {
	limits := chat.DefaultLimits()
	limits.RunBurst, limits.RunsPerHour = 100_000, 100_000
	db := store.NewClient(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(e.DynamoDB),
		Credentials: e.Operator()})
	return store.New(db, store.Config{Name: "carrel-Table", Limits: limits})
}

// direct opens a user's part of a stack's table, as openTable does.
func direct(t testing.TB, e stack.Endpoints, user string) *store.Store {
	t.Helper()
	own, err := openTable(e).For(chattest.User(t, user))
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// fill adds one run to a thread, with this number of events in its log, per of them in each record.
func fill(t testing.TB, own *store.Store, thread chat.ThreadID, events, per int) {
	t.Helper()
	if err := addRun(t.Context(), own, thread, events, per); err != nil {
		t.Fatal(err)
	}
}

// addRun is fill for any goroutine.
func addRun(ctx context.Context, own *store.Store, thread chat.ThreadID, events, per int) error {
	run := chat.RunID(chat.NewID(time.Now()))
	asked := []agui.Message{{ID: string(run) + ".1", Role: agui.RoleUser, Content: "go on"}}
	_, err := own.Admit(ctx, store.Admission{Run: run, Thread: thread, Messages: asked, Title: "filled"})
	if err != nil {
		return err
	}
	h, err := own.Claim(ctx, run)
	if err != nil {
		return err
	}
	id := string(run) + ".a"
	all := []agui.Event{
		{Type: agui.RunStarted, ThreadID: thread, RunID: run,
			Input: &agui.RunInput{ThreadID: thread, RunID: run, Messages: asked}},
		{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant},
	}
	for i := range events - 4 {
		all = append(all, agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: fmt.Sprintf("word %d ", i)})
	}
	all = append(all, agui.Event{Type: agui.TextMessageEnd, MessageID: id})
	renewed := time.Now()
	for record := range slices.Chunk(all, per) {
		if _, err := h.Append(ctx, record); err != nil {
			return err
		}
		if time.Since(renewed) > 3*time.Second {
			if err := h.Renew(ctx); err != nil {
				return err
			}
			renewed = time.Now()
		}
	}
	last := agui.Event{Type: agui.RunFinished, ThreadID: thread, RunID: run,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}}
	_, err = h.End(ctx, []agui.Event{last})
	return err
}

// times holds measured times.
type times []time.Duration

// at returns a quantile in milliseconds, or 0 if there are no times.
func (d times) at(q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
}

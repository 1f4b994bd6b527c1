package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/model/scripted"
	"carrel/shared/wire"
)

func TestTurn_TextRun(t *testing.T) {
	r := newFixture(t, fast())
	r.watch(t, "elsewhere", "another")
	r.admit(t, "r1", "/say hello there")
	r.turn(t, "r1")
	log := r.events(t)
	want := "RUN_STARTED TEXT_MESSAGE_START TEXT_MESSAGE_CONTENT TEXT_MESSAGE_END CUSTOM RUN_FINISHED"
	if types(log) != want {
		t.Errorf("the log has %s, want %s", types(log), want)
	}
	if log[0].Input.Messages[0].Content != "/say hello there" || said(log) != "hello there" {
		t.Errorf("asked %+v, said %q", log[0].Input, said(log))
	}
	events, threads := r.seen(t, "window")
	if types(events) != types(log) || said(events) != said(log) {
		t.Errorf("the window saw %s", types(events))
	}
	if want := []string{"running a title", "idle a title"}; !slices.Equal(threads, want) {
		t.Errorf("the window's list received %q, want %q", threads, want)
	}
	if events, threads := r.seen(t, "elsewhere"); len(events) > 0 || len(threads) != 2 {
		t.Errorf("a window elsewhere saw %s and received %q", types(events), threads)
	}
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil || th.Head != chat.Seq(len(log)) || r.status(t, "r1") != chat.RunFinished {
		t.Errorf("head %d of %d, status %s, error %v", th.Head, len(log), r.status(t, "r1"), err)
	}
	ts, _, err := r.store.Transcripts(t.Context(), th, 0, 10)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 2 || ts[0].Messages[1].Content != "hello there" {
		t.Errorf("transcript %+v, error %v", ts, err)
	}
	if strings.Contains(r.log.String(), "hello") || strings.Contains(r.log.String(), "auth0") {
		t.Errorf("the function's log contains content or the user: %s", r.log)
	}
}

// The first event names the agent even if the run names none. The transcript keeps the name with the time and the
// usage.
func TestRunStarted_NamesTheAgent(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say hello")
	r.turn(t, "r1")
	log := r.events(t)
	first, last := log[0], log[len(log)-1]
	if got := agui.MarksOf(first.Metadata).Agent; got != "assistant" {
		t.Errorf("the first event names the agent %q", got)
	}
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	ts, _, err := r.store.Transcripts(t.Context(), th, 0, 10)
	if err != nil || len(ts) != 1 {
		t.Fatalf("transcripts %+v, %v", ts, err)
	}
	want := agui.Header{At: first.Timestamp, Agent: "assistant", Model: last.Usage[0].Model, Usage: last.Usage}
	if got := ts[0].Header; !reflect.DeepEqual(got, want) || got.At == 0 || got.Model == "" {
		t.Errorf("the transcript says %+v, want %+v", got, want)
	}
}

func TestTurn_ToolRun(t *testing.T) {
	t.Attr("row", "D3: a client sees a whole run with a tool")
	r := newFixture(t, fast())
	r.admit(t, "r1", "what is 12*(3+4)?")
	r.turn(t, "r1")
	log := r.events(t)
	if want := "TOOL_CALL_START TOOL_CALL_ARGS TOOL_CALL_END CUSTOM TOOL_CALL_RESULT"; !strings.Contains(types(log),
		want) {
		t.Errorf("the log has %s, want %s in it", types(log), want)
	}
	if !strings.Contains(said(log), "84") {
		t.Errorf("said %q, want 84 in it", said(log))
	}
	events, _ := r.seen(t, "window")
	if types(events) != types(log) {
		t.Errorf("the window saw %s", types(events))
	}
	t.Attr("figure", fmt.Sprintf("%d events of a run with a tool in the log, %d in its user's window", len(log),
		len(events)))
}

// remember is a model that keeps its requests.
type remember struct {
	engine.Model
	asked *[]agui.Message
}

func (m remember) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	*m.asked = r.Messages
	return m.Model.Stream(ctx, r)
}

func TestTurn_HistoryOfEarlierRuns(t *testing.T) {
	var asked []agui.Message
	r := newFixture(t, remember{fast(), &asked})
	r.admit(t, "r1", "/say one")
	r.turn(t, "r1")
	r.admit(t, "r2", "/say two")
	r.turn(t, "r2")
	r.admit(t, "r3", "/say three")
	r.turn(t, "r3")
	var contents []string
	for _, m := range asked {
		contents = append(contents, m.Content)
	}
	if want := []string{"/say one", "one", "/say two", "two", "/say three"}; !slices.Equal(contents, want) {
		t.Errorf("the model received %q, want %q", contents, want)
	}
	r.events(t)
}

func TestTurn_RepeatedInvocation(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say once")
	r.turn(t, "r1")
	before := len(r.events(t))
	r.turn(t, "r1")
	r.turn(t, "never-admitted")
	if after := len(r.events(t)); after != before {
		t.Errorf("%d events after the second invocation, %d before", after, before)
	}
}

func TestTurn_ConcurrentInvocations(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say once")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { r.turn(t, "r1") })
	}
	wg.Wait()
	if log := r.events(t); strings.Count(types(log), "RUN_STARTED") != 1 || said(log) != "once" {
		t.Errorf("the log has %s", types(log))
	}
}

func TestTurn_FailingModel(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say half\n/fail model")
	r.turn(t, "r1")
	log := r.events(t)
	last := log[len(log)-1]
	if last.Type != agui.RunError || last.Code != engine.CodeModel || r.status(t, "r1") != chat.RunFailed {
		t.Errorf("the last event is %+v, the status %s", last, r.status(t, "r1"))
	}
	if events, threads := r.seen(t, "window"); types(events) != types(log) || len(threads) != 2 {
		t.Errorf("the window saw %s and received %q", types(events), threads)
	}
}

func TestTurn_QueuedRunIsStarted(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say one")
	if a := r.admit(t, "r2", "/say two"); a.Invoke || a.Position != 1 {
		t.Fatalf("the second run was admitted as %+v", a)
	}
	r.turn(t, "r2") // too early: it has no seat
	r.turn(t, "r1")
	if got, want := r.edge.Invoked(), (gatewaytest.Invocation{User: r.user, Run: "r2"}); !slices.Contains(got, want) {
		t.Fatalf("invoked %v, want the second run", got)
	}
	r.turn(t, "r2")
	if log := r.events(t); said(log) != "onetwo" {
		t.Errorf("said %q", said(log))
	}
	d, err := r.store.RunQueue(t.Context())
	if err != nil || len(d.Slots)+len(d.Queued) != 0 {
		t.Errorf("the desk still has %+v, error %v", d, err)
	}
}

func TestTurn_CancelDuringAnswer(t *testing.T) {
	r := newFixture(t, scripted.New(scripted.Config{}))
	look := make(chan time.Time)
	r.after = func(d time.Duration) <-chan time.Time {
		if d == cancelEvery {
			return look
		}
		return time.After(d)
	}
	r.admit(t, "r1", "/stream 100000 100")
	ended := r.begins(t, "r1")
	if c, err := r.store.Cancel(t.Context(), "r1"); err != nil || c.Ended {
		t.Fatalf("cancel: %+v, %v", c, err)
	}
	look <- time.Now()
	if err := <-ended; err != nil {
		t.Fatalf("turn: %v\n%s", err, r.log)
	}
	log := r.events(t)
	last := log[len(log)-1]
	if last.Type != agui.RunFinished || last.Outcome == nil || last.Outcome.Type != agui.OutcomeCancelled {
		t.Errorf("the last event is %+v", last)
	}
	if s := r.status(t, "r1"); s != chat.RunCancelled {
		t.Errorf("status %s", s)
	}
	if events, _ := r.seen(t, "window"); types(events) != types(log) || said(events) != said(log) {
		t.Errorf("the window saw %s saying %d bytes of %d", types(events), len(said(events)), len(said(log)))
	}
}

// stall is a model whose first answer begins and then waits until its context ends.
type stall struct{ begun chan struct{} }

func (m stall) Stream(ctx context.Context, _ engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		select {
		case <-m.begun:
			_ = yield(engine.Delta{Text: "the whole"}, nil) && yield(engine.Delta{Stop: engine.StopEnd}, nil)
			return
		default:
		}
		if yield(engine.Delta{Text: "half"}, nil) {
			close(m.begun)
			<-ctx.Done()
			yield(engine.Delta{}, ctx.Err())
		}
	}
}

// A worker that lost its lease writes nothing more. The worker that takes over the run continues it.
func TestTurn_LeaseTakenOver(t *testing.T) {
	for name, noticed := range map[string]time.Duration{"by renewing": renewEvery,
		"by looking for a cancel": cancelEvery} {
		t.Run(name, func(t *testing.T) { takeOver(t, noticed) })
	}
}

func takeOver(t *testing.T, noticed time.Duration) {
	model := stall{make(chan struct{})}
	r := newFixture(t, model)
	tick := make(chan time.Time)
	r.after = func(d time.Duration) <-chan time.Time {
		switch d {
		case noticed:
			return tick
		case renewEvery, cancelEvery:
			return nil
		}
		return time.After(d)
	}
	r.admit(t, "r1", "hello")
	frozen := make(chan struct{})
	go func() {
		defer close(frozen)
		r.turn(t, "r1")
	}()
	<-model.begun
	r.edge.Await("window", func(frames []wire.ServerFrame) bool { return slices.ContainsFunc(frames, tellsText) })
	r.clock.Advance(21 * time.Second)
	r.turn(t, "r1") // the second invocation finds the lease past
	tick <- time.Now()
	<-frozen
	log := r.events(t)
	last := log[len(log)-1]
	if last.Type != agui.RunFinished || strings.Count(types(log), "RUN_STARTED") != 1 || said(log) != "halfthe whole" {
		t.Errorf("the log has %s, ending with %+v", types(log), last)
	}
	if s := r.status(t, "r1"); s != chat.RunFinished {
		t.Errorf("status %s", s)
	}
	if !strings.Contains(r.log.String(), "stop the run: the lease is lost") {
		t.Errorf("the frozen worker did not notice: %s", r.log)
	}
}

// Lambda ends an invocation without notice, so the run must have been handed over before.
func TestTurn_HandsOverBeforeInvocationDeadline(t *testing.T) {
	model := stall{make(chan struct{})}
	r := newFixture(t, model)
	r.admit(t, "r1", "hello")
	ctx, event := gatewaytest.Turn(t, r.user, "r1")
	ctx, cancel := context.WithTimeout(ctx, reserve+2*time.Second) // a twentieth of it is left for the hand-over
	defer cancel()
	if err := r.Handle(ctx, event); err != nil {
		t.Fatal(err)
	}
	run, err := r.store.Run(t.Context(), "r1")
	if err != nil || !run.HandedOver || ctx.Err() != nil {
		t.Errorf("the run is %+v, %v", run, err)
	}
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r1" {
		t.Errorf("invoked %v", got)
	}
}

func TestTenant_Missing(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say no")
	_, event := gatewaytest.Turn(t, r.user, "r1")
	if err := r.Handle(t.Context(), event); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("error %v, want ErrNoUser", err)
	}
	ctx, event := gatewaytest.Turn(t, chattest.User(t, "bob"), "r1")
	if err := r.Handle(ctx, event); err != nil || r.status(t, "r1") != chat.RunAdmitted {
		t.Errorf("another tenant: error %v, status %s", err, r.status(t, "r1"))
	}
}

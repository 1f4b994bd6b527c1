package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
)

// flaky fails with the next of its failures at each call, behind the deltas. When none is left it says its name.
type flaky struct {
	name   string
	deltas []engine.Delta
	fails  []error
	asked  []time.Time
	sent   []engine.Request
}

func (m *flaky) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		m.asked, m.sent = append(m.asked, time.Now()), append(m.sent, r)
		if len(m.asked) > len(m.fails) {
			_ = yield(text(m.name), nil) && yield(stop(engine.StopEnd), nil)
			return
		}
		for _, d := range m.deltas {
			if !yield(d, nil) {
				return
			}
		}
		err := m.fails[len(m.asked)-1]
		if errors.Is(err, errHangs) {
			<-ctx.Done()
			err = ctx.Err()
		}
		yield(engine.Delta{}, err)
	}
}

var errHangs = errors.New("no sign of life")

// kind returns n failures of a kind.
func kind(n int, k engine.Kind, after time.Duration) (all []error) {
	for range n {
		all = append(all, &engine.ModelError{Kind: k, After: after, Cause: errors.New("secret")})
	}
	return all
}

func hang(n int) (all []error) {
	for range n {
		all = append(all, errHangs)
	}
	return all
}

// customs formats the run's CUSTOM events apart from the marks.
func (f *fixture) customs() string {
	var all []string
	for _, e := range f.sink.events {
		var v struct{ Why string }
		if e.Type == agui.Custom && e.Name != agui.CustomAnswer && json.Unmarshal(e.Value, &v) == nil {
			all = append(all, strings.TrimPrefix(e.Name, "carrel.")+":"+v.Why)
		}
	}
	return strings.Join(all, " ")
}

// policyCase is a failure of two models and what follows.
type policyCase struct {
	first, second flaky
	asked         string // how often each is asked
	said          string
	code          string
	most          time.Duration // the longest time that it may take
	least         time.Duration
	customs       string // "-": not compared
}

func policyCases() map[string]policyCase {
	half := []engine.Delta{text("half")}
	return map[string]policyCase{
		"throttled once": {flaky{fails: kind(1, engine.Throttled, 0)}, flaky{}, "1+1 0", "first", "", 2 * time.Second,
			0, ""},
		"asked to wait": {flaky{fails: kind(1, engine.Throttled, 5*time.Second)}, flaky{}, "1+1 0", "first", "",
			5 * time.Second, 5 * time.Second, "waiting:busy"},
		"asked to wait too long": {flaky{fails: kind(9, engine.Throttled, time.Minute)}, flaky{}, "1 0+1", "second",
			"", 0, 0,
			""},
		"always throttled": {flaky{fails: kind(9, engine.Throttled, 0)}, flaky{}, "4 0+1", "second", "",
			14 * time.Second, 0,
			"-"},
		"both throttled": {flaky{fails: kind(9, engine.Throttled, 0)}, flaky{fails: kind(9, engine.Overloaded, 0)},
			"4 4", "",
			engine.CodeBusy, 45 * time.Second, 0, "-"},
		"refused": {flaky{fails: kind(9, engine.Refused, 0)}, flaky{}, "1 0+1", "second", "", 0, 0, ""},
		"both refused": {flaky{fails: kind(9, engine.Refused, 0)}, flaky{fails: kind(9, engine.Refused, 0)}, "1 1", "",
			engine.CodeRefused, 0, 0, ""},
		"invalid":  {flaky{fails: kind(9, engine.Invalid, 0)}, flaky{}, "1 0", "", engine.CodeModel, 0, 0, ""},
		"too long": {flaky{fails: kind(9, engine.TooLong, 0)}, flaky{}, "1 0", "", engine.CodeTooLong, 0, 0, "-"},
		"cut twice": {flaky{fails: kind(2, engine.Cut, 0), deltas: half}, flaky{}, "2+1 0", "halfhalffirst", "", 0, 0,
			"again:cut again:cut"},
		"cut three times": {flaky{fails: kind(9, engine.Cut, 0), deltas: half}, flaky{}, "3 0+1", "halfhalfhalfsecond",
			"", 0,
			0, "again:cut again:cut again:cut waiting:trying_another_model"},
		"throttled in a text": {flaky{fails: kind(1, engine.Throttled, 0), deltas: half}, flaky{}, "1+1 0",
			"halffirst", "",
			2 * time.Second, 0, "again:throttled"},
		"stalled once": {flaky{fails: hang(1)}, flaky{}, "1+1 0", "first", "", 62 * time.Second, time.Minute, "-"},
		"stalled in a text twice": {flaky{fails: hang(9), deltas: half}, flaky{}, "2 0+1", "halfhalfsecond", "",
			2 * time.Minute, 2 * time.Minute, "-"},
	}
}

// Failures of two models: how often the engine asks each, how the run ends, and how long it pauses.
func TestPolicy(t *testing.T) {
	for name, c := range policyCases() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.first.name, c.second.name = "first", "second"
				f := setUp(t, &c.first, chat.Limits{})
				f.config.Models = []engine.Candidate{{Model: &c.first, Name: "p:one"}, {Model: &c.second,
					Name: "p:two"}}
				start := time.Now()
				end := f.run()
				took := time.Since(start)
				if end.Code != c.code || took > c.most || took < c.least {
					t.Errorf("ended with %+v after %v", end, took)
				}
				asked := func(m flaky) string {
					if extra := len(m.asked) - len(m.fails); extra > 0 {
						return fmt.Sprintf("%d+%d", len(m.fails), extra)
					}
					return fmt.Sprint(len(m.asked))
				}
				if got := asked(c.first) + " " + asked(c.second); got != c.asked {
					t.Errorf("asked %s times, want %s", got, c.asked)
				}
				var said string
				for _, m := range f.messages() {
					said += m.Content
				}
				if said != c.said {
					t.Errorf("said %q, want %q", said, c.said)
				}
				if got := f.customs(); c.customs != "-" && got != c.customs {
					t.Errorf("the person sees %q, want %q", got, c.customs)
				}
				if strings.Contains(end.Message+f.types(), "secret") {
					t.Error("the person reads the provider's words")
				}
			})
		})
	}
}

// An answer that was cut is marked in every message, none of its calls is made, and the model is not sent it.
func TestPolicy_CutAnswer(t *testing.T) {
	m := &flaky{name: "whole", fails: kind(1, engine.Cut, 0), deltas: []engine.Delta{reasoning("hm"), text("half"),
		start("echo"), args(`{"say":"a"}`), start("echo"), args(`{"say":"b"}`)}}
	f := setUp(t, m, chat.Limits{})
	f.run()
	for _, message := range f.messages() {
		if message.Role == agui.RoleTool && (!agui.MarksOf(message.Metadata).Again ||
			!strings.Contains(message.Content, "was not carried out")) {
			t.Errorf("a result is %+v", message)
		}
	}
	if got := m.sent[1].Messages; len(got) != 1 {
		t.Errorf("the model was sent %+v", got)
	}
	next := done()
	f2 := setUp(t, next, chat.Limits{})
	f2.config.History = append(f2.config.History, f.messages()...)
	f2.run()
	if got := next.sent(0); got != "user:hello\nassistant:whole" {
		t.Errorf("the next model was sent\n%s", got)
	}
}

// A cancel ends a pause at once.
func TestPolicy_CancelEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &flaky{fails: kind(9, engine.Throttled, 30*time.Second)}
		f := setUp(t, m, chat.Limits{})
		start := time.Now()
		time.AfterFunc(time.Second, func() { f.uc.Cancel(engine.ErrCancelled) })
		end := f.run()
		if end.Outcome == nil || end.Outcome.Type != agui.OutcomeCancelled || time.Since(start) != time.Second {
			t.Errorf("ended with %+v after %v", end, time.Since(start))
		}
	})
}

// A model that thinks for minutes gives signs of life, and the person sees that once.
func TestPolicy_SignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := then(func(_ context.Context, yield func(engine.Delta, error) bool) {
			for range 4 {
				time.Sleep(50 * time.Second)
				if !yield(engine.Delta{}, nil) {
					return
				}
			}
			_ = yield(text("thought"), nil) && yield(stop(engine.StopEnd), nil)
		})
		f := setUp(t, m, chat.Limits{})
		if end := f.run(); end.Outcome == nil || len(m.asked) != 1 || f.customs() != "waiting:thinking" {
			t.Errorf("ended with %+v after %d model calls, the person sees %q", end, len(m.asked), f.customs())
		}
	})
}

// A worker that continues the run asks the model that answered last.
func TestPolicy_NextWorkerAsksTheSameModel(t *testing.T) {
	first, second := &flaky{name: "first"}, &flaky{name: "second"}
	f := setUp(t, first, chat.Limits{})
	f.config.Models = []engine.Candidate{{Model: first, Name: "p:one"}, {Model: second, Name: "p:two"}}
	f.config.Log = []agui.Event{agui.CustomEvent(agui.CustomAnswer, agui.Answer{N: 1, Stop: "tools", Calls: 1,
		Provider: "p", Model: "two"})}
	f.run()
	if len(first.asked) != 0 || len(second.asked) != 1 {
		t.Errorf("asked %d and %d times", len(first.asked), len(second.asked))
	}
}

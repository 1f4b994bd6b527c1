package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// then makes a model that streams these deltas and then calls the function.
func then(last func(ctx context.Context, yield func(engine.Delta, error) bool), deltas ...engine.Delta) *model {
	return &model{answers: []func(context.Context, func(engine.Delta, error) bool){
		func(ctx context.Context, yield func(engine.Delta, error) bool) {
			for _, d := range deltas {
				if !yield(d, nil) {
					return
				}
			}
			last(ctx, yield)
		},
	}}
}

func fails(_ context.Context, yield func(engine.Delta, error) bool) { yield(engine.Delta{}, boom{}) }
func panics(context.Context, func(engine.Delta, error) bool)        { panic(boom{}) }
func ends(context.Context, func(engine.Delta, error) bool)          {}
func hangs(ctx context.Context, yield func(engine.Delta, error) bool) {
	<-ctx.Done()
	yield(engine.Delta{}, ctx.Err())
}

func TestRun_Failures(t *testing.T) {
	half := []engine.Delta{reasoning("x"), start("echo"), args(`{"say`)}
	forever := []engine.Delta{start("echo"), args(`{"say":"again"}`), stop(engine.StopTools)}
	sixty := []engine.Delta{start("echo"), args(`{"say":"` + strings.Repeat("x", 60) + `"}`), stop(engine.StopTools)}
	long := says([]engine.Delta{text(strings.Repeat("x", 600)), text(strings.Repeat("x", 600)), stop(engine.StopEnd)})
	for name, c := range map[string]struct {
		model  *model
		limits chat.Limits
		code   string
	}{
		"the model fails at once":      {then(fails), chat.Limits{}, engine.CodeModel},
		"the model fails in a text":    {then(fails, text("a")), chat.Limits{}, engine.CodeModel},
		"the model fails in a thought": {then(fails, reasoning("a")), chat.Limits{}, engine.CodeModel},
		"the model fails in a call":    {then(fails, half...), chat.Limits{}, engine.CodeModel},
		"the model panics":             {then(panics, half...), chat.Limits{}, engine.CodeInternal},
		"the model just ends":          {then(ends, half...), chat.Limits{}, engine.CodeModel},
		"an unknown stop":              {says([]engine.Delta{stop("tired")}), chat.Limits{}, engine.CodeNoAnswer},
		"waits for no tools": {says([]engine.Delta{text("a"), stop(engine.StopTools)}), chat.Limits{},
			engine.CodeModel},
		"arguments without a call": {says([]engine.Delta{text("a"), args("{}")}), chat.Limits{},
			engine.CodeModel},
		"cut in a call": {says(append(half, stop(engine.StopMaxTokens))), chat.Limits{}, engine.CodeMaxTokens},
		"malformed": {says([]engine.Delta{text("a"), stop(engine.StopMalformed)}), chat.Limits{},
			engine.CodeModel},
		"empty": {says([]engine.Delta{reasoning("a"), stop(engine.StopEnd)}), chat.Limits{},
			engine.CodeNoAnswer},
		"too many model calls":   {says(forever), chat.Limits{ModelCalls: 3}, engine.CodeModelCalls},
		"too many tool calls":    {says(forever), chat.Limits{ToolCalls: 3}, engine.CodeToolCalls},
		"too many events":        {says(forever), chat.Limits{Events: 9}, engine.CodeEvents},
		"too many bytes of text": {long, chat.Limits{OutputBytes: 1000}, engine.CodeOutput},
		"too many bytes of a result": {says(sixty, []engine.Delta{text("ok"), stop(engine.StopEnd)}),
			chat.Limits{OutputBytes: 100}, engine.CodeOutput},
		"too many bytes of arguments": {says([]engine.Delta{start("echo"), args(strings.Repeat("x", 200))}),
			chat.Limits{OutputBytes: 100}, engine.CodeOutput},
		"the limits of one run are whole": {says([]engine.Delta{text("a"), stop(engine.StopEnd)}),
			chat.Limits{Events: 4, ModelCalls: 1, OutputBytes: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t, c.model, c.limits)
			end := f.run()
			if c.code == "" {
				if end.Type != agui.RunFinished {
					t.Errorf("ended with %+v", end)
				}
				return
			}
			if end.Type != agui.RunError || end.Code != c.code || len(end.Message) < 20 {
				t.Errorf("ended with %+v, want the code %s", end, c.code)
			}
			if strings.Contains(end.Message+f.types(), "secret") || strings.Contains(end.Message, "goroutine") {
				t.Errorf("the message reveals internals: %+v", end)
			}
			if len(f.log) != 1 || !strings.Contains(f.log[0], "run r ended with "+c.code) {
				t.Errorf("logged %q", f.log)
			}
		})
	}
}

func TestRun_StopCauses(t *testing.T) {
	t.Attr("row", "A3: each limit ends a run with its own error code")
	stuck, err := tool.Define("other", "", "all", func(ctx context.Context, _ input) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]func() *model{
		"in a text":    func() *model { return then(hangs, text("a")) },
		"in a thought": func() *model { return then(hangs, reasoning("a")) },
		"in arguments": func() *model { return then(hangs, start("echo"), args(`{"s`)) },
		"in a tool": func() *model {
			return says([]engine.Delta{start("other"), args(`{"say":""}`), start("echo"), args(`{"say":"b"}`),
				stop(engine.StopTools)})
		},
		"between deltas": func() *model {
			return then(func(ctx context.Context, yield func(engine.Delta, error) bool) {
				<-ctx.Done()
				yield(text("a model that does not heed its context"), nil)
			})
		},
	}
	causes := map[string]struct {
		cause   error
		outcome agui.OutcomeType
		code    string
	}{
		"the user":  {engine.ErrCancelled, agui.OutcomeCancelled, ""},
		"the clock": {nil, "", engine.CodeTimeLimit},
		"something": {boom{}, "", engine.CodeInternal},
	}
	for where, model := range models {
		for who, c := range causes {
			synctest.Test(t, func(t *testing.T) {
				f := setUp(t, model(), chat.Limits{RunTime: 20 * time.Second}, stuck)
				f.ctx = context.Background() // the user context alone stops it
				if c.cause != nil {
					time.AfterFunc(time.Second, func() { f.uc.Cancel(c.cause) })
				}
				end := f.run()
				if c.outcome != "" && (end.Type != agui.RunFinished || end.Outcome.Type != c.outcome) ||
					end.Code != c.code {
					t.Errorf("%s stops it %s: ended with %+v", who, where, end)
				}
				if got := f.types(); strings.Contains(got, "heed") {
					t.Errorf("%s stops it %s: text went on\n%s", who, where, got)
				}
				if where == "in a tool" && !strings.Contains(f.types(), `{"carrel":{"outcome":"stopped"}}`) {
					t.Errorf("the tool's result does not say that it was stopped\n%s", f.types())
				}
			})
		}
	}
	t.Attr("figure", fmt.Sprintf("%d places to be stopped in, by %d causes, each under its own name", len(models),
		len(causes)))
}

func TestRun_CallersContextEnds(t *testing.T) {
	for _, m := range []*model{then(hangs, text("a")), says([]engine.Delta{text("ok"), stop(engine.StopEnd)})} {
		f := setUp(t, m, chat.Limits{})
		ctx, cancel := context.WithCancelCause(context.Background())
		f.ctx = ctx
		cancel(engine.ErrCancelled)
		if end := f.run(); end.Outcome == nil || end.Outcome.Type != agui.OutcomeCancelled || len(m.asked) > 0 {
			t.Errorf("cancelled before it began: ended with %+v, %d model calls", end, len(m.asked))
		}
	}
}

func TestRun_LeaseLost(t *testing.T) {
	m := then(hangs, text("a"))
	f := setUp(t, m, chat.Limits{})
	f.sink.fail = func(e agui.Event) error {
		if e.Type == agui.TextMessageContent {
			f.uc.Cancel(chat.ErrLeaseLost)
		}
		return nil
	}
	end, err := engine.Run(f.uc.Context(), f.config)
	if !errors.Is(err, chat.ErrLeaseLost) || end.Type != "" ||
		!strings.HasSuffix(f.types(), "TEXT_MESSAGE_CONTENT a\n") {
		t.Errorf("ended with %+v, %v\n%s", end, err, f.types())
	}
}

func TestRun_FailingSink(t *testing.T) {
	kinds := []agui.EventType{agui.TextMessageStart, agui.TextMessageContent, agui.TextMessageEnd, agui.ToolCallStart,
		agui.ToolCallEnd, agui.ToolCallResult}
	for _, kind := range kinds {
		f := setUp(t, says([]engine.Delta{text("a"), start("echo"), start("echo"), stop(engine.StopTools)}),
			chat.Limits{})
		refused, after := false, 0
		f.sink.fail = func(e agui.Event) error {
			if refused {
				after++
			}
			if e.Type == kind {
				refused = true
			}
			if refused {
				return boom{}
			}
			return nil
		}
		end, err := engine.Run(f.uc.Context(), f.config)
		if !errors.As(err, new(boom)) || end.Type != "" || after != 0 {
			t.Errorf("%s refused: %+v, %v, and %d more events were tried", kind, end, err, after)
		}
		if err := f.uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestRun_PanickingSink(t *testing.T) {
	f := setUp(t, says([]engine.Delta{text("a"), text("b"), stop(engine.StopEnd)}), chat.Limits{})
	once := true
	f.sink.fail = func(e agui.Event) error {
		if e.Delta == "b" && once {
			once = false
			panic(boom{})
		}
		return nil
	}
	if end := f.run(); end.Code != engine.CodeInternal {
		t.Errorf("ended with %+v", end)
	}
	f = setUp(t, says([]engine.Delta{text("a"), text("b"), stop(engine.StopEnd)}), chat.Limits{})
	f.sink.fail = func(e agui.Event) error {
		if e.Delta != "a" && e.Type != agui.TextMessageStart {
			panic(boom{})
		}
		return nil
	}
	if end, err := engine.Run(f.uc.Context(), f.config); err == nil || end.Type != "" {
		t.Errorf("a sink that goes on panicking: %+v, %v", end, err)
	}
	f.uc.Close(context.Background())
}

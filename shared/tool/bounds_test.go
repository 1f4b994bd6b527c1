package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

func TestResult_Bounded(t *testing.T) {
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, define(t, "order", func(_ context.Context, in order) (string, error) {
		return strings.Repeat("ä", in.Count), nil
	}))
	whole := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: `{"item":"","count":130048}`})
	if whole.Content != strings.Repeat("ä", 130048) {
		t.Errorf("a result of just the limit has %d bytes", len(whole.Content))
	}
	cut := d.Call(uc.Context(), tool.Call{Name: "order", Arguments: `{"item":"","count":150001}`})
	if want := strings.Repeat("ä", 130048) +
		"\n[cut: the result has 300002 bytes, these are the first 260096]"; cut.Content != want {
		t.Errorf("cut to %d bytes, ends in %q", len(cut.Content), cut.Content[len(cut.Content)-80:])
	}
}

// Every result must fit into an event, which has at most 256 KB of JSON.
func TestResult_BoundedAsJSON(t *testing.T) {
	t.Attr("row", "D1: a result's size is bounded, counted as JSON")
	for _, piece := range []string{"<", "\x00", "\u2028", `"`, "\n", "ä", "𝄞"} {
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) {
			return strings.Repeat(piece, 300_000), nil
		}))
		var data strings.Builder
		enc := json.NewEncoder(&data)
		enc.SetEscapeHTML(false)
		err := enc.Encode(d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good}).Content)
		if err != nil || data.Len() > 255<<10 || data.Len() < 250<<10 ||
			!strings.Contains(data.String(), "[cut: the result has") {
			t.Errorf("%q: %d bytes of JSON, %v", piece, data.Len(), err)
		}
		if err := uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	uc := contextOf(t, "order")
	defer uc.Close(context.Background())
	d := dispatcher(t, uc, define(t, "order", echo))
	long := strings.Repeat("x", 1<<20)
	longest := 0
	for _, got := range []tool.Result{d.Call(uc.Context(), tool.Call{Name: long, Arguments: good}),
		d.Call(uc.Context(), tool.Call{Name: "order", Arguments: `{"item":["` + long + `"],"count":1}`})} {
		longest = max(longest, len(got.Content))
		if len(got.Content) > 261_000 {
			t.Errorf("%s: %d bytes", got.Outcome, len(got.Content))
		}
	}
	t.Attr("figure", fmt.Sprintf("arguments of %d bytes are answered with %d at most", len(long), longest))
}

// A result is cut between grapheme clusters.
func TestResult_CutBetweenClusters(t *testing.T) {
	for _, cluster := range []string{"e\u0301", "👨‍👩‍👧‍👦", "🇩🇪"} {
		for shift := range 8 {
			uc := contextOf(t, "order")
			d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) {
				return strings.Repeat("x", shift) + strings.Repeat(cluster, 200), nil
			}).ResultBytes(100))
			head, _, cut := strings.Cut(d.Call(uc.Context(), tool.Call{Name: "order", Arguments: good}).Content,
				"\n[cut: ")
			if !cut || strings.ReplaceAll(strings.TrimLeft(head, "x"), cluster, "") != "" ||
				len(head) <= 100-len(cluster) {
				t.Errorf("%+q behind %d: cut to %+q", cluster, shift, head)
			}
			if err := uc.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCall_EndsWithContextOrDeadline(t *testing.T) {
	t.Attr("row", "D1: a call ends at its deadline or when its run is stopped")
	cancelled := errors.New("cancelled")
	ended := 0
	for _, heeds := range []bool{true, false} { // the handler heeds its context, or does not
		for name, c := range map[string]struct {
			end   func(*usercontext.Context, context.CancelFunc)
			after time.Duration
			want  tool.Outcome
		}{
			"its time": {nil, 30 * time.Second, tool.TimedOut},
			"run cancel": {func(uc *usercontext.Context, _ context.CancelFunc) { uc.Cancel(cancelled) }, time.Second,
				tool.Stopped},
			"call cancel": {func(_ *usercontext.Context, stop context.CancelFunc) { stop() }, time.Second,
				tool.Stopped},
			"run is ended": {func(uc *usercontext.Context, _ context.CancelFunc) { go uc.Close(context.Background()) },
				time.Second, tool.Stopped},
		} {
			synctest.Test(t, func(t *testing.T) {
				uc := contextOf(t, "order")
				release := make(chan struct{})
				d := dispatcher(t, uc, define(t, "order", func(ctx context.Context, _ order) (string, error) {
					if !heeds {
						<-release
						return "late", nil
					}
					<-ctx.Done()
					return "", ctx.Err()
				}))
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				if c.end != nil {
					time.AfterFunc(time.Second, func() { c.end(uc, stop) })
				}
				start := time.Now()
				got := d.Call(ctx, tool.Call{Name: "order", Arguments: good})
				if took := time.Since(start); got.Outcome != c.want || took != c.after {
					t.Errorf("%s (heeds: %v): %+v after %v, want %s after %v", name, heeds, got, took, c.want, c.after)
				}
				ended++
				close(release)
				if err := uc.Close(context.Background()); err != nil {
					t.Errorf("%s (heeds: %v): %v", name, heeds, err)
				}
				if got := d.Call(context.Background(), tool.Call{Name: "order",
					Arguments: good}); got.Outcome != tool.Stopped {
					t.Errorf("%s: a call after Close: %+v", name, got)
				}
			})
		}
	}
	t.Attr("figure", fmt.Sprintf("%d ways to end, with handlers that heed their context and such that do not", ended))
}

func TestCall_StoppedRun(t *testing.T) {
	t.Attr("row", "A7: a stopped run calls no tool")
	made := false
	uc := contextOf(t, "order")
	d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) {
		made = true
		return "",
			nil
	}))
	uc.Cancel(errors.New("stopped"))
	got := d.Call(context.Background(), tool.Call{Name: "order", Arguments: good})
	if err := uc.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if got.Outcome != tool.Stopped || made {
		t.Errorf("have %+v, the handler was called: %v", got, made)
	}
	t.Attr("figure", fmt.Sprintf("the call got %q, the handler was called: %v", got.Outcome, made))
}

func TestClose_NamesRemainingHandler(t *testing.T) {
	t.Attr("row", "A7: Close names a tool handler that does not return")
	var said error
	synctest.Test(t, func(t *testing.T) {
		uc := contextOf(t, "order")
		release := make(chan struct{})
		d := dispatcher(t, uc, define(t, "order", func(context.Context, order) (string, error) {
			<-release
			return "",
				nil
		}))
		d.Call(context.Background(), tool.Call{Name: "order", Arguments: good})
		if said = uc.Close(context.Background()); said == nil || !strings.Contains(said.Error(), "tool order") {
			t.Errorf("Close says %v", said)
		}
		close(release)
	})
	t.Attr("figure", fmt.Sprintf("Close says: %.80v", said))
}

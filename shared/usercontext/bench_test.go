package usercontext_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/usercontext"
)

// silent is a model that says nothing.
func silent() engine.Model {
	return script(func(yield func(engine.Delta) bool) { yield(engine.Delta{Stop: engine.StopEnd}) })
}

func TestARunIsCheapToBegin(t *testing.T) {
	t.Attr("row", "E5: allocations of a new run")
	d, alice := deploy(t), chattest.User(t, "alice")
	allocations := testing.AllocsPerRun(100, func() {
		must(t, d.session(t, alice, chat.Limits{}, silent()).Context.Close(context.Background()))
	})
	if allocations > 100 {
		t.Errorf("a user context with engine, emitter and dispatcher takes %v allocations, want at most 100", allocations)
	}
	t.Attr("figure", fmt.Sprintf("%.0f allocations for a user context with engine, emitter and dispatcher, made and closed", allocations))
}

// The time is held to its limit with AUDIT alone: make test has the race detector on, and other work beside it. Of many
// rounds the fastest counts, which nothing else has disturbed.
func TestARunIsQuickToBegin(t *testing.T) {
	t.Attr("row", "E5: time of a new run")
	d, alice, ctx := deploy(t), chattest.User(t, "alice"), context.Background()
	whole := fastest(func() { must(t, d.session(t, alice, chat.Limits{}, silent()).Context.Close(ctx)) })
	verify := verifies(t)
	token := fastest(func() { must(t, verify()) })
	t.Attr("figure", fmt.Sprintf("%.1f µs for a user context with engine, emitter and dispatcher, made and closed: %.1f times the check of one HS256 token",
		float64(whole.Nanoseconds())/1000, float64(whole)/float64(token)))
	if os.Getenv("AUDIT") != "" && whole > 20*time.Microsecond {
		t.Errorf("it takes %v, want at most 20 µs", whole)
	}
}

// fastest is how long something takes at best.
func fastest(do func()) time.Duration {
	const rounds, times = 200, 20
	best := time.Hour
	for range rounds {
		start := time.Now()
		for range times {
			do()
		}
		best = min(best, time.Since(start)/times)
	}
	return best
}

// verifies is the check of one HS256 token, which a server does for each request anyway.
func verifies(tb testing.TB) func() error {
	tb.Helper()
	key := []byte("a secret of thirty-two characters")
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "https://issuer.test", "sub": "alice",
		"exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	must(tb, err)
	return func() error {
		_, err := jwt.Parse(signed, func(*jwt.Token) (any, error) { return key, nil })
		return err
	}
}

// BenchmarkUserContext is what a run costs before and beside its work: a fresh user context with engine, emitter and
// dispatcher, made, used for a run without a word, and closed; the same without using it; beside them an empty struct and
// the verification of one HS256 token, which a server does for each request anyway.
//
//	go test ./shared/usercontext -run - -bench UserContext -benchmem
func BenchmarkUserContext(b *testing.B) {
	d, alice, ctx := deploy(b), chattest.User(b, "alice"), context.Background()
	b.Run("empty-struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			runtime.KeepAlive(&struct{ n int }{})
		}
	})
	b.Run("HS256-token", func(b *testing.B) {
		verify := verifies(b)
		b.ReportAllocs()
		for b.Loop() {
			must(b, verify())
		}
	})
	b.Run("context", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			uc, err := usercontext.New(ctx, usercontext.Config{User: alice, Thread: "t", Run: "r", Request: "q"})
			must(b, err)
			must(b, uc.Close(ctx))
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, d.session(b, alice, chat.Limits{}, silent()).Context.Close(ctx))
		}
	})
	b.Run("whole-with-an-empty-run", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := d.session(b, alice, chat.Limits{}, silent())
			if _, err := engine.Run(s.Context.Context(), s.Engine); err != nil {
				b.Fatal(err)
			}
			must(b, s.Context.Close(ctx))
		}
	})
}

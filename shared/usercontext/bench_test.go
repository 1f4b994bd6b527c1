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

// silent returns a model with an empty answer.
func silent() engine.Model {
	return script(func(yield func(engine.Delta) bool) { yield(engine.Delta{Stop: engine.StopEnd}) })
}

func TestNew_Allocations(t *testing.T) {
	t.Attr("row", "E5: allocations of a new run")
	d, alice := deploy(t), chattest.User(t, "alice")
	allocations := testing.AllocsPerRun(100, func() {
		must(t, d.session(t, alice, chat.Limits{}, silent()).Context.Close(context.Background()))
	})
	if allocations > 100 {
		t.Errorf("a user context with engine, emitter and dispatcher takes %v allocations, want at most 100",
			allocations)
	}
	t.Attr("figure",
		fmt.Sprintf("%.0f allocations to create and close a user context with engine, emitter and dispatcher",
			allocations))
}

// The limit is a ratio to the check of a token in the same rounds, because a time says more about the machine than the
// code. It applies only with AUDIT set: make test runs with the race detector, which changes the ratio.
func TestNew_Time(t *testing.T) {
	t.Attr("row", "E5: time of a new run")
	d, alice, ctx := deploy(t), chattest.User(t, "alice"), context.Background()
	verify := verifies(t)
	took := fastest(
		func() { must(t, d.session(t, alice, chat.Limits{}, silent()).Context.Close(ctx)) },
		func() { must(t, verify()) })
	ratio := float64(took[0]) / float64(took[1])
	t.Attr("figure",
		fmt.Sprintf("a context with engine, emitter and dispatcher costs as much as %.1f checks of a token", ratio))
	t.Logf("%v; one check of a token takes %v: %.1f times", took[0], took[1], ratio)
	if os.Getenv("AUDIT") != "" && ratio > 4 {
		t.Errorf("it costs as much as %.1f checks of an HS256 token, want at most 4", ratio)
	}
}

// fastest calls the functions alternately and returns the shortest time of each, because other processes can only make
// a call slower.
func fastest(dos ...func()) []time.Duration {
	const rounds, times = 200, 20
	best := make([]time.Duration, len(dos))
	for round := range rounds {
		for i, do := range dos {
			start := time.Now()
			for range times {
				do()
			}
			if took := time.Since(start) / times; round == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	return best
}

// verifies returns the check of one HS256 token, which a server does for each request anyway.
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

// BenchmarkUserContext measures the cost of a run apart from its work: a new user context with engine, emitter and
// dispatcher, created and closed, with and without an empty run in between. For comparison it measures an empty struct
// and the verification of one HS256 token, which a server does for each request anyway.
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
	b.Run("complete", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, d.session(b, alice, chat.Limits{}, silent()).Context.Close(ctx))
		}
	})
	b.Run("complete-with-empty-run", func(b *testing.B) {
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

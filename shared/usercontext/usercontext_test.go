package usercontext_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/usercontext"
)

func config(tb testing.TB) usercontext.Config {
	return usercontext.Config{User: chattest.User(tb, "alice"), Thread: "t", Run: "r", Request: "q"}
}

func open(tb testing.TB, c usercontext.Config) *usercontext.Context {
	tb.Helper()
	uc, err := usercontext.New(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return uc
}

func TestNew_InvalidConfig(t *testing.T) {
	for name, change := range map[string]func(*usercontext.Config){
		"no user":       func(c *usercontext.Config) { c.User = chat.User{} },
		"no thread":     func(c *usercontext.Config) { c.Thread = "" },
		"no run":        func(c *usercontext.Config) { c.Run = "" },
		"no request":    func(c *usercontext.Config) { c.Request = "" },
		"too much time": func(c *usercontext.Config) { c.Limits.RunTime = 15 * time.Minute },
		"negative time": func(c *usercontext.Config) { c.Limits.RunTime = -1 },
		"valid":         nil,
	} {
		c := config(t)
		if change != nil {
			change(&c)
		}
		uc, err := usercontext.New(context.Background(), c)
		if (err == nil) != (change == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no user" && !errors.Is(err, chat.ErrNoUser) {
			t.Errorf("no user: %v", err)
		}
		if uc != nil {
			uc.Close(context.Background())
		}
	}
}

func TestContext_Values(t *testing.T) {
	t.Attr("row", "B1: a context returns copies of its values")
	c := config(t)
	c.Grants = []string{"calculator", ""}
	c.Limits.ToolCalls = 3
	c.Now = func() time.Time { return time.UnixMilli(42) }
	uc := open(t, c)
	defer uc.Close(context.Background())
	c.Grants[0] = "files"
	if uc.User() != chattest.User(t, "alice") || uc.Thread() != "t" || uc.Run() != "r" || uc.Request() != "q" {
		t.Error("the identity differs from the configuration")
	}
	if !uc.Granted("calculator") || uc.Granted("files") || uc.Granted("") {
		t.Error("the grants differ from the configuration, or include the empty grant")
	}
	if l := uc.Limits(); l.ToolCalls != 3 || l.ModelCalls != chat.DefaultLimits().ModelCalls ||
		uc.Now() != time.UnixMilli(42) {
		t.Errorf("limits %+v", l)
	}
	t.Attr("figure", fmt.Sprintf("grants %v, and a limit of %d tool calls", uc.Grants(), uc.Limits().ToolCalls))
}

func TestContext_CancelCause(t *testing.T) {
	parentEnded, stop := errors.New("parent"), errors.New("stop")
	for name, c := range map[string]struct {
		end  func(*usercontext.Context, context.CancelCauseFunc)
		want error
	}{
		"cancelled": {func(uc *usercontext.Context,
			_ context.CancelCauseFunc) {
			uc.Cancel(stop)
			uc.Cancel(parentEnded)
		}, stop},
		"closed": {func(uc *usercontext.Context, _ context.CancelCauseFunc) { uc.Close(context.Background()) },
			chat.ErrClosed},
		"parent ended": {func(_ *usercontext.Context, parent context.CancelCauseFunc) { parent(parentEnded) },
			parentEnded},
		"time limit": {func(uc *usercontext.Context, _ context.CancelCauseFunc) { <-uc.Context().Done() },
			usercontext.ErrTimeLimit},
		"panic": {func(uc *usercontext.Context, _ context.CancelCauseFunc) {
			if err := uc.Go("work", func(context.Context) { panic(stop) }); err != nil {
				panic(err)
			}
		}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancelCause(context.Background())
			conf := config(t)
			conf.Limits.RunTime = time.Minute
			uc, err := usercontext.New(parent, conf)
			if err != nil {
				t.Fatal(err)
			}
			c.end(uc, cancel)
			synctest.Wait()
			cause := context.Cause(uc.Context())
			if c.want == nil {
				if cause == nil || cause.Error() != "usercontext: work panicked: stop" {
					t.Errorf("%s: the cause is %v", name, cause)
				}
			} else if !errors.Is(cause, c.want) {
				t.Errorf("%s: the cause is %v, want %v", name, cause, c.want)
			}
			if err := uc.Close(context.Background()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			cancel(nil)
		})
	}
}

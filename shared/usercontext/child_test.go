package usercontext_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/usercontext"
)

func child(tb testing.TB, uc *usercontext.Context, request string) *usercontext.Context {
	tb.Helper()
	c, err := uc.Child(request)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestChild_SameUserThreadAndRun(t *testing.T) {
	t.Attr("row", "B1: a child keeps user, thread and run")
	conf := config(t)
	conf.Grants = []string{"notes", "clock", ""}
	conf.Limits.ToolCalls = 3
	uc := open(t, conf)
	defer uc.Close(context.Background())
	c := child(t, uc, "q2")
	if c.User() != uc.User() || c.Thread() != uc.Thread() || c.Run() != uc.Run() || c.Limits() != uc.Limits() ||
		!slices.Equal(c.Grants(), []string{"clock", "notes"}) || !c.Granted("clock") || c.Granted("") {
		t.Error("a child differs from its parent in user, thread, run, limits or grants")
	}
	if c.Request() != "q2" || c.Parent() != "q" || c.Depth() != 1 || uc.Depth() != 0 || uc.Parent() != "" ||
		c.Created().IsZero() {
		t.Errorf("child %q of %q at depth %d", c.Request(), c.Parent(), c.Depth())
	}
	c.Grants()[0] = "everything"
	if c.Granted("everything") || uc.Granted("everything") {
		t.Error("a caller can change the grants")
	}
	for _, same := range []string{"", "q"} {
		if _, err := uc.Child(same); err == nil {
			t.Errorf("a child with the request id %q was accepted", same)
		}
	}
	t.Attr("figure", fmt.Sprintf("depth %d, parent %s, grants %v", c.Depth(), c.Parent(), c.Grants()))
}

func TestChild_MaxDepth(t *testing.T) {
	t.Attr("row", "B1: children are at most 10 deep")
	uc := open(t, config(t))
	defer uc.Close(context.Background())
	c := uc
	for n := range usercontext.MaxDepth {
		c = child(t, c, fmt.Sprint(n))
	}
	if _, err := c.Child("more"); !errors.Is(err, chat.ErrFull) {
		t.Errorf("a child at depth %d: %v", c.Depth()+1, err)
	}
	t.Attr("figure", fmt.Sprintf("depth %d", c.Depth()))
}

// The usage that many children count concurrently adds up to the usage of the run.
func TestChild_SharedUsage(t *testing.T) {
	uc := open(t, config(t))
	defer uc.Close(context.Background())
	var all sync.WaitGroup
	for n := range 20 {
		c := child(t, uc, fmt.Sprint(n))
		all.Go(func() {
			for range 50 {
				c.Count(chat.RunStats{ToolCalls: 1, OutputBytes: 2})
			}
		})
	}
	all.Wait()
	want := chat.RunStats{ModelCalls: 1, ToolCalls: 1000, OutputBytes: 2000}
	if got := child(t, uc, "last").Count(chat.RunStats{ModelCalls: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestChild_EndsWithParentOnly(t *testing.T) {
	uc := open(t, config(t))
	a, b := child(t, uc, "a"), child(t, uc, "b")
	boom := errors.New("boom")
	a.Cancel(boom)
	if context.Cause(a.Context()) != boom || uc.Context().Err() != nil || b.Context().Err() != nil {
		t.Error("the end of a child ended its parent or its sibling, or has the wrong cause")
	}
	uc.Cancel(errors.New("stop"))
	if err := context.Cause(b.Context()); err == nil || err.Error() != "stop" {
		t.Errorf("the child does not end with its parent: %v", err)
	}
	must(t, uc.Close(context.Background()))
}

func TestClose_ChildrenFirst(t *testing.T) {
	conf := config(t)
	conf.Gauge = &usercontext.Gauge{}
	uc := open(t, conf)
	var order []string
	note := func(what string) func(context.Context) error {
		return func(context.Context) error { order = append(order, what); return nil }
	}
	must(t, uc.OnClose("parent", note("parent")))
	a, b := child(t, uc, "a"), child(t, uc, "b")
	must(t, a.OnClose("a", note("a")))
	must(t, b.OnClose("b", note("b")))
	must(t, child(t, b, "grandchild").OnClose("g", note("grandchild")))
	closed := child(t, uc, "closed before")
	must(t, closed.Close(context.Background()))
	must(t, b.Go("work", func(ctx context.Context) { <-ctx.Done() }))
	must(t, uc.Close(context.Background()))
	if want := []string{"grandchild", "b", "a", "parent"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up in the order %v, want %v", order, want)
	}
	for _, c := range []*usercontext.Context{uc, a, b} {
		phaseIs(t, c, usercontext.Cleaned)
		if _, err := c.Child("after close"); !errors.Is(err, chat.ErrClosed) {
			t.Errorf("a child after Close: %v", err)
		}
	}
	if n := conf.Gauge.Counts(); n != (usercontext.Counts{Made: 5, Cleaned: 5, Peak: 5}) {
		t.Errorf("counted %+v", n)
	}
}

// A run may have any number of children one after the other. The parent drops closed children, so that they can be
// collected while it lives.
func TestChild_ClosedChildrenAreCollected(t *testing.T) {
	uc := open(t, config(t))
	var collected atomic.Int64
	const children = 1000
	for n := range children {
		c := child(t, uc, fmt.Sprint(n))
		runtime.AddCleanup(c, func(n *atomic.Int64) { n.Add(1) }, &collected)
		must(t, c.Close(context.Background()))
	}
	// the parent holds the last child until it creates another
	for deadline := time.Now().Add(time.Minute); collected.Load() < children-1; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d children were collected", collected.Load(), children)
		}
	}
	must(t, uc.Close(context.Background()))
}

func TestClose_ResidueOfChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uc := open(t, config(t))
		stuck := make(chan struct{})
		must(t, child(t, uc, "q2").Go("stubborn", func(context.Context) { <-stuck }))
		cleaned := false
		must(t, uc.OnClose("own", func(context.Context) error { cleaned = true; return nil }))
		err := uc.Close(context.Background())
		var residue *usercontext.ResidueError
		if !errors.As(err, &residue) || residue.Count() != 1 || !strings.Contains(err.Error(),
			`child q2: close the user context: still running: ["stubborn"]`) {
			t.Errorf("the residue is %v", err)
		}
		if !cleaned {
			t.Error("the parent's clean-up was not called")
		}
		close(stuck)
		synctest.Wait()
	})
}

func TestClose_ConcurrentChild(t *testing.T) {
	conf := config(t)
	conf.Gauge = &usercontext.Gauge{}
	for range 100 {
		uc := open(t, conf)
		var racers sync.WaitGroup
		for n := range 8 {
			racers.Go(func() {
				c, err := uc.Child(fmt.Sprint("q", n))
				if err == nil {
					err = c.Go("work", func(ctx context.Context) { <-ctx.Done() })
				}
				if err != nil && !errors.Is(err, chat.ErrClosed) {
					t.Error(err)
				}
			})
		}
		racers.Go(func() {
			if err := uc.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		racers.Wait()
	}
	if n := conf.Gauge.Counts(); n.Active != 0 || n.Made != n.Cleaned || n.Made < 100 {
		t.Errorf("counted %+v: the parent's Close left a child open", n)
	}
}

// A child has no grant that its parent lacks, and its own children have no more than it.
func TestChildWith(t *testing.T) {
	t.Attr("row", "D2: a child has no grant that its parent lacks")
	parent, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{"books", "mail"},
	})
	if err != nil {
		t.Fatal(err)
	}
	child, err := parent.ChildWith("c", []string{"books", "admin", ""})
	if err != nil {
		t.Fatal(err)
	}
	if got := child.Grants(); !slices.Equal(got, []string{"books"}) {
		t.Errorf("the child has the grants %q", got)
	}
	grandchild, err := child.ChildWith("g", []string{"books", "mail"})
	if err != nil {
		t.Fatal(err)
	}
	if got := grandchild.Grants(); !slices.Equal(got, []string{"books"}) {
		t.Errorf("the grandchild has the grants %q", got)
	}
	t.Attr("figure", fmt.Sprintf("a child has %d of the 3 grants that it wants, a grandchild %d of 2",
		len(child.Grants()), len(grandchild.Grants())))
	if err := parent.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

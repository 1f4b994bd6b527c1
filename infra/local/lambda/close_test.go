package lambda_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"carrel/infra/local/lambda"
)

func TestStart_ContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, err := lambda.Start(ctx, lambda.Config{Addr: "127.0.0.1:0", Functions: []lambda.Function{plain("one")}})
	if err != nil {
		t.Fatal(err)
	}
	pid := invoke(t, h, "one", `{}`).PID
	cancel()
	eventually(t, "the process has ended", func() bool { return !exists(pid) })
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestReplace(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	idle := invoke(t, h, "one", `{}`).PID
	if err := h.Replace("one", os.Getenv(binaryVariable)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the idle process has ended", func() bool { return !exists(idle) })

	url, arrived := barrier(t, 2)
	busy := make(chan answer, 1)
	go func() {
		body, _, _ := h.Invoke(t.Context(), "one", []byte(meet(url)))
		busy <- parse(t, body)
	}()
	eventually(t, "the invocation runs", func() bool { return arrived() == 1 })
	if err := h.Replace("one", os.Getenv(binaryVariable)); err != nil {
		t.Fatal(err)
	}
	invoke(t, h, "other", meet(url))
	old := (<-busy).PID
	eventually(t, "the busy process has ended after its response", func() bool { return !exists(old) })
	var refused *lambda.Error
	if err := h.Replace("none", "x"); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("replace an unknown function: %v", err)
	}
}

func TestClose_NoProcessLeft(t *testing.T) {
	h := startWith(t, plain("one"), perTenant("tenants"))
	a := invoke(t, h, "one", `{"Do":"child"}`)
	url, arrived := barrier(t, 2)
	cut := make(chan error, 1)
	go func() {
		_, _, err := h.Invoke(context.Background(), "one", []byte(meet(url)))
		cut <- err
	}()
	eventually(t, "the second invocation runs", func() bool { return arrived() == 1 })
	if err := h.InvokeAsync(t.Context(), "tenants", "ann", []byte(`{"Do":"hang"}`)); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if exists(a.PID) {
		t.Errorf("the function's process %d still exists", a.PID)
	}
	eventually(t, "the function's child process has ended", func() bool { return !running(a.Child) })
	if err := <-cut; !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("the interrupted invocation: %v, want ErrClosed", err)
	}
	if _, _, err := h.Invoke(t.Context(), "one", nil); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("an invocation after Close: %v, want ErrClosed", err)
	}
	if err := h.InvokeAsync(t.Context(), "one", "", nil); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("an event after Close: %v, want ErrClosed", err)
	}
}

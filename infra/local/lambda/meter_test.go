package lambda_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// works collects what was billed.
type works struct {
	mu  sync.Mutex
	all []lambda.Work
}

func (w *works) ran(one lambda.Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, one)
}

func (w *works) list() []lambda.Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// size names an event for the meters in these tests.
func size(payload []byte) string {
	var e struct{ Size int }
	if json.Unmarshal(payload, &e) != nil || e.Size == 0 {
		return ""
	}
	return fmt.Sprint("size ", e.Size)
}

// While an invocation is at work, its environment's session token tells what it is about; before and after it tells
// the function only, and a stranger's tells nothing.
func TestWhoIsAtWork(t *testing.T) {
	f := plain("f")
	f.Env = map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Subject: size})
	session := ""
	for _, v := range invoke(t, h, "f", `{}`).Env {
		if token, ok := strings.CutPrefix(v, "AWS_SESSION_TOKEN="); ok {
			session = token
		}
	}
	var at [2]string
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { at[0], at[1] = h.At(session) }))
	defer server.Close()
	invoke(t, h, "f", fmt.Sprintf(`{"Do":"meet","URL":%q,"Size":7}`, server.URL))
	if at != [2]string{"f", "size 7"} {
		t.Errorf("at work was %q", at)
	}
	if at[0], at[1] = h.At(session); at != [2]string{"f", ""} {
		t.Errorf("after it, at work is %q", at)
	}
	if at[0], at[1] = h.At("somebody else"); at != [2]string{} {
		t.Errorf("with another token, at work is %q", at)
	}
}

// Each try that reached a process is billed once: its start with the first, and what died or failed like what answered.
func TestEachTryIsBilled(t *testing.T) {
	var w works
	f := plain("f")
	f.MaxRetries = 1
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Subject: size, Ran: w.ran, RetryDelays: []time.Duration{time.Millisecond}})
	invoke(t, h, "f", `{"Size":1}`)
	invoke(t, h, "f", `{"Size":2}`)
	if _, functionError, err := h.Invoke(t.Context(), "f", []byte(`{"Do":"exit","Size":3}`)); err != nil || functionError == "" {
		t.Fatalf("exit: %q, %v", functionError, err)
	}
	if err := h.InvokeAsync(t.Context(), "f", "", []byte(`{"Do":"fail","Size":4}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five tries were billed", func() bool { return len(w.list()) >= 5 })
	want := []string{"size 1", "size 2", "size 3", "size 4", "size 4"}
	for i, one := range w.list() {
		fresh := i == 0 || i == 3 // the third invocation ended the process
		if i >= len(want) || one.Subject != want[i] || one.Function != "f" || one.MemoryMB != 256 || one.Took <= 0 ||
			one.Event != (one.Subject == "size 4") || (one.Init > 0) != fresh {
			t.Errorf("billed %d: %+v", i, one)
		}
	}
}

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

// billed collects the billed invocations.
type billed struct {
	mu  sync.Mutex
	all []lambda.Work
}

func (w *billed) ran(entry lambda.Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, entry)
}

func (w *billed) list() []lambda.Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// sizeSubject is a Config.Subject for these tests: it returns the event's Size.
func sizeSubject(payload []byte) string {
	var e struct{ Size int }
	if json.Unmarshal(payload, &e) != nil || e.Size == 0 {
		return ""
	}
	return fmt.Sprint("size ", e.Size)
}

// During an invocation, the session token of the environment gives the function and the subject. Before and after it
// gives the function only. An unknown token gives nothing.
func TestServing(t *testing.T) {
	f := plain("f")
	f.Env = map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Subject: sizeSubject})
	session := ""
	for _, v := range invoke(t, h, "f", `{}`).Env {
		if token, ok := strings.CutPrefix(v, "AWS_SESSION_TOKEN="); ok {
			session = token
		}
	}
	var serving [2]string
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		serving[0], serving[1] = h.Serving(session)
	}))
	defer server.Close()
	invoke(t, h, "f", fmt.Sprintf(`{"Do":"meet","URL":%q,"Size":7}`, server.URL))
	if serving != [2]string{"f", "size 7"} {
		t.Errorf("during the invocation: %q", serving)
	}
	if serving[0], serving[1] = h.Serving(session); serving != [2]string{"f", ""} {
		t.Errorf("after the invocation: %q", serving)
	}
	if serving[0], serving[1] = h.Serving("another token"); serving != [2]string{} {
		t.Errorf("with another token: %q", serving)
	}
}

// Each attempt that reached a process is billed once, also if it failed. The first one includes the start of the
// process.
func TestRan_EachAttempt(t *testing.T) {
	var w billed
	f := plain("f")
	f.MaxRetries = 1
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Subject: sizeSubject, Ran: w.ran,
		RetryDelays: []time.Duration{time.Millisecond}})
	invoke(t, h, "f", `{"Size":1}`)
	invoke(t, h, "f", `{"Size":2}`)
	if _, functionError, err := h.Invoke(t.Context(), "f", []byte(`{"Do":"exit","Size":3}`)); err != nil ||
		functionError == "" {
		t.Fatalf("exit: %q, %v", functionError, err)
	}
	if err := h.InvokeAsync(t.Context(), "f", "", []byte(`{"Do":"fail","Size":4}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five attempts are billed", func() bool { return len(w.list()) >= 5 })
	want := []string{"size 1", "size 2", "size 3", "size 4", "size 4"}
	for i, one := range w.list() {
		fresh := i == 0 || i == 3 // the third invocation ends the process
		if i >= len(want) || one.Subject != want[i] || one.Function != "f" || one.MemoryMB != 256 || one.Took <= 0 ||
			one.Event != (one.Subject == "size 4") || (one.Init > 0) != fresh {
			t.Errorf("bill %d: %+v", i, one)
		}
	}
}

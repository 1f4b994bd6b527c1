package faults_test

import (
	"carrel/infra/testkit"

	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// death is when a user's worker is killed: at the record of the log that holds an event.
type death struct {
	at     chat.Seq // the event
	before bool     // the record is lost with the worker; otherwise it is written, and the worker gets no answer
	every  bool     // each attempt is killed at its first record

	killed chan struct{} // closed at the first kill
	when   time.Time     // of the last kill; this and the following fields are read after the run
	has    chat.Seq      // how many events the log had then
	kills  int
	fence  int64 // of the last worker that was killed
}

// killer is a proxy between a stack and its DynamoDB. When a worker writes a record, it kills the process, so that a
// worker can be killed exactly at each event.
type killer struct {
	url    string
	engine string
	client http.Client
	kill   func(user string) int // set before the first death; returns the number of processes

	mu     sync.Mutex
	deaths map[string]*death // by user
	errs   []error
}

func startKiller(t *testing.T) *killer {
	t.Helper()
	testkit.NeedEngine(t)
	engine, err := dynamodb.Start(t.Context(), dynamodb.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{engine: engine.URL(), deaths: map[string]*death{}}
	server := httptest.NewServer(k)
	k.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(k.errs...); err != nil {
			t.Errorf("kill workers: %v", err)
		}
	})
	return k
}

// setDeath makes the killer kill the user's worker.
func (k *killer) setDeath(user string, d *death) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaths[user] = d
}

// ServeHTTP forwards one request, or kills its sender.
func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		k.failed(err)
		return
	}
	record, d := k.due(r.Header.Get("X-Amz-Target"), body)
	if d != nil && d.before && k.strike(record, d, record.seq-1) {
		panic(http.ErrAbortHandler)
	}
	out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), http.MethodPost, k.engine+"/",
		bytes.NewReader(body))
	if err != nil {
		k.failed(err)
		return
	}
	out.Header = r.Header.Clone()
	answer, err := k.client.Do(out)
	if err != nil {
		k.failed(err)
		return
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		k.failed(err)
		return
	}
	if d != nil && !d.before && answer.StatusCode == http.StatusOK && k.strike(record, d, record.last()) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(got) // the sender may be dead
}

func (k *killer) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
	panic(http.ErrAbortHandler)
}

// written is a record of the log that is being written.
type written struct {
	user  string
	seq   chat.Seq
	count int
	fence int64
}

func (r written) last() chat.Seq { return r.seq + chat.Seq(r.count) - 1 }

// due returns the record of a request, and the death that is due with it.
func (k *killer) due(target string, body []byte) (written, *death) {
	_, operation, _ := strings.Cut(target, ".")
	if operation != "PutItem" && operation != "TransactWriteItems" {
		return written{}, nil
	}
	record, ok := recordIn(body)
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.deaths[record.user]
	switch {
	case !ok || d == nil:
		return record, nil
	case d.every && record.fence > d.fence, !d.every && d.kills == 0 && record.seq <= d.at && d.at <= record.last():
		return record, d
	}
	return record, nil
}

// recordIn returns the record of a log in the body of a write.
func recordIn(body []byte) (written, bool) {
	type item map[string]struct{ S, N string }
	var request struct {
		Item          item
		TransactItems []struct{ Put struct{ Item item } }
	}
	if json.Unmarshal(body, &request) != nil {
		return written{}, false // other items have attributes of other types
	}
	items := []item{request.Item}
	for _, t := range request.TransactItems {
		items = append(items, t.Put.Item)
	}
	for _, i := range items {
		parts := strings.Split(i["pk"].S, "#") // U#<user>#T#<thread>#<epoch>
		if !strings.HasPrefix(i["sk"].S, "E#") || len(parts) < 5 {
			continue
		}
		seq, err1 := strconv.ParseInt(i["s"].N, 10, 64)
		fence, err2 := strconv.ParseInt(i["f"].N, 10, 64)
		var events []agui.Event
		if errors.Join(err1, err2, json.Unmarshal([]byte(i["e"].S), &events)) == nil {
			return written{user: parts[1], seq: chat.Seq(seq), count: len(events), fence: fence}, true
		}
	}
	return written{}, false
}

// strike kills the user's worker and reports whether there was one. Sweep writes records too, and is not killed.
func (k *killer) strike(r written, d *death, has chat.Seq) bool {
	n := k.kill(r.user)
	k.mu.Lock()
	defer k.mu.Unlock()
	if n == 0 {
		return false
	}
	if d.kills++; d.kills == 1 {
		close(d.killed)
	}
	d.when, d.has, d.fence = time.Now(), has, r.fence
	return true
}

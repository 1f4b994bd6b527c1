package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// wire is a transport that counts requests by operation and, armed, does harm to the next ones.
type wire struct {
	next http.RoundTripper

	mu     sync.Mutex
	counts map[string]int
	body   []byte            // of the last request
	lose   map[string]int    // how many answers of an operation's writes that succeeded are lost
	refuse map[string]int    // how many requests of an operation are answered with a conflict
	before map[string]func() // called once, before an operation goes out
	lost   func()            // called after a loss
	forget map[string]bool   // the engine has forgotten an operation's client tokens, as it does after ten minutes
}

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper { w.next = next; return w }

// take counts n down; it reports whether there was something left.
func take(n map[string]int, op string) bool {
	n[op]--
	return n[op] >= 0
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.counts[op]++
	before := w.before[op]
	w.body = body
	delete(w.before, op)
	conflict, forget := take(w.refuse, op), w.forget[op]
	w.mu.Unlock()
	if before != nil {
		before()
	}
	if conflict {
		return conflicting(req, op), nil
	}
	if forget {
		body = regexp.MustCompile(`"ClientRequestToken":"[^"]*"`).ReplaceAll(body, []byte(`"ClientRequestToken":"`+rand.Text()+`"`))
		req.ContentLength = int64(len(body))
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	res, err := w.next.RoundTrip(req)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, err
	}
	w.mu.Lock()
	lost := take(w.lose, op)
	w.mu.Unlock()
	if lost && w.lost != nil {
		w.lost()
	}
	if lost {
		return nil, errors.Join(errors.New("the answer was lost"), res.Body.Close())
	}
	return res, nil
}

// conflicting is DynamoDB's answer where another transaction is at work on the item.
func conflicting(req *http.Request, op string) *http.Response {
	answer := map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "ongoing"}
	if op == "TransactWriteItems" {
		answer = map[string]any{
			"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "message": "cancelled",
			"CancellationReasons": []map[string]string{{"Code": "None"}, {"Code": "TransactionConflict"}},
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// cancelOnLoss is a context that ends when the wire has lost what it was to lose, before the SDK can repeat it.
func cancelOnLoss(t *testing.T, w *wire) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	w.lost = cancel
	return ctx, cancel
}

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

// wire is a transport that counts requests by operation, and applies faults to them if a test has set some.
type wire struct {
	next http.RoundTripper

	mu     sync.Mutex
	counts map[string]int
	body   []byte            // the body of the last request
	lose   map[string]int    // how many successful responses of an operation are lost
	refuse map[string]int    // how many requests of an operation fail with a conflict
	before map[string]func() // called once, before the next request of an operation
	lost   func()            // called after a loss
	// the requests of an operation get new client tokens, as if the engine had dropped them after ten minutes
	forget map[string]bool
}

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper { w.next = next; return w }

// take decrements the count of an operation and reports whether it was positive.
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
		before() // on a slow engine longer than the request's deadline, which is not what the test is about
		req = req.WithContext(context.WithoutCancel(req.Context()))
	}
	if conflict {
		return conflicting(req, op), nil
	}
	if forget {
		body = regexp.MustCompile(`"ClientRequestToken":"[^"]*"`).ReplaceAll(body,
			[]byte(`"ClientRequestToken":"`+rand.Text()+`"`))
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
		return nil, errors.Join(errors.New("the response was lost"), res.Body.Close())
	}
	return res, nil
}

// conflicting returns DynamoDB's response to a conflict with another transaction on the item.
func conflicting(req *http.Request, op string) *http.Response {
	answer := map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
		"message": "ongoing"}
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

// cancelOnLoss returns a context that ends when the wire has lost a response, before the SDK can retry.
func cancelOnLoss(t *testing.T, w *wire) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	w.lost = cancel
	return ctx, cancel
}

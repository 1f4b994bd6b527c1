package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// skew changes the response to the next batch read, as DynamoDB may, because a batch read is not a snapshot. The
// response has the threads from before a change, and all other items from after it.
type skew struct {
	next   http.RoundTripper
	change func()
}

// batch is the response to a batch read.
type batch struct {
	Responses       map[string][]map[string]map[string]any
	UnprocessedKeys map[string]any
}

func (s *skew) RoundTrip(req *http.Request) (*http.Response, error) {
	change := s.change
	if change == nil || !strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".BatchGetItem") {
		return s.next.RoundTrip(req)
	}
	s.change = nil
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	send := func() (b batch, res *http.Response, err error) {
		copied := req.Clone(req.Context())
		copied.Body = io.NopCloser(bytes.NewReader(body))
		if res, err = s.next.RoundTrip(copied); err != nil {
			return b, nil, err
		}
		err = errors.Join(json.NewDecoder(res.Body).Decode(&b), res.Body.Close())
		return b, res, err
	}
	before, _, err := send()
	if err != nil {
		return nil, err
	}
	change()
	after, res, err := send()
	if err != nil {
		return nil, err
	}
	for table := range after.Responses {
		after.Responses[table] = append(only(before.Responses[table], true), only(after.Responses[table], false)...)
	}
	mixed, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(mixed)), int64(len(mixed))
	res.Header.Del("Content-Length")
	res.Header.Del("X-Amz-Crc32")
	return res, nil
}

// only returns the threads among items, or all other items.
func only(items []map[string]map[string]any, threads bool) (some []map[string]map[string]any) {
	for _, i := range items {
		if sk, _ := i["sk"]["S"].(string); strings.HasPrefix(sk, "THREAD#") == threads {
			some = append(some, i)
		}
	}
	return some
}

// If a batch read returns a thread from before a change and the run queue from after it, the version of the queue does
// not show the change. The condition on the thread must reject the admission.
func TestAdmit_ThreadReadBeforeQueue(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		withChange := func(s *scene, change func()) *store.Store {
			k := &skew{change: func() { change(); s.Clock.Advance(time.Second) }}
			return storetest.As(t,
				s.With(o.client(func(next http.RoundTripper) http.RoundTripper { k.next = next; return k })), "alice")
		}
		rejected := func(t *testing.T, err error, open int) {
			t.Helper()
			var e *store.InterruptedError
			if !errors.As(err, &e) || len(e.Open) != open {
				t.Errorf("error %v, want an InterruptedError with %d open interrupts", err, open)
			}
		}
		t.Run("another run responds", func(t *testing.T) {
			s := newScene(t, o)
			s.interrupt()
			skewed := withChange(s, func() {
				if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
					t.Error(err)
				}
			})
			_, err := skewed.Admit(t.Context(), storetest.Answering("r3", "t1", "q1"))
			rejected(t, err, 0)
		})
		t.Run("a run ends with an interrupt", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			skewed := withChange(s, func() { s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")) })
			_, err := skewed.Admit(t.Context(), storetest.Asked("r2", "t1"))
			rejected(t, err, 1)
		})
		t.Run("another run responds and interrupts again", func(t *testing.T) {
			s := newScene(t, o)
			s.interrupt()
			skewed := withChange(s, func() {
				if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
					t.Error(err)
				}
				h := s.Claim(s.good, "r2")
				s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q2"))
			})
			_, err := skewed.Admit(t.Context(), storetest.Answering("r3", "t1", "q1"))
			rejected(t, err, 1)
		})
		t.Run("the thread is deleted", func(t *testing.T) {
			s := newScene(t, o)
			s.Complete(s.good, "r1", "t1", "x")
			skewed := withChange(s, func() { s.DeleteThread(s.good, "t1") })
			if a, err := skewed.Admit(t.Context(), storetest.Asked("r2", "t1")); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("admitted: %+v, %v", a, err)
			}
		})
	})
}

// No run is admitted or started if the erasure of the user begins between the read and the write.
func TestAdmit_ErasureBegins(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		h := s.Begin(s.good, "r1", "t1")
		s.Admit(s.good, "r2", "t1")
		s.wire.before[transact] = s.beginErasure
		if a, err := s.bad.Admit(t.Context(), storetest.Asked("r3", "t1")); !errors.Is(err, chat.ErrErasing) {
			t.Errorf("admitted: %+v, %v", a, err)
		}
		s.endErasure()
		s.End(h, storetest.Started(h), storetest.Finished(h))
		s.wire.before[transact] = s.beginErasure
		if got, err := s.bad.StartQueued(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("started: %+v, %v", got, err)
		}
	})
}

// beginErasure marks the run queue of a user as being erased. endErasure removes the mark.
func (s *scene) beginErasure() {
	s.mark("SET erasing = :true",
		map[string]types.AttributeValue{":true": &types.AttributeValueMemberBOOL{Value: true}})
}
func (s *scene) endErasure() { s.mark("REMOVE erasing", nil) }

func (s *scene) mark(change string, values map[string]types.AttributeValue) {
	_, err := s.DB.UpdateItem(s.T.Context(), &dynamodb.UpdateItemInput{
		TableName: &s.Name, Key: row("U#alice", "QUEUE"), UpdateExpression: &change, ExpressionAttributeValues: values,
	})
	if err != nil {
		s.T.Error(err)
	}
}

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

// skew answers the next batch read as DynamoDB may, whose batch is not one moment: the threads as they were before
// something happened, the rest as it was after that.
type skew struct {
	next    http.RoundTripper
	happens func()
}

// batch is the answer to a batch read.
type batch struct {
	Responses       map[string][]map[string]map[string]any
	UnprocessedKeys map[string]any
}

func (s *skew) RoundTrip(req *http.Request) (*http.Response, error) {
	happens := s.happens
	if happens == nil || !strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".BatchGetItem") {
		return s.next.RoundTrip(req)
	}
	s.happens = nil
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	ask := func() (b batch, res *http.Response, err error) {
		again := req.Clone(req.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		if res, err = s.next.RoundTrip(again); err != nil {
			return b, nil, err
		}
		err = errors.Join(json.NewDecoder(res.Body).Decode(&b), res.Body.Close())
		return b, res, err
	}
	was, _, err := ask()
	if err != nil {
		return nil, err
	}
	happens()
	is, res, err := ask()
	if err != nil {
		return nil, err
	}
	for table := range is.Responses {
		is.Responses[table] = append(only(was.Responses[table], true), only(is.Responses[table], false)...)
	}
	mixed, err := json.Marshal(is)
	if err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(mixed)), int64(len(mixed))
	res.Header.Del("Content-Length")
	res.Header.Del("X-Amz-Crc32")
	return res, nil
}

// only are the threads among items, or all others.
func only(items []map[string]map[string]any, threads bool) (some []map[string]map[string]any) {
	for _, i := range items {
		if sk, _ := i["sk"]["S"].(string); strings.HasPrefix(sk, "THREAD#") == threads {
			some = append(some, i)
		}
	}
	return some
}

// TestAThreadIsReadBeforeItsDesk: the desk's version does not tell then that the thread has changed, the thread's own
// condition does.
func TestAThreadIsReadBeforeItsDesk(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		door := func(s *scene, happens func()) *store.Store {
			k := &skew{happens: func() { happens(); s.Clock.Advance(time.Second) }}
			return storetest.As(t, s.With(o.client(func(next http.RoundTripper) http.RoundTripper { k.next = next; return k })), "alice")
		}
		refused := func(t *testing.T, err error, open int) {
			t.Helper()
			var e *store.InterruptedError
			if !errors.As(err, &e) || len(e.Open) != open {
				t.Errorf("%v, want an interrupted one with %d questions", err, open)
			}
		}
		t.Run("another answers", func(t *testing.T) {
			s := newScene(t, o)
			s.asking()
			skewed := door(s, func() {
				if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
					t.Error(err)
				}
			})
			_, err := skewed.Admit(t.Context(), storetest.Answering("r3", "t1", "q1"))
			refused(t, err, 0)
		})
		t.Run("a run ends with a question", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			skewed := door(s, func() { s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")) })
			_, err := skewed.Admit(t.Context(), storetest.Asked("r2", "t1"))
			refused(t, err, 1)
		})
		t.Run("another answers, and that run asks again", func(t *testing.T) {
			s := newScene(t, o)
			s.asking()
			skewed := door(s, func() {
				if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
					t.Error(err)
				}
				h := s.Claim(s.good, "r2")
				s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q2"))
			})
			_, err := skewed.Admit(t.Context(), storetest.Answering("r3", "t1", "q1"))
			refused(t, err, 1)
		})
		t.Run("it is deleted", func(t *testing.T) {
			s := newScene(t, o)
			s.Complete(s.good, "r1", "t1", "x")
			skewed := door(s, func() { s.DeleteThread(s.good, "t1") })
			if a, err := skewed.Admit(t.Context(), storetest.Asked("r2", "t1")); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("admitted: %+v, %v", a, err)
			}
		})
	})
}

// TestClosingMeanwhile: nothing is admitted or started for a user who is being erased since it was looked at.
func TestClosingMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		h := s.Begin(s.good, "r1", "t1")
		s.Admit(s.good, "r2", "t1")
		s.wire.before[transact] = s.closing
		if a, err := s.bad.Admit(t.Context(), storetest.Asked("r3", "t1")); !errors.Is(err, chat.ErrClosed) {
			t.Errorf("admitted: %+v, %v", a, err)
		}
		s.open()
		s.End(h, storetest.Started(h), storetest.Finished(h))
		s.wire.before[transact] = s.closing
		if got, err := s.bad.StartQueued(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("started: %+v, %v", got, err)
		}
	})
}

// closing marks the desk of a user who is being erased, and open takes the mark off.
func (s *scene) closing() {
	s.mark("SET erasing = :true", map[string]types.AttributeValue{":true": &types.AttributeValueMemberBOOL{Value: true}})
}
func (s *scene) open() { s.mark("REMOVE erasing", nil) }

func (s *scene) mark(change string, values map[string]types.AttributeValue) {
	_, err := s.DB.UpdateItem(s.T.Context(), &dynamodb.UpdateItemInput{
		TableName: &s.Name, Key: row("U#alice", "QUEUE"), UpdateExpression: &change, ExpressionAttributeValues: values,
	})
	if err != nil {
		s.T.Error(err)
	}
}

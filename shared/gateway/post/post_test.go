package post_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/gateway/post"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// call is one request that reached the fake API.
type call struct{ method, path, body string }

// fakeAPI answers every request with status and, if not "", an error type.
func fakeAPI(t *testing.T, status int, errorType string) (stage string, calls *[]call) {
	t.Helper()
	calls = &[]call{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*calls = append(*calls, call{r.Method, r.URL.EscapedPath(), string(body)})
		if errorType != "" {
			w.Header().Set("X-Amzn-ErrorType", errorType)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1", calls
}

func environment(name string) string {
	return map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id",
		"AWS_SECRET_ACCESS_KEY": "secret"}[name]
}

func newPoster(t *testing.T, stage string) *post.Poster {
	t.Helper()
	c, err := awsenv.Config(environment)
	if err != nil {
		t.Fatal(err)
	}
	c.RetryMaxAttempts = 1
	return post.New(c, stage)
}

// taker keeps the message that it is asked to post.
type taker struct{ message lasthop.Message }

func (p *taker) Post(_ context.Context, m lasthop.Message) error {
	p.message = m
	return nil
}

func (p *taker) Close(context.Context, chat.ConnectionID) error { return nil }

// message returns a message that may be posted to a connection.
func message(t *testing.T, id chat.ConnectionID) lasthop.Message {
	t.Helper()
	p := &taker{}
	if err := lasthop.End(t.Context(), p,
		map[chat.ConnectionID]*wire.Error{id: {Code: wire.CodeReplaced}}); err != nil {
		t.Fatal(err)
	}
	return p.message
}

func TestPost_EscapedConnection(t *testing.T) {
	stage, calls := fakeAPI(t, 200, "")
	m := message(t, "a/b=")
	if err := newPoster(t, stage).Post(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	c := (*calls)[0]
	if c.method != "POST" || c.path != "/v1/@connections/a%2Fb%3D" && c.path != "/v1/%40connections/a%2Fb%3D" ||
		!strings.Contains(c.body, string(wire.CodeReplaced)) || c.body != string(m.Body()) {
		t.Errorf("request %+v", c)
	}
}

func TestPost_ZeroMessage(t *testing.T) {
	stage, calls := fakeAPI(t, 200, "")
	if err := newPoster(t, stage).Post(t.Context(), lasthop.Message{}); err == nil || len(*calls) > 0 {
		t.Errorf("error %v, %d requests", err, len(*calls))
	}
}

func TestPost_GoneAndSlow(t *testing.T) {
	for _, c := range []struct {
		status    int
		errorType string
		want      error
	}{
		{410, "GoneException", chat.ErrGone},
		{410, "", chat.ErrGone}, // the type may be missing
		{429, "LimitExceededException", chat.ErrSlow},
		{429, "", chat.ErrSlow},
	} {
		stage, _ := fakeAPI(t, c.status, c.errorType)
		if err := newPoster(t, stage).Post(t.Context(), message(t, "c=")); !errors.Is(err, c.want) {
			t.Errorf("%d %q: error %v, want %v", c.status, c.errorType, err, c.want)
		}
	}
	stage, _ := fakeAPI(t, 403, "ForbiddenException")
	if err := newPoster(t, stage).Post(t.Context(), message(t, "c=")); err == nil || errors.Is(err, chat.ErrGone) ||
		errors.Is(err, chat.ErrSlow) {
		t.Errorf("403: error %v, want neither ErrGone nor ErrSlow", err)
	}
}

// The SDK retries transport failures, and leaves the retry of throttled posts to the caller.
func TestPost_SDKRetries(t *testing.T) {
	c, err := awsenv.Config(environment)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]int{429: 1, 410: 1, 500: 3, 503: 3} {
		stage, calls := fakeAPI(t, status, map[int]string{429: "LimitExceededException"}[status])
		start := time.Now()
		if err := post.New(c, stage).Post(t.Context(), message(t, "c=")); err == nil || len(*calls) != want {
			t.Errorf("%d: %d requests, want %d; error %v", status, len(*calls), want, err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("%d: it took %v", status, took)
		}
	}
}

func TestClose_GoneConnection(t *testing.T) {
	stage, calls := fakeAPI(t, 410, "GoneException")
	if err := newPoster(t, stage).Close(t.Context(), "c="); err != nil || (*calls)[0].method != "DELETE" {
		t.Errorf("error %v, request %+v", err, *calls)
	}
}

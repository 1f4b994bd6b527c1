package secret_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/shared/model/internal/secret"
)

const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:models-AbCdEf"

// service is a fake of Secrets Manager.
type service struct {
	*httptest.Server
	status int
	body   string
	seen   []*http.Request
}

func newService(t *testing.T) *service {
	s := &service{status: 200, body: `{"SecretString":"{\"openai\":\"key-1\"}"}`}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"SecretId":"`+arn+`"}` {
			t.Errorf("the body is %s: %v", body, err)
		}
		s.seen = append(s.seen, r)
		w.WriteHeader(s.status)
		if _, err := io.WriteString(w, s.body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, url string, now func() time.Time) *secret.Secret {
	t.Helper()
	s, err := secret.New(aws.Config{HTTPClient: &http.Client{}, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "session")}, arn, url, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKey(t *testing.T) {
	svc, at := newService(t), time.Unix(1_800_000_000, 0)
	s := open(t, svc.URL, func() time.Time { return at })
	read := func(fresh bool, requests int) {
		t.Helper()
		key, err := s.Key(t.Context(), "openai", fresh)
		if err != nil || key != "key-1" || len(svc.seen) != requests {
			t.Fatalf("got %q, error %v after %d requests, want %d", key, err, len(svc.seen), requests)
		}
	}
	read(false, 1)
	read(false, 1)
	at = at.Add(time.Second)
	read(true, 1) // many runs share a refused key
	at = at.Add(time.Minute)
	read(true, 2)
	at = at.Add(6 * time.Minute)
	read(false, 3)
	r := svc.seen[0]
	if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "/eu-central-1/secretsmanager/aws4_request") ||
		r.Header.Get("X-Amz-Security-Token") != "session" ||
		r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
		t.Errorf("the request's headers are %v", r.Header)
	}
}

func TestKey_Failures(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"no permission": {400, `{"__type":"AccessDeniedException","message":"no: sk-hidden"}`,
			"AccessDeniedException"},
		"no such secret": {400, `{"__type":"com.amazonaws#ResourceNotFoundException"}`, "status 400 ResourceNotFound"},
		"not JSON":       {200, `{"SecretString":"sk-hidden"}`, "must be a JSON object"},
		"no such key":    {200, `{"SecretString":"{\"other\":\"sk-hidden\"}"}`, `has no text "openai"`},
	} {
		svc := newService(t)
		svc.status, svc.body = c.status, c.body
		_, err := open(t, svc.URL, time.Now).Key(t.Context(), "openai", false)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: error %v, want %q and no part of the secret", name, err, c.want)
		}
	}
}

func TestNew_WrongARN(t *testing.T) {
	if _, err := secret.New(aws.Config{}, "models", "", time.Now); err == nil {
		t.Error("no error")
	}
}

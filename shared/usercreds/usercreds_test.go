package usercreds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/usercreds"
)

// fakeAWS is an HTTP client that responds like STS and DynamoDB, and records the requests.
type fakeAWS struct {
	mu       sync.Mutex
	stsUp    bool
	stsHangs bool
	lifetime time.Duration // of the credentials that STS returns
	assumed  []string      // the parameters of each request to STS
	signed   []string      // the access key id of each request to DynamoDB
}

func (w *fakeAWS) Do(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	if r.Header.Get("X-Amz-Target") != "" {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		id, _, _ := strings.Cut(rest, "/")
		w.signed = append(w.signed, id)
		return answer(200, `{}`)
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	f := r.PostForm
	w.assumed = append(w.assumed, strings.Join([]string{f.Get("RoleArn"), f.Get("RoleSessionName"),
		f.Get("DurationSeconds"),
		f.Get("Tags.member.1.Key") + "=" + f.Get("Tags.member.1.Value"), f.Get("Tags.member.2.Key")}, " "))
	if w.stsHangs {
		w.mu.Unlock()
		limited, cancel := context.WithTimeout(r.Context(), 10*time.Second) // the request timeout of awsenv's client
		defer cancel()
		<-limited.Done()
		w.mu.Lock()
		return nil, limited.Err()
	}
	if !w.stsUp {
		return answer(403,
			`<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
	}
	return answer(200,
		fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>of-%s</AccessKeyId>`+
			`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration>`+
			`</Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			f.Get("Tags.member.1.Value"), time.Now().Add(w.lifetime).UTC().Format(time.RFC3339)))
}

func tables(w *fakeAWS) *usercreds.Tables {
	return usercreds.New(aws.Config{Region: "us-east-1", HTTPClient: w,
		Credentials: credentials.NewStaticCredentialsProvider("function", "s", "")},
		"arn:aws:iam::000000000000:role/user", store.Config{Name: "t"})
}

// read makes one request to the table for a user.
func read(t *testing.T, ts *usercreds.Tables, subject string) error {
	t.Helper()
	s, err := ts.For(chattest.User(t, subject))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Notes(t.Context())
	return err
}

// The requests of each user are signed with that user's credentials, which are obtained once.
func TestTables_CredentialsPerUser(t *testing.T) {
	w := &fakeAWS{stsUp: true, lifetime: 15 * time.Minute}
	ts := tables(w)
	for range 3 {
		for _, who := range []string{"bob", "a|b"} {
			if err := read(t, ts, who); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := fmt.Sprint(w.signed); got != "[of-bob of-a=7Cb of-bob of-a=7Cb of-bob of-a=7Cb]" {
		t.Errorf("signed %s", got)
	}
	if len(w.assumed) != 2 {
		t.Fatalf("requests to STS: %q, want 2", w.assumed)
	}
	for n, who := range []string{"bob", "a|b"} {
		u := chattest.User(t, who)
		if want := "arn:aws:iam::000000000000:role/user user-" + u.Hash() + " 900 user=" + u.Key() +
			" "; w.assumed[n] != want {
			t.Errorf("request to STS %q, want %q", w.assumed[n], want)
		}
	}
	if _, err := ts.For(chat.User{}); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("the zero user: %v", err)
	}
}

// Credentials are renewed before they expire. If STS refuses the renewal, valid credentials remain in use. Expired ones
// do not.
func TestTables_Renewal(t *testing.T) {
	for _, c := range []struct {
		lifetime time.Duration
		assumed  int  // the number of requests to STS for three requests to the table, after which STS refuses
		good     bool // a fourth request succeeds
	}{
		{15 * time.Minute, 1, true}, {4 * time.Minute, 3, true}, {10 * time.Second, 3, false},
	} {
		w := &fakeAWS{stsUp: true, lifetime: c.lifetime}
		ts := tables(w)
		for range 3 {
			if err := read(t, ts, "bob"); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.assumed) != c.assumed {
			t.Errorf("lifetime %s: %d requests to STS, want %d", c.lifetime, len(w.assumed), c.assumed)
		}
		w.stsUp = false
		if err := read(t, ts, "bob"); (err == nil) != c.good || err != nil &&
			!strings.Contains(err.Error(), "obtain credentials for a user") {
			t.Errorf("lifetime %s, and STS refuses: %v", c.lifetime, err)
		}
	}
	w := &fakeAWS{}
	if err := read(t, tables(w), "bob"); err == nil || len(w.signed) > 0 {
		t.Errorf("STS refuses the first request: error %v, requests of %v; want an error, no request", err, w.signed)
	}
}

// While credentials are valid, a request waits for an STS that hangs only for a time that a run's lease allows. The
// next request does not wait again.
func TestTables_HangingSTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeAWS{stsUp: true, lifetime: 15 * time.Minute}
		ts := tables(w)
		if err := read(t, ts, "bob"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		w.stsHangs = true
		for n, limit := range []time.Duration{3 * time.Second, 0} {
			before := time.Now()
			if err := read(t, ts, "bob"); err != nil || time.Since(before) >= limit && limit > 0 || limit == 0 &&
				time.Since(before) > 0 {
				t.Errorf("request %d, with credentials valid for 4 more minutes, took %v: %v", n+1, time.Since(before),
					err)
			}
		}
		time.Sleep(4 * time.Minute)
		if err := read(t, ts, "bob"); err == nil {
			t.Error("a request was made with expired credentials")
		}
		time.Sleep(time.Minute) // for goroutines that still wait for STS
	})
}

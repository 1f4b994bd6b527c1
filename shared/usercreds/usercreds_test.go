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

// world answers for STS and DynamoDB, and notes what was asked.
type world struct {
	mu     sync.Mutex
	stsUp  bool
	hangs  bool // STS does
	lasts  time.Duration
	asked  []string // of STS: the tag and the session's name
	signed []string // of DynamoDB: whose credentials, by access key id
}

func (w *world) Do(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
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
	w.asked = append(w.asked, strings.Join([]string{f.Get("RoleArn"), f.Get("RoleSessionName"), f.Get("DurationSeconds"),
		f.Get("Tags.member.1.Key") + "=" + f.Get("Tags.member.1.Value"), f.Get("Tags.member.2.Key")}, " "))
	if w.hangs {
		w.mu.Unlock()
		given, cancel := context.WithTimeout(r.Context(), 10*time.Second) // what awsenv's client gives a request
		defer cancel()
		<-given.Done()
		w.mu.Lock()
		return nil, given.Err()
	}
	if !w.stsUp {
		return answer(403, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
	}
	return answer(200, fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>of-%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
		`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		f.Get("Tags.member.1.Value"), time.Now().Add(w.lasts).UTC().Format(time.RFC3339)))
}

func tables(w *world) *usercreds.Tables {
	return usercreds.New(aws.Config{Region: "us-east-1", HTTPClient: w, Credentials: credentials.NewStaticCredentialsProvider("function", "s", "")},
		"arn:aws:iam::000000000000:role/user", store.Config{Name: "t"})
}

// read makes one request for a user.
func read(t *testing.T, ts *usercreds.Tables, subject string) error {
	t.Helper()
	s, err := ts.For(chattest.User(t, subject))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Notes(t.Context())
	return err
}

// Each user's requests are signed with credentials of their own, which are asked for once.
func TestOneUsersCredentials(t *testing.T) {
	w := &world{stsUp: true, lasts: 15 * time.Minute}
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
	if len(w.asked) != 2 {
		t.Fatalf("STS was asked %q", w.asked)
	}
	for n, who := range []string{"bob", "a|b"} {
		u := chattest.User(t, who)
		if want := "arn:aws:iam::000000000000:role/user user-" + u.Hash() + " 900 user=" + u.Key() + " "; w.asked[n] != want {
			t.Errorf("asked %q, want %q", w.asked[n], want)
		}
	}
	if _, err := ts.For(chat.User{}); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("the zero user: %v", err)
	}
}

// Credentials are renewed early. Should STS refuse then, those that are still good go on; others do not.
func TestRenewal(t *testing.T) {
	for _, c := range []struct {
		lasts time.Duration
		again int // how often STS is asked for three requests, after which it refuses
		good  bool
	}{
		{15 * time.Minute, 1, true}, {4 * time.Minute, 3, true}, {10 * time.Second, 3, false},
	} {
		w := &world{stsUp: true, lasts: c.lasts}
		ts := tables(w)
		for range 3 {
			if err := read(t, ts, "bob"); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.asked) != c.again {
			t.Errorf("lasting %s: STS was asked %d times, want %d", c.lasts, len(w.asked), c.again)
		}
		w.stsUp = false
		if err := read(t, ts, "bob"); (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "act for a user") {
			t.Errorf("lasting %s, when STS refuses: %v", c.lasts, err)
		}
	}
	w := &world{}
	if err := read(t, tables(w), "bob"); err == nil || len(w.signed) > 0 {
		t.Errorf("a first time that STS refuses: %v, and requests of %v: the function's own credentials must not stand in", err, w.signed)
	}
}

// While credentials are good a request waits for an STS that hangs no longer than a run's lease can bear, and not each time.
func TestAnSTSThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{stsUp: true, lasts: 15 * time.Minute}
		ts := tables(w)
		if err := read(t, ts, "bob"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		w.hangs = true
		for n, most := range []time.Duration{3 * time.Second, 0} {
			before := time.Now()
			if err := read(t, ts, "bob"); err != nil || time.Since(before) >= most && most > 0 || most == 0 && time.Since(before) > 0 {
				t.Errorf("request %d, with credentials for 4 minutes more, took %v: %v", n+1, time.Since(before), err)
			}
		}
		time.Sleep(4 * time.Minute)
		if err := read(t, ts, "bob"); err == nil {
			t.Error("with credentials that are over a request was made")
		}
		time.Sleep(time.Minute) // for what still waits for STS
	})
}

package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"carrel/infra/local/sigv4"
)

const body = `{"TableName":"T"}`

func secrets(id string) (string, bool) { return "secret", id == "KEY" }

// signed returns a request, as a server receives it, that was signed by a key for a service at a time.
func signed(t testing.TB, key, secret, service string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1/a%20b?x=1",
		strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
	sum := sha256.Sum256([]byte(body))
	c := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret, SessionToken: "token"}
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), service, "us-east-1",
		at); err != nil {
		t.Fatal(err)
	}
	r.RequestURI = "/a%20b?x=1"
	return r
}

func TestVerify(t *testing.T) {
	now := time.Now()
	valid := func() *http.Request { return signed(t, "KEY", "secret", "dynamodb", now) }
	with := func(name, value string) *http.Request {
		r := valid()
		r.Header.Set(name, value)
		return r
	}
	uri := valid()
	uri.RequestURI = "/a%20b?x=2"
	host := valid()
	host.Host = "evil.example"
	for name, c := range map[string]struct {
		r    *http.Request
		body string
		want error
	}{
		"valid":           {valid(), body, nil},
		"another body":    {valid(), body + " ", sigv4.ErrInvalid},
		"another action":  {with("X-Amz-Target", "DynamoDB_20120810.PutItem"), body, sigv4.ErrInvalid},
		"another token":   {with("X-Amz-Security-Token", "other"), body, sigv4.ErrInvalid},
		"another query":   {uri, body, sigv4.ErrInvalid},
		"another host":    {host, body, sigv4.ErrInvalid},
		"wrong secret":    {signed(t, "KEY", "guess", "dynamodb", now), body, sigv4.ErrInvalid},
		"unknown key":     {signed(t, "OTHER", "secret", "dynamodb", now), body, sigv4.ErrUnknown},
		"another service": {signed(t, "KEY", "secret", "sts", now), body, sigv4.ErrInvalid},
		"old":             {signed(t, "KEY", "secret", "dynamodb", now.Add(-6*time.Minute)), body, sigv4.ErrInvalid},
		"not signed":      {with("Authorization", ""), body, sigv4.ErrMissing},
		"no signature": {with("Authorization",
			"AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host"), body,
			sigv4.ErrMissing},
		"basic": {with("Authorization", "Basic a2V5OnNlY3JldA=="), body, sigv4.ErrMissing},
	} {
		if err := sigv4.New("dynamodb", "", secrets).Verify(c.r, []byte(c.body)); !errors.Is(err, c.want) ||
			(c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := sigv4.New("dynamodb", "eu-central-1", secrets).Verify(valid(), []byte(body)); !errors.Is(err,
		sigv4.ErrInvalid) {
		t.Errorf("another Region: %v", err)
	}
	if err := sigv4.New("dynamodb", "", nil).Verify(signed(t, "ANY", "guess", "dynamodb", now), nil); err != nil {
		t.Errorf("without secrets: %v", err)
	}
}

// TestVerify_SDK compares the verifier with the SDK's signer on random requests: a valid signature is accepted, and one
// for another request is not.
func TestVerify_SDK(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SEED=%d repeats this test", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	text := func(from string, most int) string {
		b := make([]byte, random.IntN(most))
		for i := range b {
			b[i] = from[random.IntN(len(from))]
		}
		return string(b)
	}
	const any = "aZ09 -._~/%+=&;:@!$'()*,?#<>\"\\^`{|}\xc3\xa9"
	v := sigv4.New("execute-api", "", secrets)
	for n := range 2000 {
		query := url.Values{}
		for range random.IntN(4) {
			query.Add(text("ab c+", 3), text(any, 8))
		}
		body := text(any, 40)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:80/stage/"+
			url.PathEscape(text(any, 12)), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.RawQuery = query.Encode()
		r.Header["X-Amz-Meta"] = []string{text("a  b", 9), text("c  ", 5)}
		r.Header.Set("Content-Type", text("  x y ", 9))
		hash := sha256.Sum256([]byte(body))
		key := aws.Credentials{AccessKeyID: "KEY", SecretAccessKey: "secret", SessionToken: text("token", 9)}
		if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(hash[:]), "execute-api",
			"eu-central-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		r.RequestURI = r.URL.RequestURI()
		if err := v.Verify(r, []byte(body)); err != nil {
			t.Fatalf("request %d, %q with the headers %q and the body %q: %v", n, r.RequestURI, r.Header, body, err)
		}
		if err := v.Verify(r, []byte(body+"x")); !errors.Is(err, sigv4.ErrInvalid) {
			t.Fatalf("request %d with another body: %v", n, err)
		}
		r.RequestURI += "x"
		if err := v.Verify(r, []byte(body)); !errors.Is(err, sigv4.ErrInvalid) {
			t.Fatalf("request %d with another path or query: %v", n, err)
		}
	}
}

// TestVerify_Uncovered sends valid signatures that do not cover a header which the local stack reads.
func TestVerify_Uncovered(t *testing.T) {
	for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Target", "X-Amz-Tenant-Id"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1/",
			strings.NewReader(body))
		hash := sha256.Sum256([]byte(body))
		key := aws.Credentials{AccessKeyID: "KEY", SecretAccessKey: "secret"}
		if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(hash[:]), "dynamodb", "us-east-1",
			time.Now()); err != nil {
			t.Fatal(err)
		}
		r.RequestURI = "/"
		v := sigv4.New("dynamodb", "", secrets)
		if err := v.Verify(r, []byte(body)); err != nil {
			t.Fatal(err)
		}
		r.Header.Set(name, "added by another")
		if err := v.Verify(r, []byte(body)); !errors.Is(err, sigv4.ErrInvalid) {
			t.Errorf("%s is not signed: %v", name, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v, r := sigv4.New("dynamodb", "", secrets), signed(b, "KEY", "secret", "dynamodb", time.Now())
	for b.Loop() {
		if err := v.Verify(r, []byte(body)); err != nil {
			b.Fatal(err)
		}
	}
}

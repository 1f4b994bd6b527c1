package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
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

func BenchmarkVerify(b *testing.B) {
	v, r := sigv4.New("dynamodb", "", secrets), signed(b, "KEY", "secret", "dynamodb", time.Now())
	for b.Loop() {
		if err := v.Verify(r, []byte(body)); err != nil {
			b.Fatal(err)
		}
	}
}

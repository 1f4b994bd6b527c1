package apigateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"carrel/infra/local/apigateway"
)

func TestSignature_Required(t *testing.T) {
	g, conn, id := connected(t, nil)
	call := func(change func(*apigatewaymanagementapi.Options)) error {
		_, err := management(g, "AKIA1").PostToConnection(t.Context(),
			&apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("x")}, change)
		return err
	}
	as := func(key, secret, session string) func(*apigatewaymanagementapi.Options) {
		return func(o *apigatewaymanagementapi.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(key, secret, session)
		}
	}
	if err := call(as("AKIA2", "secret-of-AKIA2", "session token")); err != nil {
		t.Errorf("credentials with a session token: %v", err)
	}
	read(t, conn)
	for name, change := range map[string]func(*apigatewaymanagementapi.Options){
		"unknown key":  as("NOBODY", "secret-of-NOBODY", ""),
		"wrong secret": as("AKIA1", "guess", ""),
		"not signed": func(o *apigatewaymanagementapi.Options) {
			o.HTTPClient = forger{o.HTTPClient, "authorization"}
		},
		"another region": func(o *apigatewaymanagementapi.Options) { o.Region = "us-east-1" },
		"changed body":   func(o *apigatewaymanagementapi.Options) { o.HTTPClient = forger{o.HTTPClient, "body"} },
		"changed path":   func(o *apigatewaymanagementapi.Options) { o.HTTPClient = forger{o.HTTPClient, "path"} },
		"old signature":  func(o *apigatewaymanagementapi.Options) { o.HTTPClient = forger{o.HTTPClient, "date"} },
	} {
		err := call(change)
		if _, ok := errors.AsType[*types.ForbiddenException](err); !ok || status(err) != 403 {
			t.Errorf("%s: %v, want ForbiddenException", name, err)
		}
	}
	if err := call(as("AKIA1", "secret-of-AKIA1", "")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); got != "x" {
		t.Errorf("a rejected post arrived: %q", got)
	}
}

// forger is an HTTP client that changes one part of a request after it was signed.
type forger struct {
	apigatewaymanagementapi.HTTPClient
	what string
}

func (f forger) Do(r *http.Request) (*http.Response, error) {
	switch f.what {
	case "body":
		r.ContentLength = 1
		r.Body = readOnce("y")
	case "authorization":
		r.Header.Del("Authorization")
	case "path":
		r.URL.RawQuery = "x=1"
	case "date":
		r.Header.Set("X-Amz-Date", time.Now().Add(-time.Hour).UTC().Format("20060102T150405Z"))
	}
	return f.HTTPClient.Do(r)
}

func TestSignature_NoAccessKeys(t *testing.T) {
	g, conn, id := connected(t, func(c *apigateway.Config) { c.AccessKeys = nil })
	if err := post(t, management(g, "ANYBODY"), id, "x"); err != nil {
		t.Fatal(err)
	}
	read(t, conn)
	elsewhere := func(o *apigatewaymanagementapi.Options) { o.Region = "us-east-1" }
	if _, err := management(g, "ANYBODY").PostToConnection(t.Context(),
		&apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("x")},
		elsewhere); status(err) != 403 {
		t.Errorf("a signature for another region: %v", err)
	}
	r, err := (&http.Client{Timeout: patience}).Post(g.Management()+"/@connections/"+id, "", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 403 || r.Header.Get("X-Amzn-ErrorType") != "ForbiddenException" {
		t.Errorf("an unsigned request: %d %v", r.StatusCode, r.Header)
	}
}

func readOnce(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func TestSignature_Date(t *testing.T) {
	g, conn, id := connected(t, nil)
	sum := sha256.Sum256([]byte("x"))
	for _, test := range []struct {
		off  time.Duration
		want int
	}{{0, 200}, {-4 * time.Minute, 200}, {-6 * time.Minute, 403}, {6 * time.Minute, 403}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			g.Management()+"/@connections/"+url.PathEscape(id), strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIA1",
			SecretAccessKey: "secret-of-AKIA1"}, r, hex.EncodeToString(sum[:]), "execute-api", "eu-central-1",
			time.Now().Add(test.off)); err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Timeout: patience}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("signed %v from now: status %d, want %d", test.off, answer.StatusCode, test.want)
		}
		if test.want == 200 {
			read(t, conn)
		}
	}
}

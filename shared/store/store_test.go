package store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	engine "carrel/infra/local/dynamodb"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// eachEngine runs a test on the built-in engine, and on the engine at AWS_ENDPOINT_URL_DYNAMODB if that is set. If the
// built-in engine is missing the test is skipped, or fails if CARREL_REQUIRE_ALL is set.
func eachEngine(t *testing.T, test func(t *testing.T, o opener)) {
	t.Run("dynoxide", func(t *testing.T) {
		e, err := engine.Start(t.Context(), engine.Config{})
		if errors.Is(err, engine.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
			t.Skipf("not run: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, opener(e.URL()))
	})
	if url := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"); url != "" {
		t.Run("endpoint", func(t *testing.T) { test(t, opener(url)) })
	}
}

// opener creates clients for the engine at this address.
type opener string

// client returns a client whose requests pass through wrap, if that is not nil.
func (o opener) client(wrap func(http.RoundTripper) http.RoundTripper) *dynamodb.Client {
	url := string(o)
	var transport http.RoundTripper = bodyCopier{&http.Transport{MaxIdleConnsPerHost: 32}}
	if wrap != nil {
		transport = wrap(transport)
	}
	return store.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer: func() aws.Retryer { // the standard retryer with a short backoff
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 5 * time.Millisecond })
		},
	})
}

// bodyCopier gives the transport copies of request bodies, which it may read after the SDK has closed its own: see
// shared/awsenv.
type bodyCopier struct{ next http.RoundTripper }

func (w bodyCopier) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(b))
	}
	return w.next.RoundTrip(req)
}

func TestStore(t *testing.T) {
	t.Attr("row", "B3 dynoxide/Isolation: each store method, between users with nearly equal names")
	t.Attr("row", "B5 dynoxide/Fault44Retention: a log is kept for the configured retention")
	t.Attr("row", "B5 dynoxide/Expiry: a run's record expires")
	t.Attr("row", "C4 dynoxide/Expiry: an abandoned connection's record expires")
	t.Attr("row", "C5 dynoxide/ForeignRows: a row written for another user is rejected")
	eachEngine(t, func(t *testing.T, o opener) {
		db := o.client(nil)
		storetest.Run(t, func(*testing.T) *dynamodb.Client { return db })
	})
}

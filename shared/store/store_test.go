package store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	engine "carrel/infra/local/dynamodb"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// eachEngine runs a test on the built-in engine and on the one that AWS_ENDPOINT_URL_DYNAMODB names. A missing built-in
// engine is a skip, and with CARREL_REQUIRE_ALL a failure.
func eachEngine(t *testing.T, test func(t *testing.T, db *dynamodb.Client)) {
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
		test(t, client(e.URL()))
	})
	if url := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"); url != "" {
		t.Run("endpoint", func(t *testing.T) { test(t, client(url)) })
	}
}

func client(url string) *dynamodb.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	return store.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: whole{transport}},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// whole gives the transport bodies that it may read after the SDK has closed them: see docs/architecture.md.
type whole struct{ next http.RoundTripper }

func (w whole) RoundTrip(req *http.Request) (*http.Response, error) {
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
	eachEngine(t, func(t *testing.T, db *dynamodb.Client) {
		storetest.Run(t, func(*testing.T) *dynamodb.Client { return db })
	})
}

package dynamodb_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carrel/infra/local/dynamodb"
)

// start starts an engine, or skips the test where there is none; CARREL_REQUIRE_ALL turns that into a failure.
func start(t *testing.T, c dynamodb.Config) *dynamodb.Engine {
	t.Helper()
	e, err := dynamodb.Start(t.Context(), c)
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
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
	return e
}

func TestEngineAnswersUntilClosed(t *testing.T) {
	e := start(t, dynamodb.Config{Path: filepath.Join(t.TempDir(), "db")})
	res, err := new(http.Client).Get(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	<-e.Done()
	if res, err := new(http.Client).Get(e.URL()); err == nil {
		t.Errorf("it still answers after Close: %s", res.Status)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	_, err = dynamodb.Start(t.Context(), dynamodb.Config{Port: l.Addr().(*net.TCPAddr).Port, Stderr: &out})
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skipf("not run: %v", err)
	}
	if err == nil || !strings.Contains(out.String(), "in use") {
		t.Errorf("started on a taken port: %v, said %q", err, out.String())
	}
}

func TestMissingBinaryNamesTheVariable(t *testing.T) {
	_, err := dynamodb.Start(t.Context(), dynamodb.Config{Root: t.TempDir()})
	if !errors.Is(err, dynamodb.ErrNoEngine) || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_DYNAMODB") {
		t.Errorf("got %v", err)
	}
}

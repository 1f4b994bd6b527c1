package dynamodb_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
)

// start starts an engine. Without an installed one it skips the test, or fails it if CARREL_REQUIRE_ALL is set.
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

func TestEngine_Close(t *testing.T) {
	e := start(t, dynamodb.Config{Path: filepath.Join(t.TempDir(), "db")})
	if err := answers(e.URL()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	<-e.Done()
	if answers(e.URL()) == nil {
		t.Error("the engine still answers after Close")
	}
}

func TestStart_PortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	_, err = dynamodb.Start(t.Context(), dynamodb.Config{Addr: l.Addr().String(), Stderr: &out})
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skipf("not run: %v", err)
	}
	if err == nil || !strings.Contains(out.String(), "in use") {
		t.Errorf("start on a taken port: %v, output %q", err, out.String())
	}
}

// The engine checks no signatures, so only the caller of Start may know its address.
func TestEngine_HiddenAddress(t *testing.T) {
	var output bytes.Buffer
	addresses := map[string]bool{}
	for range 3 {
		e := start(t, dynamodb.Config{Stderr: &output})
		at := strings.TrimPrefix(e.URL(), "http://")
		host, port, err := net.SplitHostPort(at)
		if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() || host == "127.0.0.1" {
			t.Errorf("the engine listens on %s: %v", at, err)
		}
		addresses[host], addresses[port] = true, true
		if answers("http://127.0.0.1:"+port) == nil {
			t.Errorf("the engine also answers on 127.0.0.1 (port %s)", port)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(addresses) < 6 {
		t.Errorf("three engines had only these hosts and ports: %v", addresses)
	}
	if strings.Contains(output.String(), "127.") {
		t.Errorf("the output, which /ops shows, contains the engine's address: %s", &output)
	}
}

func TestStart_NoBinary(t *testing.T) {
	_, err := dynamodb.Start(t.Context(), dynamodb.Config{Root: t.TempDir()})
	if !errors.Is(err, dynamodb.ErrNoEngine) || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_DYNAMODB") {
		t.Errorf("got %v", err)
	}
}

// TestEngine_ParentKilled starts an engine in another process, kills that process, and waits until the engine stops.
func TestEngine_ParentKilled(t *testing.T) {
	if os.Getenv("CARREL_ENGINE_PARENT") != "" {
		e := start(t, dynamodb.Config{})
		fmt.Println("engine at " + e.URL())
		<-e.Done() // blocks until this process is killed
		return
	}
	start(t, dynamodb.Config{}) // skips the test without an engine
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEngine_ParentKilled$")
	parent.Env = append(os.Environ(), "CARREL_ENGINE_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		_, url, _ = strings.Cut(lines.Text(), "engine at ")
	}
	if err := errors.Join(answers(url), parent.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent exited with status 0 instead of being killed")
	}
	tick, end := time.NewTicker(5*time.Millisecond), time.NewTimer(10*time.Second)
	defer tick.Stop()
	defer end.Stop()
	for answers(url) == nil {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal("the engine still answers after its parent has ended")
		}
	}
}

func answers(url string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

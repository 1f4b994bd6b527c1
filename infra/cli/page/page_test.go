package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// outputs plays the AWS CLI of an account with one stack, whose page has an address.
func outputs(page string) func(context.Context, string, ...string) ([]byte, error) {
	return func(_ context.Context, name string, args ...string) ([]byte, error) {
		if line := name + " " + strings.Join(args, " "); line != "aws cloudformation describe-stacks --stack-name "+
			"mine --query Stacks[0].Outputs --output json" {
			return nil, errors.New("no such command: " + line)
		}
		return []byte(`[{"OutputKey": "Page", "OutputValue": "` + page + `"}, {"OutputKey": "WebSocket", "OutputValue": "wss://api.test/v1"},
 {"OutputKey": "Issuer", "OutputValue": "https://issuer.test/pool"}, {"OutputKey": "PageClient", "OutputValue": "client"},
 {"OutputKey": "PageScope", "OutputValue": "openid"}]`), nil
	}
}

// free is an unused port.
func free(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// firstLine is a writer that sends the first line to a channel.
type firstLine struct {
	once  sync.Once
	first chan string
}

func (s *firstLine) Write(p []byte) (int, error) {
	s.once.Do(func() { s.first <- string(p) })
	return len(p), nil
}

func TestPage(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	address := "http://localhost:" + free(t) + "/"
	told, ended := &firstLine{first: make(chan string, 1)}, make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-stack", "mine"}, world{out: told, err: io.Discard, run: outputs(address),
			built: fstest.MapFS{"index.html": {Data: []byte("<title>it</title>")}}})
	}()
	select {
	case line := <-told.first:
		if !strings.HasPrefix(line, address+" ") {
			t.Errorf("it says %q", line)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "<title>it</title>", "threads/a?code=1": "<title>it</title>",
		"config.json": `{"websocket":"wss://api.test/v1","issuer":"https://issuer.test/pool","clientId":"client","scope":"openid"}`} {
		if status, body := get(t, address+path, "", nil); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	// a name that DNS rebinding leads to this machine
	if status, _ := get(t, address, "evil.example", nil); status != 403 {
		t.Errorf("another host's name gets %d", status)
	}
	// The issuer's page redirects to the page. No other site's script reads what this server has.
	back := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"},
		"Sec-Fetch-Dest": {"document"}}
	if status, _ := get(t, address+"?code=1&state=2", "", back); status != 200 {
		t.Errorf("the return from the issuer gets %d", status)
	}
	if status, _ := get(t, address+"config.json", "", http.Header{"Origin": {"https://evil.example"}}); status != 403 {
		t.Errorf("another site's script gets %d", status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url, host string, header http.Header) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	if header != nil {
		request.Header = header
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// A page that is served elsewhere, and a stack that is none of Carrel's, are named.
func TestPage_NotHere(t *testing.T) {
	for page, want := range map[string]string{
		"https://d1.cloudfront.net/": "the page of the stack mine is at https://d1.cloudfront.net/, not on this " +
			"machine. A stack that is deployed with Page=off",
		"": "the stack mine has no output Page: is it Carrel's, and of this version?",
	} {
		err := run(t.Context(), []string{"-stack", "mine"}, world{out: io.Discard, err: io.Discard, run: outputs(page)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", page, err, want)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, world{err: &help}); err != nil || !strings.Contains(help.String(),
		"-stack") {
		t.Errorf("help: %v, %q", err, &help)
	}
	if err := run(t.Context(), []string{"mine"}, world{err: io.Discard}); err == nil {
		t.Error("a word beside the flags is taken")
	}
}

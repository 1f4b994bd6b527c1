package usercreds_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// A request is signed with its own user's credentials, for one service and Region, and keeps its body.
func TestTables_Sign(t *testing.T) {
	ts := tables(&fakeAWS{stsUp: true, lifetime: 15 * time.Minute})
	for who, region := range map[string]string{"bob": "", "a|b": "eu-west-1"} {
		body := strings.NewReader("hello")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://x.example/mcp", body)
		if err != nil {
			t.Fatal(err)
		}
		if err := ts.Sign(t.Context(), chattest.User(t, who), "lambda", region, r); err != nil {
			t.Fatal(err)
		}
		if region == "" {
			region = "us-east-1"
		}
		got := r.Header.Get("Authorization")
		if !strings.Contains(got, "Credential=of-"+chattest.User(t, who).Key()+"/") ||
			!strings.Contains(got, "/"+region+"/lambda/aws4_request") ||
			!strings.Contains(got, "x-amz-security-token") {
			t.Errorf("%s: signed %s", who, got)
		}
		if text, err := io.ReadAll(r.Body); string(text) != "hello" || err != nil || r.ContentLength != 5 {
			t.Errorf("the body is %q, %d bytes, %v", text, r.ContentLength, err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x.example/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ts.Sign(t.Context(), chat.User{}, "lambda", "", r); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("the zero user: %v", err)
	}
	if err := tables(&fakeAWS{}).Sign(t.Context(), chattest.User(t, "bob"), "lambda", "", r); err == nil ||
		r.Header.Get("Authorization") != "" {
		t.Errorf("without credentials: %v, %q", err, r.Header.Get("Authorization"))
	}
}

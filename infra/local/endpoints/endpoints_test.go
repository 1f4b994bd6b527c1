package endpoints_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carrel/infra/local/endpoints"
)

func TestReadWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "endpoints.json")
	e := endpoints.Endpoints{Page: "p", WebSocket: "w", Token: "t", DynamoDB: "d", Table: "n"}
	for range 2 { // the second write replaces the first
		if err := e.Write(file); err != nil {
			t.Fatal(err)
		}
		if got, err := endpoints.Read(file); err != nil || got != e {
			t.Errorf("read %+v, %v", got, err)
		}
	}
	for _, text := range []string{"", "{", `{"websocket": "w", "token": "t", "dynamodb": "d"}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := endpoints.Read(file); err == nil ||
			!strings.Contains(err.Error(), "restart the stack with make run") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The error holds the issuer's reason. A response without a token is an error.
func TestSignIn(t *testing.T) {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user := r.PostFormValue("user"); user {
		case "alice":
			_, _ = w.Write([]byte(`{"access_token": "of-alice"}`))
		case "nobody":
			http.Error(w, `{"access_token": "x", "error": "there is no such user"}`, http.StatusBadRequest)
		default:
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	if token, err := endpoints.SignIn(t.Context(), issuer.URL, "alice"); token != "of-alice" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
	for user, want := range map[string]string{"nobody": "there is no such user",
		"bob": "the response holds no access_token"} {
		if token, err := endpoints.SignIn(t.Context(), issuer.URL, user); token != "" || err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", user, token, err)
		} else if endpoints.Explain(err) != err {
			t.Errorf("%s: %v is reported as a stack that is not running", user, err)
		}
	}
	issuer.Close()
	_, err := endpoints.SignIn(t.Context(), issuer.URL, "alice")
	if err = endpoints.Explain(err); err == nil || !strings.Contains(err.Error(), "start it with make run") {
		t.Errorf("sign in at a stopped stack: %v", err)
	}
}

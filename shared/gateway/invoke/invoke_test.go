package invoke_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
)

// call is one request that reached the fake API.
type call struct{ body, tenant, kind string }

// fakeAPI accepts every event.
func fakeAPI(t *testing.T) (url string, calls *[]call) {
	t.Helper()
	calls = &[]call{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*calls = append(*calls, call{string(body), r.Header.Get("X-Amz-Tenant-Id"),
			r.Header.Get("X-Amz-Invocation-Type")})
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func TestInvoker_TenantIsUser(t *testing.T) {
	url, calls := fakeAPI(t)
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", url) // the SDK itself looks whether it is set
	c, err := awsenv.Config(func(name string) string {
		return map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id",
			"AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_LAMBDA": url}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	i, alice := invoke.New(c, "turn", gateway.PerTenant), chattest.User(t, "auth0|alice")
	if err := i.Turn(t.Context(), alice, "r1"); err != nil {
		t.Fatal(err)
	}
	if got := (*calls)[0]; got.tenant != alice.Key() || got.kind != "Event" ||
		got.body != `{"ownerHash":"`+alice.Hash()+`","run":"r1","reason":"run"}` {
		t.Errorf("request %+v", got)
	}
	if err := invoke.New(c, "turn", gateway.Shared).Turn(t.Context(), alice, "r1"); err != nil {
		t.Fatal(err)
	}
	if got := (*calls)[1]; got.tenant != "" ||
		got.body != `{"ownerHash":"`+alice.Hash()+`","run":"r1","reason":"run","user":"`+alice.Key()+`"}` {
		t.Errorf("without tenant isolation: request %+v", got)
	}
	if err := i.EraseThread(t.Context(), alice, "t1", "e1"); err != nil {
		t.Fatal(err)
	}
	if got := (*calls)[2]; got.tenant != alice.Key() || got.kind != "Event" ||
		got.body != `{"ownerHash":"`+alice.Hash()+`","reason":"eraseThread","thread":"t1","epoch":"e1"}` {
		t.Errorf("request %+v", got)
	}
	if err := i.EraseThread(t.Context(), chat.User{}, "t1", "e1"); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("erasure of the zero User: %v", err)
	}
	if err := i.Turn(t.Context(), chat.User{}, "r1"); !errors.Is(err, chat.ErrNoUser) || len(*calls) != 3 {
		t.Errorf("for the zero User: error %v after %d requests, want ErrNoUser and no request", err, len(*calls))
	}
}

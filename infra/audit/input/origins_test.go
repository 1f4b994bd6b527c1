package input_test

import (
	"carrel/infra/testkit"

	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrel/shared/wire"
)

// badOrigins opens sockets with a good token and different Origin headers. Only the stack's own page and a client
// without an Origin are accepted. The local gateway refuses most of the others itself, and API Gateway does not, so the
// authorizer is also invoked directly.
func (f *fixture) badOrigins(t *testing.T) {
	token := testkit.Token(t, f.ctx, f.s.Endpoints(), "alice-"+rand.Text(), 10*time.Minute)
	page := strings.TrimSuffix(f.s.Endpoints().Page, "/") // http://127.0.0.1:port
	port := page[strings.LastIndex(page, ":"):]
	for name, c := range map[string]struct {
		origins  []string
		accepted bool
	}{
		"none, a terminal":        {nil, true},
		"the page":                {[]string{page}, true},
		"the page as localhost":   {[]string{"http://localhost" + port}, true},
		"null, a sandboxed page":  {[]string{"null"}, false},
		"empty":                   {[]string{""}, false},
		"another page":            {[]string{"https://evil.test"}, false},
		"another scheme":          {[]string{strings.Replace(page, "http:", "https:", 1)}, false},
		"another port":            {[]string{"http://127.0.0.1:1"}, false},
		"no port":                 {[]string{"http://127.0.0.1"}, false},
		"the host as a prefix":    {[]string{strings.Replace(page, "127.0.0.1", "127.0.0.1.evil.test", 1)}, false},
		"the host as a suffix":    {[]string{"http://evil.localhost" + port}, false},
		"a user before the host":  {[]string{strings.Replace(page, "//", "//127.0.0.1@", 1)}, false},
		"a path after the port":   {[]string{page + "/"}, false},
		"two origins in one line": {[]string{page + ", https://evil.test"}, false},
		"two lines":               {[]string{page, "https://evil.test"}, false},
		"two lines, reversed":     {[]string{"https://evil.test", page}, false},
	} {
		t.Run(name, func(t *testing.T) {
			headers := http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol + ", " + wire.BearerPrefix + token}}
			if c.origins != nil {
				headers["Origin"] = c.origins
			}
			if status := f.handshake(t, headers, ""); c.accepted != (status == http.StatusSwitchingProtocols) {
				t.Errorf("the handshake is answered with %d, want accepted: %v", status, c.accepted)
			}
			answer, failed := f.authorize(t, headers)
			if failed == c.accepted || failed && !strings.Contains(answer, `"Unauthorized"`) {
				t.Errorf("authorize answers %q, want accepted: %v", answer, c.accepted)
			}
		})
	}
}

// handshake returns the status of the answer to a handshake with these headers and this query.
func (f *fixture) handshake(t *testing.T, headers http.Header, query string) int {
	t.Helper()
	address := strings.Replace(f.s.Endpoints().WebSocket, "ws", "http", 1) + query
	request, err := http.NewRequestWithContext(f.ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	maps.Copy(request.Header, headers)
	response, err := (&http.Client{Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// authorize invokes the authorizer for a handshake with these headers, as API Gateway does.
func (f *fixture) authorize(t *testing.T, headers http.Header) (answer string, failed bool) {
	t.Helper()
	last := map[string]string{}
	for name, values := range headers {
		last[name] = values[len(values)-1]
	}
	event, err := json.Marshal(map[string]any{"type": "REQUEST", "headers": last, "multiValueHeaders": headers,
		"methodArn": "arn:aws:execute-api:us-east-1:1:a/v1/$connect"})
	if err != nil {
		t.Fatal(err)
	}
	text, kind, err := f.s.Host().Invoke(f.ctx, f.s.Function("AuthorizeFunction"), event)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), kind != ""
}

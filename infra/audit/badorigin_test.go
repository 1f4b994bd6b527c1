package audit_test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrel/shared/wire"
)

// badOrigins opens sockets with a good token and different Origin headers. Only the stack's own page and a client without an
// Origin get one. The local gateway refuses most of the others itself, and API Gateway does not. So the authorizer's process is
// tested directly, too.
func badOrigins(t *testing.T, b *bench) {
	token := b.token(t, "alice-"+rand.Text(), "600")
	page := strings.TrimSuffix(b.stack.Endpoints().Page, "/") // http://127.0.0.1:port
	port := page[strings.LastIndex(page, ":"):]
	for name, c := range map[string]struct {
		origins []string
		in      bool
	}{
		"none, a terminal":       {nil, true},
		"the page":               {[]string{page}, true},
		"the page as localhost":  {[]string{"http://localhost" + port}, true},
		"null, a sandboxed page": {[]string{"null"}, false},
		"empty":                  {[]string{""}, false},
		"another page":           {[]string{"https://evil.test"}, false},
		"another scheme":         {[]string{strings.Replace(page, "http:", "https:", 1)}, false},
		"another port":           {[]string{"http://127.0.0.1:1"}, false},
		"no port":                {[]string{"http://127.0.0.1"}, false},
		"a name that begins so":  {[]string{strings.Replace(page, "127.0.0.1", "127.0.0.1.evil.test", 1)}, false},
		"a name that ends so":    {[]string{"http://evil.localhost" + port}, false},
		"a user before it":       {[]string{strings.Replace(page, "//", "//127.0.0.1@", 1)}, false},
		"a path behind it":       {[]string{page + "/"}, false},
		"two in one":             {[]string{page + ", https://evil.test"}, false},
		"two lines":              {[]string{page, "https://evil.test"}, false},
		"two lines, turned":      {[]string{"https://evil.test", page}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines := http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol + ", " + wire.BearerPrefix + token}}
			if c.origins != nil {
				lines["Origin"] = c.origins
			}
			if status := b.handshake(t, lines); c.in != (status == http.StatusSwitchingProtocols) {
				t.Errorf("the answer is %d; let in: want %v", status, c.in)
			}
			if answer, failed := b.authorized(t, lines); failed == c.in || failed && !strings.Contains(answer, `"Unauthorized"`) {
				t.Errorf("authorize answers %q; let in: want %v", answer, c.in)
			}
		})
	}
}

// handshake returns the status of the answer to a handshake with these headers.
func (b *bench) handshake(t *testing.T, lines http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, strings.Replace(b.stack.Endpoints().WebSocket, "ws", "http", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	maps.Copy(request.Header, lines)
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// authorized asks the authorizer's process about a handshake with these headers, as API Gateway does.
func (b *bench) authorized(t *testing.T, lines http.Header) (answer string, failed bool) {
	t.Helper()
	last := map[string]string{}
	for name, values := range lines {
		last[name] = values[len(values)-1]
	}
	event, err := json.Marshal(map[string]any{"type": "REQUEST", "methodArn": "arn:aws:execute-api:us-east-1:1:a/v1/$connect",
		"headers": last, "multiValueHeaders": lines})
	if err != nil {
		t.Fatal(err)
	}
	text, kind, err := b.stack.Host().Invoke(b.ctx, b.stack.Function("AuthorizeFunction"), event)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), kind != ""
}

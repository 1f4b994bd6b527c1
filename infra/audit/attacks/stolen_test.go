package attacks_test

import (
	"bytes"
	"carrel/infra/testkit"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
)

// A stolen connection id has no use without the right to post. Without a signature, with a signature of an unknown key,
// and with one by a wrong secret, the API refuses to read, post and close, and the victim's socket is sent nothing.
func TestAttack_StolenConnectionID(t *testing.T) {
	t.Attr("row", "C5: a stolen connection id")
	s := newAttack(t)
	s.checkAlone(s.attacker("mallory-steals"), "an own socket")
	management, _, _ := strings.Cut(s.Endpoints().Connections, "/@connections")
	for i, id := range s.victim.ids["connection"] {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			for _, header := range []http.Header{nil, {"Authorization": {"Bearer x"}},
				{"Authorization": {"AWS4-HMAC-SHA256 " +
					"Credential=AKIDEXAMPLE/20260101/us-east-1/execute-api/aws4_request, SignedHeaders=host, " +
					"Signature=00"}}} {
				if status := s.manage(method, management+"/@connections/"+strings.ReplaceAll(id, "=", "%3D"),
					header); status != http.StatusForbidden {
					t.Errorf("%s of the victim's connection with %v is answered with %d", method, header, status)
				}
			}
		}
		client := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{Region: "us-east-1",
			BaseEndpoint: aws.String(management), RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(fmt.Sprintf("AKIAEXAMPLE%d", i), "guessed", ""),
			HTTPClient:  &http.Client{Timeout: time.Minute}})
		s.countTry()
		if _, err := client.PostToConnection(s.ctx,
			&apigatewaymanagementapi.PostToConnectionInput{ConnectionId: aws.String(id),
				Data: []byte(forgedPost)}); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("a post with a guessed key: %v", err)
		}
		s.countTry()
		if _, err := client.DeleteConnection(s.ctx,
			&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: aws.String(id)}); err == nil ||
			!strings.Contains(err.Error(), "403") {
			t.Errorf("a close with a guessed key: %v", err)
		}
	}
	s.checkNotReceived(forgedPost)
	s.verify()
}

const forgedPost = `{"type":"error","code":"internal","message":"forgedPost by mallory"}`

// manage calls @connections and returns the status.
func (s *attack) manage(method, url string, header http.Header) int {
	s.Helper()
	s.countTry()
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(forgedPost))
	if err != nil {
		s.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// checkNotReceived checks that all of the victim's sockets are open and that none was sent a text.
func (s *attack) checkNotReceived(text string) {
	s.Helper()
	for i, p := range s.victim.sockets {
		s.victim.request(s.T, s.ctx, p, []byte(`{"type":"ping"}`), "pong")
		for _, m := range p.Received {
			if bytes.Contains(m, []byte(text)) {
				s.Errorf("the victim's socket %d was sent %s", i, m)
			}
		}
	}
}

// An event arrives with the victim's connection and the attacker as its user, which no client can cause. The guard
// refuses every frame, nothing is posted to the victim, and each event is recorded as a violation.
func TestAttack_OnVictimsConnection(t *testing.T) {
	t.Attr("row", "C5: an event on another user's connection")
	s := newAttack(t)
	const name = "mallory-on-it"
	p := s.attacker(name)
	own := s.own(p)
	types, frames := encodedFrames(t, own)
	for _, connection := range s.victim.ids["connection"][:2] {
		for _, kind := range types {
			for _, thread := range []string{own.thread, s.victim.running.thread} {
				frame := frames[kind]
				if !endsSession(kind) {
					frame = bytes.ReplaceAll(frame, []byte(own.thread), []byte(thread))
				}
				frame = bytes.ReplaceAll(frame, []byte(testkit.NextN), []byte("100000"))
				if answer, failed := s.invoke("MessageFunction", "MESSAGE", connection, name,
					string(frame)); failed != "" {
					t.Errorf("%s fails: %s", frame, answer)
				}
				s.violations++
			}
		}
		if answer, failed := s.invoke("MessageFunction", "MESSAGE", connection, name,
			`{"type":"nonsense","requestId":"request-of-the-sender"}`); failed != "" {
			t.Errorf("a malformed frame fails: %s", answer)
		}
		s.violations++
		if answer, failed := s.invoke("DisconnectFunction", "DISCONNECT", connection, name, ""); failed != "" {
			t.Errorf("a disconnect fails: %s", answer)
		}
		s.violations++
	}
	t.Attr("figure", fmt.Sprintf("%v events of an attacker on the victim's connections, as many violations recorded",
		s.violations))
	s.checkNotReceived("request-of-the-sender")
	s.verify()
}

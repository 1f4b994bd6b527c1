package apigateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// recorder is an Invoker that records the length of the longest event.
type recorder struct{ longest atomic.Int64 }

func (g *recorder) Invoke(_ context.Context, _ string, event []byte) ([]byte, string, error) {
	g.longest.Store(max(g.longest.Load(), int64(len(event))))
	return nil, "", nil
}

// FuzzFrames feeds arbitrary bytes to a socket. The socket must end with a code that may be sent, and it must not
// buffer more than one message.
func FuzzFrames(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewTextFrame([]byte(`{"type":"send"}`)), ws.NewBinaryFrame([]byte("x")), ws.NewPingFrame([]byte("x")),
		ws.NewCloseFrame(ws.NewCloseFrameBody(4001, "bye")), ws.NewFrame(ws.OpText, false, []byte("\xc3")),
	} {
		b := ws.MustCompileFrame(ws.MaskFrame(frame))
		f.Add(b)
		f.Add(append(b, b...))
		f.Add(b[:len(b)-1])
	}
	f.Add(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<63))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := &recorder{}
		g := &Gateway{c: Config{Invoker: seen, Routes: map[string]string{"$default": "f", "send": "f"}}, member: "type",
			invokes: t.Context()}
		s := newSocket(g, peer{id: newID()}, nil)
		end := s.read(bufio.NewReaderSize(bytes.NewReader(data), readBuffer))
		g.running.Wait()
		if end.sendClose && end.code != ws.StatusNoStatusRcvd && ws.CheckCloseFrameData(end.code, end.reason) != nil {
			t.Errorf("the socket ended with %d %q", end.code, end.reason)
		}
		if !utf8.ValidString(end.reason) || seen.longest.Load() > 8*messageLimit {
			t.Errorf("reason %q, longest event %d bytes", end.reason, seen.longest.Load())
		}
	})
}

// FuzzAuthorization decodes arbitrary responses of an authorizer. Only a response with an Allow may allow, and the
// event context always has a principal.
func FuzzAuthorization(f *testing.F) {
	f.Add([]byte(`{"principalId":"a","policyDocument":{"Statement":[{"Action":"*","Effect":"Allow",` +
		`"Resource":["a*b?c"]}]},"context":{"a":1,"b":"x","c":true}}`))
	f.Add([]byte(`{"principalId":"a","policyDocument":{"Statement":{"Effect":"Deny"}},"context":{"a":null}}`))
	f.Add([]byte(`{"principalId":"a","policyDocument":{"Statement":null},"context":{"a":[]}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		a, err := parseAuthorization(answer)
		if err != nil {
			return
		}
		if allowed, err := a.PolicyDocument.allows("arn/$connect"); allowed && err == nil &&
			!bytes.Contains(answer, []byte("llow")) && !bytes.Contains(answer, []byte("\\u")) {
			t.Errorf("%s is read as Allow", answer)
		}
		if b, err := a.eventContext(); err == nil && !bytes.Contains(b, []byte(`"principalId"`)) {
			t.Errorf("event context %s has no principalId", b)
		}
	})
}

func TestWildcard(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a", "a", true}, {"a", "b", false},
		{"?", "", false}, {"?", "a", true},
		{"a*c", "abbc", true}, {"a*c", "abbd", false}, {"a*b*c", "aXbYbZc", true}, {"*a", "ba", true},
		{"a**", "a", true}, {"a*", "b", false}, {"A", "a", false},
		{strings.Repeat("*a", 30) + "b", strings.Repeat("a", 60), false},
	} {
		if got := wildcard(test.pattern, test.s); got != test.want {
			t.Errorf("wildcard(%q, %q) = %v", test.pattern, test.s, got)
		}
	}
}

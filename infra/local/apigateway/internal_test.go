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

// gauge is an Invoker that notes the longest event.
type gauge struct{ longest atomic.Int64 }

func (g *gauge) Invoke(_ context.Context, _ string, event []byte) ([]byte, string, error) {
	g.longest.Store(max(g.longest.Load(), int64(len(event))))
	return nil, "", nil
}

// FuzzFrames feeds any bytes to a socket: it must end, with a code that may be sent, without keeping more than a
// message.
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
		seen := &gauge{}
		g := &Gateway{c: Config{Invoker: seen, Routes: map[string]string{"$default": "f", "send": "f"}}, member: "type",
			invokes: t.Context()}
		s := newSocket(g, peer{id: newID()}, nil)
		end := s.read(bufio.NewReaderSize(bytes.NewReader(data), readBuffer))
		g.running.Wait()
		if end.tell && end.code != ws.StatusNoStatusRcvd && ws.CheckCloseFrameData(end.code, end.reason) != nil {
			t.Errorf("ends with %d %q", end.code, end.reason)
		}
		if !utf8.ValidString(end.reason) || seen.longest.Load() > 8*messageLimit {
			t.Errorf("reason %q, an event of %d bytes", end.reason, seen.longest.Load())
		}
	})
}

// FuzzAuthorization: what is no answer is a fault, and what is one gives strings only.
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
			t.Errorf("%s allows", answer)
		}
		if b, err := a.carried(); err == nil && !bytes.Contains(b, []byte(`"principalId"`)) {
			t.Errorf("carried %s", b)
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
			t.Errorf("%q matches %q: %v", test.pattern, test.s, got)
		}
	}
}

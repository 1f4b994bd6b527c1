package attacks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/testkit"
	"carrel/shared/chat/chattest"
	"carrel/shared/wire"
)

// All that the victim ever sent, byte by byte and socket by socket, on the sockets of an attacker: it makes the
// attacker threads of their own, and nothing more. And a socket of one's own is worth nothing once its token is past:
// every frame that was good on it is refused, and nothing is done.
func TestTheAttackerReplaysFrames(t *testing.T) {
	t.Attr("row", "C5: replayed frames, also after the token has expired")
	s := newAttack(t)
	replayed := 0
	for _, recorded := range s.victim.sockets {
		p := s.attacker("mallory-replays")
		seen := map[string]bool{}
		for _, frame := range recorded.Sent {
			if seen[string(frame)] { // what the tests ask again and again
				continue
			}
			seen[string(frame)] = true
			if a := s.request(p, frame); a.Type == "accepted" &&
				(a.RunID == s.victim.running.run || a.RunID == s.victim.queued) {
				s.request(p, fmt.Appendf(nil, `{"type":"cancel","runId":%q}`, a.RunID))
			}
			replayed++
		}
		// A calculation that is asked for again has the same result again: that one is no theft.
		for _, secret := range s.victim.secrets {
			if !strings.HasPrefix(secret, "secret-") {
				p.Sent = append(p.Sent, []byte(secret))
			}
		}
	}
	s.expires(s.join(target.expiring))
	t.Attr("figure", fmt.Sprintf("%d recorded frames of the victim replayed", replayed))
	s.verify()
}

// expires waits until a socket's token is past, and says every frame twice.
func (s *attack) expires(p *testkit.Raw) {
	s.Helper()
	own := s.own(s.attacker(p.User))
	types, frames := encodedFrames(s.T, own)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for s.request(p, []byte(`{"type":"ping"}`)).Code != "token_expired" {
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.Fatal("the token does not expire")
		}
	}
	ours := func() map[string]string {
		items := testkit.Items(s.T, s.ctx, s.Endpoints())
		maps.DeleteFunc(items, func(key, _ string) bool {
			return !strings.HasPrefix(key,
				"U#"+chattest.User(s.T, p.User).Key())
		})
		return items
	}
	before := ours()
	for _, kind := range types {
		for range 2 {
			if a := s.request(p, frames[kind]); a.Type != "error" || a.Code != "token_expired" {
				s.Errorf("%s is answered with %s", kind, a.Raw)
			}
		}
	}
	if after := ours(); !maps.Equal(after, before) {
		s.Errorf("behind its expiry the account's items were\n%v\nand are\n%v", before, after)
	}
}

// Frames of the server, sent by a client, and the names of API Gateway's own routes are refused like any other type
// that there is not; a binary message costs the sender the socket.
func TestTheAttackerNamesTheGatewaysRoutes(t *testing.T) {
	t.Attr("row", "C5: frames named like API Gateway's routes, and frames of the server")
	s := newAttack(t)
	p := s.attacker("mallory-routes")
	for _, route := range []string{"$connect", "$disconnect", "$default", "connect", "disconnect", "sweep", "turn"} {
		frame, err := json.Marshal(map[string]string{"type": route, "connectionId": s.victim.ids["connection"][0],
			"action": route})
		if err != nil {
			t.Fatal(err)
		}
		if a := s.request(p, frame); a.Code != "bad_frame" {
			t.Errorf("%s is answered with %s", frame, a.Raw)
		}
	}
	for _, kind := range []wire.Type{wire.TypeReady, wire.TypeEvents, wire.TypeSnapshot, wire.TypeThread, wire.TypeDone,
		wire.TypeEnded, wire.TypePart} {
		frame := fmt.Appendf(nil, `{"type":%q,"threadId":%q,"connectionId":%q}`, kind, s.victim.running.thread,
			s.victim.ids["connection"][0])
		if a := s.request(p, frame); a.Code != "bad_frame" || a.Field != "type" {
			t.Errorf("%s, which is the server's, is answered with %s", frame, a.Raw)
		}
	}
	s.countTry()
	if err := p.Conn.Write(s.ctx, websocket.MessageBinary, bytes.Repeat([]byte{0}, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(s.ctx); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Errorf("a binary message is answered with %v", err)
	}
	s.verify()
}

package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// read reads frames and dispatches messages to functions until the socket ends. It returns how the socket ended.
func (s *socket) read(r io.Reader) ending {
	var message []byte
	state := ws.StateServerSide
	scratch := make([]byte, 0, ws.MaxHeaderSize)
	for {
		h, err := ws.ReadHeaderBuffer(r, scratch)
		if errors.Is(err, ws.ErrHeaderLengthMSB) {
			return ending{ws.StatusProtocolError, "Protocol error", true}
		}
		if err != nil {
			return abnormalClosure()
		}
		if bad := checkHeader(h, state, len(message)); bad != nil {
			return *bad
		}
		if h.OpCode.IsControl() {
			if end := s.control(r, h); end != nil {
				return *end
			}
			continue
		}
		if message, err = payload(r, h, message); err != nil {
			return abnormalClosure()
		}
		if !h.Fin {
			state = state.Set(ws.StateFragmented)
			continue
		}
		if !utf8.Valid(message) {
			return ending{ws.StatusInvalidFramePayloadData, "Invalid frame payload data", true}
		}
		if !s.inbound(message) {
			return abnormalClosure() // the socket has an ending already, which takes precedence
		}
		message, state = nil, state.Clear(ws.StateFragmented)
	}
}

// checkHeader returns an ending if a frame's header violates the protocol or a limit. It runs before the payload is
// read. had is the number of bytes of the message so far.
func checkHeader(h ws.Header, state ws.State, had int) *ending {
	switch {
	case ws.CheckHeader(h, state) != nil:
		return &ending{ws.StatusProtocolError, "Protocol error", true}
	case h.OpCode == ws.OpBinary:
		return &ending{ws.StatusUnsupportedData, "Unsupported data", true}
	case h.Length > frameLimit || int64(had)+h.Length > messageLimit:
		return &ending{ws.StatusMessageTooBig, "Message too long", true}
	}
	return nil
}

// payload appends a frame's payload, whose length checkHeader has limited.
func payload(r io.Reader, h ws.Header, to []byte) ([]byte, error) {
	n := len(to)
	to = slices.Grow(to, int(h.Length))[:n+int(h.Length)]
	if _, err := io.ReadFull(r, to[n:]); err != nil {
		return nil, err
	}
	ws.Cipher(to[n:], h.Mask, 0)
	return to, nil
}

func (s *socket) control(r io.Reader, h ws.Header) *ending {
	body, err := payload(r, h, nil)
	if err != nil {
		end := abnormalClosure()
		return &end
	}
	switch h.OpCode {
	case ws.OpPing:
		s.pong(body)
	case ws.OpClose:
		return closedByClient(body)
	}
	return nil
}

// closedByClient returns the ending for a client's close frame. It repeats the client's code.
func closedByClient(body []byte) *ending {
	if len(body) == 0 {
		return &ending{ws.StatusNoStatusRcvd, "Client-side close frame status not set", true}
	}
	code, reason := ws.ParseCloseFrameData(body)
	if len(body) == 1 || ws.CheckCloseFrameData(code, reason) != nil {
		return &ending{ws.StatusProtocolError, "Protocol error", true}
	}
	return &ending{code, reason, true}
}

// dispatch starts the function of a message's route and does not wait for it, unless inFlightLimit functions are
// running. As on AWS, the messages of a socket are not processed in order. dispatch returns false if the socket ended
// while it waited. The function starts after at least the given delay.
func (s *socket) dispatch(message []byte, delay time.Duration) bool {
	s.touch()
	s.g.received.Add(1)
	key := s.g.route(message)
	function := s.g.c.Routes[key]
	s.g.meterMessage(function, message)
	if function == "" {
		s.notify("Forbidden", newID())
		return true
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.ended:
		return false
	}
	if s.g.c.Reorder > 0 {
		delay += time.Duration(s.random.Int64N(int64(s.g.c.Reorder)))
	}
	s.g.running.Go(func() {
		defer func() { <-s.slots }()
		s.hold(delay)
		s.invoke(key, function, message)
	})
	return true
}

// hold waits, so that later messages can overtake this one. The end of the socket does not discard the message.
func (s *socket) hold(delay time.Duration) {
	if delay == 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.g.invokes.Done():
	}
}

// invoke runs a function for a message and discards its response, because the API has no RouteResponse.
func (s *socket) invoke(key, function string, message []byte) {
	requestID := newID()
	ctx, cancel := context.WithTimeout(s.g.invokes, s.g.c.IntegrationTimeout)
	defer cancel()
	e, err := s.g.messageEvent(&s.peer, key, requestID, message)
	functionError := ""
	if err == nil {
		_, functionError, err = s.g.c.Invoker.Invoke(ctx, function, e)
	}
	if err != nil || functionError != "" {
		s.g.logf("message %s of %s: function %s failed: %s %v", requestID, s.id, function, functionError, err)
		s.notify("Internal server error", requestID)
	}
}

// notify sends a frame of API Gateway itself. It is dropped if the client's buffer is full.
func (s *socket) notify(message, requestID string) {
	if err := s.send(notice(message, s.id, requestID)); errors.Is(err, errFull) {
		s.g.logf("message %s of %s: %s not sent: %v", requestID, s.id, message, err)
	}
}

// route returns the key of a message's route: the custom route that the body names, or $default.
func (g *Gateway) route(message []byte) string {
	if g.member == "" {
		return "$default"
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(message, &body) != nil {
		return "$default"
	}
	value := body[g.member]
	var key string
	if json.Unmarshal(value, &key) != nil {
		key = string(bytes.TrimSpace(value)) // a number or bool can name a route as well
	}
	if key == "" || key[0] == '$' || g.c.Routes[key] == "" {
		return "$default"
	}
	return key
}

package apigateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// drainLimit is how much of an oversized body is read, so that the caller gets the response instead of a broken pipe.
const drainLimit = 10 << 20

// fault is an error response of @connections. The SDKs derive the error's type from kind; with "" the error is untyped.
type fault struct {
	status        int
	kind, message string
}

// connectionInfo is the response to GET.
type connectionInfo struct {
	ConnectedAt  string   `json:"connectedAt"`
	Identity     identity `json:"identity"`
	LastActiveAt string   `json:"lastActiveAt"`
}

// manage serves one call of @connections. escaped is the connection id as written in the path.
func (g *Gateway) manage(w http.ResponseWriter, r *http.Request, escaped string) {
	requestID := newID()
	w.Header().Set("X-Amzn-RequestId", requestID)
	id, err := url.PathUnescape(escaped)
	if err != nil {
		id = escaped
	}
	var f *fault
	var body []byte
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		f = &fault{http.StatusInternalServerError, "", "Internal server error"}
	} else {
		body, f = g.admit(r, id)
	}
	if f == nil {
		f = g.perform(w, r.Method, id, body)
		g.meterPost(r, len(body), f == nil)
	}
	if f == nil {
		return
	}
	g.logf("@connections: %s %s: %d %s", r.Method, id, f.status, f.message)
	w.Header().Set("Content-Type", "application/json")
	if f.kind != "" {
		w.Header().Set("X-Amzn-ErrorType", f.kind)
	}
	w.WriteHeader(f.status)
	answer, _ := json.Marshal(struct { // cannot fail: all fields are strings
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{f.message, id, requestID})
	w.Write(answer)
}

// admit reads the body and checks, in this order, the signature, the id and the size.
func (g *Gateway) admit(r *http.Request, id string) ([]byte, *fault) {
	body, err := readBody(r)
	if err != nil {
		return nil, &fault{http.StatusBadRequest, "", "the body could not be read"}
	}
	tooLarge := len(body) > messageLimit
	if tooLarge {
		io.CopyN(io.Discard, r.Body, drainLimit) // an error shows again when the response is written
	}
	if tooLarge {
		err = g.verifier.VerifySigner(r)
	} else {
		err = g.verifier.Verify(r, body)
	}
	if err != nil {
		return nil, &fault{http.StatusForbidden, "ForbiddenException", err.Error()}
	}
	if !wellFormed(id) {
		return nil, &fault{http.StatusBadRequest, "", "Invalid connectionId: " + id}
	}
	if tooLarge {
		return nil, &fault{http.StatusRequestEntityTooLarge, "PayloadTooLargeException",
			fmt.Sprintf("the message has more than %d bytes", messageLimit)}
	}
	return body, nil
}

// readBody reads a body, or a little more than messageLimit of it.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > messageLimit {
		return io.ReadAll(io.LimitReader(r.Body, messageLimit+1))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// wellFormed reports whether an id has AWS's format: padded base64 of variable length.
func wellFormed(id string) bool {
	if len(id) < 12 || !strings.HasSuffix(id, "=") {
		return false
	}
	_, err := base64.URLEncoding.DecodeString(id)
	return err == nil
}

// perform executes the method on the connection. A connection exists from the end of its $connect until its end begins.
func (g *Gateway) perform(w http.ResponseWriter, method, id string, body []byte) *fault {
	gone := &fault{http.StatusGone, "GoneException", "Gone"}
	s := g.socket(id)
	if s == nil {
		return gone
	}
	switch method {
	case http.MethodPost:
		switch err := s.post(body); {
		case errors.Is(err, injected(http.StatusTooManyRequests)), errors.Is(err, errFull):
			return &fault{http.StatusTooManyRequests, "LimitExceededException", err.Error()}
		case errors.Is(err, injected(http.StatusInternalServerError)):
			return &fault{http.StatusInternalServerError, "InternalServerErrorException", err.Error()}
		case err != nil:
			return gone
		}
		g.posted.Add(1) // without WriteHeader, which copies all headers: the status is 200
	case http.MethodDelete:
		s.end(ending{ws.StatusNormalClosure, "Connection Closed Normally", true})
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		answer, err := encode(connectionInfo{
			ConnectedAt:  timestamp(s.connected),
			Identity:     identity{UserAgent: s.userAgent, SourceIP: s.sourceIP},
			LastActiveAt: timestamp(time.Unix(0, s.active.Load())),
		})
		if err != nil {
			return &fault{http.StatusInternalServerError, "", "Internal server error"}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	default:
		return &fault{http.StatusForbidden, "ForbiddenException", "only POST, GET and DELETE are supported"}
	}
	return nil
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

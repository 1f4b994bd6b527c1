// Package modeltest provides strict servers for tests of model providers, one for each wire format. A Server refuses
// the requests that the service refuses, in the service's words, and plays answers and failures frame by frame. Each
// error that it sends repeats the request's key and its last text, as some services do, so that a test can show that
// neither reaches a person or a log.
package modeltest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Wire names a wire format.
type Wire string

// The wire formats.
const (
	Chat      Wire = "chat"      // OpenAI Chat Completions, as every compatible server speaks it
	Responses Wire = "responses" // OpenAI Responses
	Messages  Wire = "messages"  // Anthropic Messages
	Converse  Wire = "converse"  // Bedrock ConverseStream
)

// Reply is what the server does with one request that it accepts. Status, Raw and Answer exclude each other, in this
// order.
type Reply struct {
	Status int               // an HTTP status in place of a stream
	Header map[string]string // further headers
	Body   string            // the body with Status; "" is an error in the wire's own form with Code
	Say    string            // the text of that error; "" is a general one
	Code   string            // the error's code in Body and in the fault Error, such as "rate_limit_exceeded"
	Raw    []string          // frames in place of Answer's: the data of each event
	Answer
	Fault Fault
	Chunk int // writes the stream in pieces of so many bytes; 0 is one frame at a time
}

// Fault interrupts a stream after some frames.
type Fault struct {
	Kind  FaultKind
	After int // frames that are sent before the fault
}

// FaultKind says what happens to a stream.
type FaultKind string

// The faults.
const (
	Cut   FaultKind = "cut"   // the connection is lost
	End   FaultKind = "end"   // the stream ends as a complete one does, and lacks its last frames
	Stall FaultKind = "stall" // nothing more comes, and the connection stays open
	Error FaultKind = "error" // the wire's error frame with Reply.Code, and then the end
)

// Request is one request as the server received it.
type Request struct {
	Path   string
	Header http.Header
	Body   string
}

// Server is a strict server. Its methods are safe for concurrent use.
type Server struct {
	URL  string // without a slash at the end
	wire wire
	t    testing.TB

	mu       sync.Mutex
	replies  []Reply
	requests []Request
	refused  []string
}

// wire is one wire format.
type wire interface {
	path(path string) bool
	// check returns why the service refuses the request, or nil, and the request's last text.
	check(r *http.Request, body []byte) (last string, err *refusal)
	frames(a Answer) []frame
	raw(data string) frame
	failure(code, message string) frame // an error inside a stream
	errorBody(err *refusal) string
	contentType() string
}

// frame is the bytes of one event on the wire.
type frame []byte

// refusal is an error as the service reports it.
type refusal struct {
	status              int
	kind, code, message string
}

func refuse(kind, message string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: kind, message: fmt.Sprintf(message, args...)}
}

// New starts a server on loopback that ends with the test. Each accepted request takes the next reply; the last one
// repeats.
func New(t testing.TB, w Wire, replies ...Reply) *Server {
	t.Helper()
	s := &Server{t: t, wire: wireOf(w), replies: replies}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	s.URL = h.URL
	return s
}

func wireOf(w Wire) wire {
	switch w {
	case Chat:
		return chatWire{}
	case Responses:
		return responsesWire{}
	case Messages:
		return messagesWire{}
	case Converse:
		return converseWire{}
	}
	panic("no wire " + w)
}

// ContentType returns the content type of a wire's streams.
func ContentType(w Wire) string { return wireOf(w).contentType() }

// Stream returns the bytes of an answer's stream.
func Stream(w Wire, a Answer) []byte {
	var out []byte
	for _, f := range wireOf(w).frames(a) {
		out = append(out, f...)
	}
	return out
}

// Requests returns the requests that the server has accepted.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Refused returns the messages with which the server has refused requests.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.refused...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	key := keyOf(r)
	if !s.wire.path(r.URL.Path) || r.Method != http.MethodPost {
		s.refuse(w, &refusal{status: http.StatusNotFound, kind: "not_found", message: "no such address"}, key)
		return
	}
	last, no := s.wire.check(r, body)
	if no != nil {
		s.refuse(w, no, last+" "+key)
		return
	}
	s.play(w, r, s.next(Request{Path: r.URL.Path, Header: r.Header, Body: string(body)}), last+" "+key)
}

// next keeps the request and returns its reply.
func (s *Server) next(r Request) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.requests)
	s.requests = append(s.requests, r)
	if len(s.replies) == 0 {
		return Reply{Answer: Answer{Parts: []Part{{Text: "OK."}}}}
	}
	return s.replies[min(n, len(s.replies)-1)]
}

// refuse answers with an error that repeats secret.
func (s *Server) refuse(w http.ResponseWriter, no *refusal, secret string) {
	s.mu.Lock()
	s.refused = append(s.refused, no.message)
	s.mu.Unlock()
	s.fail(w, no, secret)
}

func (s *Server) fail(w http.ResponseWriter, no *refusal, secret string) {
	told := *no
	told.message += echo + secret
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", no.kind) // only Bedrock's clients read it
	w.WriteHeader(no.status)
	_, _ = io.WriteString(w, s.wire.errorBody(&told)) // the client may have gone
}

// echo stands before what an error repeats of its request.
const echo = ". Your request was: "

func keyOf(r *http.Request) string {
	return r.Header.Get("Authorization") + r.Header.Get("X-Api-Key") + r.Header.Get("Api-Key")
}

// play sends one reply.
func (s *Server) play(w http.ResponseWriter, r *http.Request, p Reply, secret string) {
	for name, value := range p.Header {
		w.Header().Set(name, value)
	}
	if p.Status != 0 {
		if p.Body == "" {
			say := p.Say
			if say == "" {
				say = "The request failed"
			}
			s.fail(w, &refusal{status: p.Status, kind: p.Code, code: p.Code, message: say}, secret)
			return
		}
		w.WriteHeader(p.Status)
		_, _ = io.WriteString(w, p.Body)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", s.wire.contentType())
	}
	frames := s.wire.frames(p.Answer)
	if p.Raw != nil {
		frames = nil
		for _, data := range p.Raw {
			frames = append(frames, s.wire.raw(data))
		}
	}
	if p.Fault.Kind != "" {
		frames = frames[:min(p.Fault.After, len(frames))]
	}
	if p.Fault.Kind == Error {
		frames = append(frames, s.wire.failure(p.Code, "The stream failed"+echo+secret))
	}
	write(w, frames, p.Chunk)
	switch p.Fault.Kind {
	case Stall:
		<-r.Context().Done()
	case Cut:
		panic(http.ErrAbortHandler)
	}
}

// write sends the frames, and flushes after each piece.
func write(w http.ResponseWriter, frames []frame, chunk int) {
	w.WriteHeader(http.StatusOK)
	flush := func() { _ = http.NewResponseController(w).Flush() }
	flush()
	var rest []byte
	for _, f := range frames {
		if chunk == 0 {
			_, _ = w.Write(f)
			flush()
			continue
		}
		rest = append(rest, f...)
	}
	for len(rest) > 0 {
		n := min(chunk, len(rest))
		_, _ = w.Write(rest[:n])
		flush()
		rest = rest[n:]
	}
}

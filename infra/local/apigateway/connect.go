package apigateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// refusal is the HTTP response to a handshake that does not get 101. why is for the log.
type refusal struct {
	status  int
	message string
	why     error
}

// ServeHTTP serves handshakes at /<stage> and the @connections API below it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		http.Error(w, "closing", http.StatusServiceUnavailable)
		return
	}
	defer g.running.Done()
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if id, ok := strings.CutPrefix(path, "/"+g.c.Stage+"/@connections/"); ok {
		g.manage(w, r, id)
		return
	}
	p, requestID := newPeer(r), newID()
	if refused := g.handshake(w, r, &p, requestID); refused != nil {
		g.logf("refused %s from %s: %d %v", p.id, p.sourceIP, refused.status, refused.why)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-RequestId", requestID)
		w.WriteHeader(refused.status)
		w.Write(notice(refused.message, p.id, requestID))
	}
}

// handshake runs the authorizer and the $connect function and upgrades the connection only if both agree.
func (g *Gateway) handshake(w http.ResponseWriter, r *http.Request, p *peer, requestID string) *refusal {
	if refused := g.checkRequest(r); refused != nil {
		return refused
	}
	// Derived from g.invokes, not from the request: on AWS, too, a client that gives up does not stop a function.
	ctx, cancel := context.WithTimeout(g.invokes, g.c.IntegrationTimeout)
	defer cancel()
	h := requestHandshake(r, p)
	if refused := g.authorize(ctx, h, p, requestID); refused != nil {
		return refused
	}
	header, refused := g.runConnect(ctx, h, p, requestID)
	if refused != nil {
		return refused
	}
	return g.upgrade(w, r, p, header)
}

func (g *Gateway) checkRequest(r *http.Request) *refusal {
	switch {
	case len(r.RequestURI) > urlLimit:
		return &refusal{http.StatusRequestURITooLong, "URI Too Long", errors.New("the URL is too long")}
	case r.URL.EscapedPath() != "/"+g.c.Stage:
		return &refusal{http.StatusForbidden, "Forbidden", errors.New("the path is not the stage's")}
	case r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "upgrade") ||
		!hasToken(r.Header, "Upgrade", "websocket"):
		return &refusal{http.StatusUpgradeRequired, "Upgrade Required", errors.New("not a WebSocket upgrade")}
	case r.Header.Get("Sec-WebSocket-Version") != "13" || len(r.Header.Get("Sec-WebSocket-Key")) != 24:
		return &refusal{http.StatusBadRequest, "Bad Request",
			errors.New("Sec-WebSocket-Version or Sec-WebSocket-Key is invalid by RFC 6455")}
	}
	return nil
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// authorize runs the authorizer, if there is one, and stores in p the context that later events carry.
func (g *Gateway) authorize(ctx context.Context, h handshake, p *peer, requestID string) *refusal {
	if g.c.Authorizer == "" {
		return nil
	}
	fault := func(err error) *refusal {
		return &refusal{http.StatusInternalServerError, "Internal server error", fmt.Errorf("authorizer: %w", err)}
	}
	arn := fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s/$connect", g.c.Region, g.c.Account, g.c.APIID, g.c.Stage)
	e, err := encode(authorizerEvent{Type: "REQUEST", MethodArn: arn, handshake: h,
		RequestContext: g.context(p, "CONNECT", "$connect", requestID)})
	if err != nil {
		return fault(err)
	}
	answer, functionError, err := g.c.Invoker.Invoke(ctx, g.c.Authorizer, e)
	if err != nil {
		return fault(err)
	}
	if functionError != "" {
		var failed struct {
			ErrorMessage string `json:"errorMessage"`
		}
		if json.Unmarshal(answer, &failed) == nil && failed.ErrorMessage == "Unauthorized" {
			return &refusal{http.StatusUnauthorized, "Unauthorized", errors.New("the authorizer returned Unauthorized")}
		}
		return fault(fmt.Errorf("the function failed (%s)", functionError))
	}
	a, err := parseAuthorization(answer)
	if err != nil {
		return fault(err)
	}
	allowed, err := a.PolicyDocument.allows(arn)
	if err != nil {
		return fault(err)
	}
	if !allowed {
		return &refusal{http.StatusForbidden, "Forbidden", errors.New("the authorizer's policy denies access")}
	}
	if p.authorizer, err = a.eventContext(); err != nil {
		return fault(err)
	}
	return nil
}

// runConnect runs the $connect function, if there is one, and returns the headers for the 101 response.
func (g *Gateway) runConnect(ctx context.Context, h handshake, p *peer, requestID string) (http.Header, *refusal) {
	function := g.c.Routes["$connect"]
	if function == "" {
		return nil, nil
	}
	fault := func(err error) *refusal {
		return &refusal{http.StatusBadGateway, "Internal server error", fmt.Errorf("$connect function: %w", err)}
	}
	e, err := encode(event{handshake: h, RequestContext: g.context(p, "CONNECT", "$connect", requestID)})
	if err != nil {
		return nil, fault(err)
	}
	answer, functionError, err := g.c.Invoker.Invoke(ctx, function, e)
	if err != nil {
		return nil, fault(err)
	}
	if functionError != "" {
		return nil, fault(fmt.Errorf("the function failed (%s)", functionError))
	}
	var response struct {
		StatusCode        int                 `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return nil, fault(errors.New("the response does not have the shape {statusCode, headers, body}"))
	}
	switch {
	case response.StatusCode < 200 || response.StatusCode > 599:
		return nil, fault(fmt.Errorf("the response has statusCode %d", response.StatusCode))
	case response.StatusCode > 299:
		return nil, &refusal{response.StatusCode, http.StatusText(response.StatusCode),
			errors.New("the $connect function refused the connection")}
	}
	header := make(http.Header)
	for name, value := range response.Headers {
		header.Set(name, value)
	}
	for name, values := range response.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header, nil
}

// upgrade takes the connection over from net/http, so that an idle socket holds none of its buffers. It registers the
// socket before it sends 101, so that a client that knows it is connected can receive posts.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, p *peer, header http.Header) *refusal {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return &refusal{http.StatusInternalServerError, "Internal server error",
			fmt.Errorf("hijack the connection: %w", err)}
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		g.logf("refused %s from %s: not a TCP connection", p.id, p.sourceIP)
		return nil
	}
	var in io.Reader = tcp
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // cannot fail: the bytes are buffered
		in = io.MultiReader(bytes.NewReader(bytes.Clone(early)), tcp)
	}
	// Without a limit the system would buffer megabytes for a client that does not read, unnoticed by this package.
	if err := tcp.SetWriteBuffer(systemBuffer); err != nil {
		g.logf("limit the system's buffer of %s: %v", p.id, err)
	}
	s := newSocket(g, *p, tcp)
	g.running.Go(func() {
		s.serve(bufio.NewReaderSize(in, readBuffer), switching(r.Header.Get("Sec-WebSocket-Key"), header))
	})
	return nil
}

// switching returns the 101 response. It omits the function's headers that concern the handshake itself.
func switching(key string, header http.Header) []byte {
	for _, name := range [...]string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions",
		"Content-Length", "Content-Type", "Transfer-Encoding"} {
		header.Del(name)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: ")
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	header.Write(&b) // drops invalid names and line breaks; a buffer does not fail
	b.WriteString("\r\n")
	return b.Bytes()
}

// disconnect runs the $disconnect function once and logs a failure. AWS does not guarantee this event either.
func (g *Gateway) disconnect(p *peer, end ending) {
	function := g.c.Routes["$disconnect"]
	if function == "" {
		return
	}
	if g.c.LoseDisconnects {
		g.logf("$disconnect of %s is dropped: LoseDisconnects is set", p.id)
		return
	}
	e, err := g.disconnectEvent(p, newID(), end)
	if err != nil {
		g.logf("$disconnect of %s: %v", p.id, err)
		return
	}
	ctx, cancel := context.WithTimeout(g.last, g.c.IntegrationTimeout)
	defer cancel()
	if _, functionError, err := g.c.Invoker.Invoke(ctx, function, e); err != nil || functionError != "" {
		g.logf("$disconnect of %s: function %s failed: %s %v", p.id, function, functionError, err)
	}
}

// abnormalClosure is the ending of a socket whose client vanished without a close frame.
func abnormalClosure() ending {
	return ending{ws.StatusAbnormalClosure, "Connection closed abnormally", false}
}

// age returns how long the connection has existed, for the log.
func (p *peer) age() time.Duration { return time.Since(p.connected).Round(time.Millisecond) }

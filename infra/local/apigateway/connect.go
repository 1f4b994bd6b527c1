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

// refusal is an HTTP answer other than 101 to a handshake, with why for the log.
type refusal struct {
	status  int
	message string
	why     error
}

// ServeHTTP serves handshakes at /<stage> and @connections below it.
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
	if no := g.handshake(w, r, &p, requestID); no != nil {
		g.logf("refused %s from %s: %d %v", p.id, p.sourceIP, no.status, no.why)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-RequestId", requestID)
		w.WriteHeader(no.status)
		w.Write(notice(no.message, p.id, requestID))
	}
}

// handshake asks the authorizer and the $connect function, and only then upgrades: a client never has a socket that one
// of them has not seen.
func (g *Gateway) handshake(w http.ResponseWriter, r *http.Request, p *peer, requestID string) *refusal {
	if no := g.checkRequest(r); no != nil {
		return no
	}
	// Not the request's context: a client that gives up does not stop a function on AWS either.
	ctx, cancel := context.WithTimeout(g.invokes, g.c.IntegrationTimeout)
	defer cancel()
	h := requestHandshake(r, p)
	if no := g.authorize(ctx, h, p, requestID); no != nil {
		return no
	}
	header, no := g.askConnect(ctx, h, p, requestID)
	if no != nil {
		return no
	}
	return g.upgrade(w, r, p, header)
}

func (g *Gateway) checkRequest(r *http.Request) *refusal {
	switch {
	case len(r.RequestURI) > urlLimit:
		return &refusal{http.StatusRequestURITooLong, "URI Too Long", errors.New("URL is too long")}
	case r.URL.EscapedPath() != "/"+g.c.Stage:
		return &refusal{http.StatusForbidden, "Forbidden", errors.New("the path is not the stage's")}
	case r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "upgrade") ||
		!hasToken(r.Header, "Upgrade", "websocket"):
		return &refusal{http.StatusUpgradeRequired, "Upgrade Required", errors.New("no WebSocket was asked for")}
	case r.Header.Get("Sec-WebSocket-Version") != "13" || len(r.Header.Get("Sec-WebSocket-Key")) != 24:
		return &refusal{http.StatusBadRequest, "Bad Request",
			errors.New("Sec-WebSocket-Version or -Key is not as RFC 6455 wants it")}
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

// authorize runs the authorizer, if there is one, and keeps in p what it wants later events to carry.
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
			return &refusal{http.StatusUnauthorized, "Unauthorized", errors.New("the authorizer says Unauthorized")}
		}
		return fault(fmt.Errorf("it failed (%s)", functionError))
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
		return &refusal{http.StatusForbidden, "Forbidden", errors.New("the authorizer's policy does not allow it")}
	}
	if p.authorizer, err = a.carried(); err != nil {
		return fault(err)
	}
	return nil
}

// askConnect runs the $connect function, if there is one, and gives the headers of the upgrade.
func (g *Gateway) askConnect(ctx context.Context, h handshake, p *peer, requestID string) (http.Header, *refusal) {
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
		return nil, fault(fmt.Errorf("it failed (%s)", functionError))
	}
	var response struct {
		StatusCode        int                 `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return nil, fault(errors.New("its answer is not of the shape {statusCode, headers, body}"))
	}
	switch {
	case response.StatusCode < 200 || response.StatusCode > 599:
		return nil, fault(fmt.Errorf("its answer has statusCode %d", response.StatusCode))
	case response.StatusCode > 299:
		return nil, &refusal{response.StatusCode, http.StatusText(response.StatusCode),
			errors.New("the $connect function refuses it")}
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

// upgrade takes the connection over from net/http, so that an idle socket keeps none of its buffers, registers the
// socket, and only then answers 101: a client that knows it is connected can be posted to.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, p *peer, header http.Header) *refusal {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return &refusal{http.StatusInternalServerError, "Internal server error",
			fmt.Errorf("take over the connection: %w", err)}
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		g.logf("refused %s from %s: not a TCP connection", p.id, p.sourceIP)
		return nil
	}
	var in io.Reader = tcp
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // cannot fail: they are there
		in = io.MultiReader(bytes.NewReader(bytes.Clone(early)), tcp)
	}
	// Else the system takes megabytes for a client that does not read, and hides it.
	if err := tcp.SetWriteBuffer(systemBuffer); err != nil {
		g.logf("bound the system's buffer of %s: %v", p.id, err)
	}
	s := newSocket(g, *p, tcp)
	g.running.Go(func() {
		s.serve(bufio.NewReaderSize(in, readBuffer), switching(r.Header.Get("Sec-WebSocket-Key"), header))
	})
	return nil
}

// switching is the 101 answer. What the function says of the handshake itself is not passed on.
func switching(key string, header http.Header) []byte {
	for _, name := range [...]string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions",
		"Content-Length", "Content-Type", "Transfer-Encoding"} {
		header.Del(name)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: " +
		"Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	header.Write(&b) // drops bad names and line breaks; a buffer does not fail
	b.WriteString("\r\n")
	return b.Bytes()
}

// disconnect runs the $disconnect function, once, best effort: on AWS too it is not promised.
func (g *Gateway) disconnect(p *peer, end ending) {
	function := g.c.Routes["$disconnect"]
	if function == "" {
		return
	}
	if g.c.LoseDisconnects {
		g.logf("$disconnect of %s is lost, as you asked", p.id)
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

// abandoned is how a socket ends whose client is gone without a word.
func abandoned() ending {
	return ending{ws.StatusAbnormalClosure, "Connection closed abnormally", false}
}

// age is for the log.
func (p *peer) age() time.Duration { return time.Since(p.connected).Round(time.Millisecond) }

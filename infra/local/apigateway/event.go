package apigateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// peer describes a connection as known from its handshake. Each event of the connection repeats it.
type peer struct {
	id                        string
	connected                 time.Time
	host, sourceIP, userAgent string
	authorizer                json.RawMessage // an object of strings; nil without an authorizer
}

func newPeer(r *http.Request) peer {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	// Cloned, so that an idle socket does not keep its request's memory alive.
	return peer{
		id:        newID(),
		connected: time.Now(),
		host:      strings.Clone(r.Host),
		sourceIP:  strings.Clone(ip),
		userAgent: strings.Clone(r.UserAgent()),
	}
}

// newID returns a random id in AWS's format: 15 characters of base64url and a "=".
func newID() string {
	var b [11]byte
	rand.Read(b[:]) // documented never to fail
	return base64.URLEncoding.EncodeToString(b[:])
}

// handshake is the part of an event that only authorizer, CONNECT and DISCONNECT events have.
type handshake struct {
	Headers                         map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders,omitempty"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters,omitempty"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
}

type authorizerEvent struct {
	Type      string `json:"type"`
	MethodArn string `json:"methodArn"`
	handshake
	RequestContext requestContext `json:"requestContext"`
}

type event struct {
	handshake
	RequestContext  requestContext `json:"requestContext"`
	Body            *string        `json:"body,omitempty"`
	IsBase64Encoded bool           `json:"isBase64Encoded"`
}

type requestContext struct {
	RouteKey             string          `json:"routeKey"`
	Authorizer           json.RawMessage `json:"authorizer,omitempty"`
	MessageID            string          `json:"messageId,omitempty"`
	DisconnectStatusCode int             `json:"disconnectStatusCode,omitempty"`
	DisconnectReason     *string         `json:"disconnectReason,omitempty"`
	EventType            string          `json:"eventType"`
	ExtendedRequestID    string          `json:"extendedRequestId"`
	RequestTime          string          `json:"requestTime"`
	MessageDirection     string          `json:"messageDirection"`
	Stage                string          `json:"stage"`
	ConnectedAt          int64           `json:"connectedAt"`
	RequestTimeEpoch     int64           `json:"requestTimeEpoch"`
	Identity             identity        `json:"identity"`
	RequestID            string          `json:"requestId"`
	DomainName           string          `json:"domainName"`
	ConnectionID         string          `json:"connectionId"`
	APIID                string          `json:"apiId"`
}

type identity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

func (g *Gateway) context(p *peer, eventType, routeKey, requestID string) requestContext {
	now := time.Now()
	return requestContext{
		RouteKey:          routeKey,
		Authorizer:        p.authorizer,
		EventType:         eventType,
		ExtendedRequestID: requestID,
		RequestTime:       now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		MessageDirection:  "IN",
		Stage:             g.c.Stage,
		ConnectedAt:       p.connected.UnixMilli(),
		RequestTimeEpoch:  now.UnixMilli(),
		Identity:          identity{UserAgent: p.userAgent, SourceIP: p.sourceIP},
		RequestID:         requestID,
		DomainName:        p.host,
		ConnectionID:      p.id,
		APIID:             g.c.APIID,
	}
}

func (g *Gateway) messageEvent(p *peer, routeKey, requestID string, body []byte) ([]byte, error) {
	text := string(body)
	e := event{RequestContext: g.context(p, "MESSAGE", routeKey, requestID), Body: &text}
	e.RequestContext.MessageID = newID()
	return encode(e)
}

func (g *Gateway) disconnectEvent(p *peer, requestID string, end ending) ([]byte, error) {
	header := http.Header{"Host": {p.host}, "x-api-key": {""}, "X-Forwarded-For": {""}, "x-restapi": {""}}
	e := event{handshake: newHandshake(header, nil),
		RequestContext: g.context(p, "DISCONNECT", "$disconnect", requestID)}
	e.RequestContext.DisconnectStatusCode = int(end.code)
	e.RequestContext.DisconnectReason = &end.reason
	return encode(e)
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	return b, nil
}

// requestHandshake returns the headers and query of a request as an event shows them: without hop-by-hop headers, with
// the Host header.
func requestHandshake(r *http.Request, p *peer) handshake {
	header := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade":
		default:
			// Events use the browsers' spelling of these names, which net/http changes.
			header[strings.Replace(name, "Sec-Websocket-", "Sec-WebSocket-", 1)] = values
		}
	}
	header["Host"] = []string{p.host}
	header["X-Forwarded-For"] = []string{p.sourceIP}
	return newHandshake(header, r.URL.Query())
}

func newHandshake(header http.Header, query url.Values) handshake {
	return handshake{
		Headers:                         lastOf(header),
		MultiValueHeaders:               header,
		QueryStringParameters:           lastOf(query),
		MultiValueQueryStringParameters: query,
	}
}

func lastOf(m map[string][]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		if len(v) > 0 {
			out[k] = v[len(v)-1]
		}
	}
	return out
}

// notice returns the text of a frame or response of API Gateway itself, with AWS's spacing.
func notice(message, connectionID, requestID string) []byte {
	return fmt.Appendf(nil, `{"message": %q, "connectionId":%q, "requestId":%q}`, message, connectionID, requestID)
}

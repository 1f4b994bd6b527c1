// Package exchange sends one model call over HTTP and turns each failure into an engine.ModelError. Its errors never
// repeat what the provider says, because providers repeat prompts and keys.
package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"carrel/shared/engine"
)

// maxErrorBody bounds the part of an error that is read, in bytes.
const maxErrorBody = 64 << 10

// Key returns a provider's key. With fresh set, the key that it returned last was refused, and it fetches a new one.
type Key func(ctx context.Context, fresh bool) (string, error)

// Endpoint is where and how a model is called. It is immutable and safe for concurrent use.
type Endpoint struct {
	Provider string // its name in errors, usage and Keep
	Model    string // the model's name there
	URL      string
	Key      Key                             // nil: no key
	Sign     func(h http.Header, key string) // writes the key into the headers
	Header   http.Header                     // further headers
	Client   *http.Client                    // made by NewClient
	LogText  bool                            // errors have the provider's text, without what resembles a key
}

// NewClient returns a client for providers. It follows no redirect, because a redirect would take the key with it. The
// context of a call bounds the whole call.
func NewClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 10 * time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ErrFiltered is the error of a request that the provider's content policy refuses.
var ErrFiltered = errors.New("the provider's content policy refuses the request")

// Post sends a request and returns the body of its answer, a stream that the caller closes. A refused key is fetched
// again once. Any error but ctx's and ErrFiltered is a *engine.ModelError.
func Post(ctx context.Context, e Endpoint, body []byte) (io.ReadCloser, error) {
	for fresh := false; ; fresh = true {
		r, err := send(ctx, e, body, fresh)
		if err != nil {
			return nil, err
		}
		if r.StatusCode == http.StatusUnauthorized && !fresh && e.Key != nil {
			_ = r.Body.Close() // its error says nothing more about the answer
			continue
		}
		if r.StatusCode == http.StatusOK && !isDocument(r.Header) {
			return r.Body, nil
		}
		err = refused(e, r)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
}

func send(ctx context.Context, e Endpoint, body []byte, fresh bool) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return nil, e.Fail(engine.Refused, "the endpoint's address is invalid", Said{})
	}
	for name, values := range e.Header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	if e.Key != nil {
		key, err := e.Key(ctx, fresh)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, &engine.ModelError{Kind: engine.Refused,
				Cause: fmt.Errorf("%s/%s: fetch the provider's key: %w", e.Provider, e.Model, err)}
		}
		e.Sign(r.Header, key)
	}
	answer, err := e.Client.Do(r)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, e.Fail(engine.Overloaded, "the connection failed: "+networkFault(err), Said{})
	}
	return answer, nil
}

// networkFault describes an error of the HTTP client without its address, which may have a key in its query.
func networkFault(err error) string {
	var dial *net.OpError
	switch {
	case errors.As(err, &dial):
		return dial.Op + ": " + dial.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed it"
	}
	return fmt.Sprintf("%T", errors.Unwrap(err))
}

// isDocument reports whether an answer is a document in place of a stream: an error in JSON, or a page of a proxy.
func isDocument(h http.Header) bool {
	kind := h.Get("Content-Type")
	return strings.HasPrefix(kind, "application/json") || strings.HasPrefix(kind, "text/html")
}

// refused returns the error of an answer that is not a stream.
func refused(e Endpoint, r *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxErrorBody))
	if closing := r.Body.Close(); err != nil || closing != nil {
		return e.Fail(engine.Cut, "the connection was lost within an error", Said{Status: r.StatusCode})
	}
	s := Read(body)
	s.Status, s.RequestID, s.After = r.StatusCode, requestID(r.Header), After(r.Header)
	if s.Code == "content_filter" || s.Code == "content_policy_violation" {
		return ErrFiltered
	}
	kind := s.kind()
	if r.StatusCode == http.StatusOK && s.Code == "" && s.Type == "" {
		kind = engine.Overloaded
	}
	return e.Fail(kind, "", s)
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid", "Apim-Request-Id"} {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// Read reads an error as providers write it in JSON: an object with the member error, or one without.
func Read(body []byte) Said {
	var outer struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Code    any             `json:"code"`
		Type    string          `json:"type"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return Said{Text: string(body), broken: true}
	}
	s := Said{Text: outer.Message, Code: text(outer.Code), Type: outer.Type}
	var inner struct {
		Message string `json:"message"`
		Code    any    `json:"code"`
		Type    string `json:"type"`
	}
	if json.Unmarshal(outer.Error, &inner) == nil && outer.Error != nil {
		s = Said{Text: inner.Message, Code: text(inner.Code), Type: inner.Type}
	} else if json.Unmarshal(outer.Error, &s.Text) == nil && s.Code == "" {
		s.Code = "error"
	}
	return s
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

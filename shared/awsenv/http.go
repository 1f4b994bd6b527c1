package awsenv

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// requestTimeout bounds one attempt of any AWS call. The caller's context bounds all attempts together.
const requestTimeout = 10 * time.Second

// client copies each request body into memory before it sends the request. The SDK closes its own body as soon as Do
// returns, while the transport's write loop may still read it. On a fast endpoint a few percent of the calls then fail
// with "use of closed network connection", which the SDK's retries hide as latency.
type client struct{ http http.Client }

// Streaming returns c with an HTTP client that does not bound the time of an answer, for services that stream answers
// for minutes. The context of each call must bound it.
func Streaming(c aws.Config) aws.Config {
	c.HTTPClient = newHTTPClient(0)
	return c
}

func newHTTPClient(timeout time.Duration) *client {
	return &client{http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 3 * time.Second,
		},
	}}
}

// Do sends one request and returns the response, like http.Client.Do.
func (c *client) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("read the request body: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.ContentLength = int64(len(body))
	}
	return c.http.Do(r)
}

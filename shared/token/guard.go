package token

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Between two fetches of one address at least this long passes: after a good one, and after a failed one.
const (
	fetchPause = 10 * time.Second
	retryPause = time.Second
)

var errAskedLately = errors.New("the issuer was asked for its keys a moment ago and did not know this one")

// private reports whether an address can be trusted on the way: https, or on this machine.
func private(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()))
}

// keyGuard stands in front of the issuer, because anybody can send tokens with made-up key ids and each would cause a
// fetch of the key set.
type keyGuard struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	free map[string]time.Time // address → when it may be asked again
}

// RoundTrip refuses a request that comes too early, and one to an address without TLS, whose answer anybody on the way could forge.
func (g *keyGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
	if !private(r.URL) {
		return nil, fmt.Errorf("the issuer names the address %s, which must begin with https://", url)
	}
	if !g.enter(url) {
		return nil, errAskedLately
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		g.mu.Lock()
		g.free[url] = g.now().Add(retryPause)
		g.mu.Unlock()
	}
	return resp, err
}

func (g *keyGuard) enter(url string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if now.Before(g.free[url]) {
		return false
	}
	if g.free == nil {
		g.free = map[string]time.Time{}
	}
	g.free[url] = now.Add(fetchPause)
	return true
}

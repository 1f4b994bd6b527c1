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

// The shortest time between two fetches of the same address: fetchPause after a success, retryPause after a failure.
const (
	fetchPause = 10 * time.Second
	retryPause = time.Second
)

var errFetchedRecently = errors.New("the keys of the issuer were fetched a moment ago and do not include this key")

// private reports whether a response from this address cannot be changed on its way: the address is https, or on this
// machine.
func private(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" &&
		(u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()))
}

// keyGuard limits the requests to the issuer. Without it, tokens with invented key ids, which any client can send,
// would each cause a fetch of the key set.
type keyGuard struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	free map[string]time.Time // address → the time of the next allowed request
}

// RoundTrip refuses a request that comes too early, and a request without TLS, whose response could be forged on its
// way.
func (g *keyGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
	if !private(r.URL) {
		return nil, fmt.Errorf("the issuer names the address %s, which must begin with https://", url)
	}
	if !g.enter(url) {
		return nil, errFetchedRecently
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

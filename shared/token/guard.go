package token

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// Between two fetches of one address at least this long passes: after a good one, and after a failed one.
const (
	fetchPause = 10 * time.Second
	retryPause = time.Second
)

var errAskedLately = errors.New("the issuer was asked for its keys a moment ago and did not know this one")

// keyGuard stands in front of the issuer, because anybody can send tokens with made-up key ids and each would cause a
// fetch of the key set.
type keyGuard struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	free map[string]time.Time // address → when it may be asked again
}

// RoundTrip refuses what comes too early.
func (g *keyGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
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

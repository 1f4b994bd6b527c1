// Package guardedhttp provides the HTTP client for addresses that a user, a model, a page or a server can influence. It
// keeps such a request away from everything that only this process can reach: the machine itself, the network around it
// and the credentials that the cloud serves there. It checks the address that is dialled, so neither a name that
// resolves to a private address nor a redirect gets past it.
package guardedhttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The bounds of one request.
const (
	dialTime     = 10 * time.Second
	headerTime   = 30 * time.Second // until the response's header has arrived
	maxRedirects = 3
	maxHeader    = 64 << 10 // bytes of a response's header
)

// ErrRefused is wrapped by the errors of requests that the guard refuses.
var ErrRefused = errors.New("guardedhttp: the address is refused")

// Config configures a client.
type Config struct {
	// RuntimePort is the port of the Lambda runtime API on this machine, which answers on link-local and loopback
	// addresses. No address is dialled on this port. 0 names none.
	RuntimePort int
	// Loopback allows http and loopback addresses, for servers on a developer's machine. No template may set it.
	Loopback bool

	resolver *net.Resolver // for tests; nil is the system's
}

// New returns a client that sends requests to public addresses over https only. It uses no proxy, because a proxy
// would dial in its place. It follows at most three redirects, each to an https address, and sends no header of the
// request but Accept, Accept-Language and User-Agent to another origin. A request needs a deadline of its own. The
// client keeps no connection after a response, so that two users never share one. It is safe for concurrent use.
func New(c Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTime, Resolver: c.resolver, ControlContext: c.control}
	return &http.Client{
		Transport: &transport{loopback: c.Loopback, next: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, DisableKeepAlives: true,
			TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: headerTime, MaxResponseHeaderBytes: maxHeader,
		}},
		CheckRedirect: checkRedirect,
	}
}

// control checks an address that is about to be dialled. It runs after the name was resolved, for each address.
func (c Config) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: the network %q", ErrRefused, network)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: cannot parse %q", ErrRefused, address)
	}
	if c.RuntimePort != 0 && int(target.Port()) == c.RuntimePort {
		return fmt.Errorf("%w: the port %d belongs to the runtime", ErrRefused, c.RuntimePort)
	}
	if c.Loopback && unwrap(target.Addr()).IsLoopback() {
		return nil
	}
	if !public(target.Addr()) {
		return fmt.Errorf("%w: %s is not public", ErrRefused, target.Addr())
	}
	return nil
}

// public reports whether an address belongs to the public internet.
func public(a netip.Addr) bool {
	a = unwrap(a)
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsMulticast() ||
		a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return false
	}
	return !slices.ContainsFunc(reserved(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// reserved returns the ranges that are not public and that netip does not name.
func reserved() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
		"64:ff9b:1::/48",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// unwrap returns the IPv4 address inside an IPv4-mapped or NAT64 address, and every other address as it is.
func unwrap(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() && netip.MustParsePrefix("64:ff9b::/96").Contains(a.WithZone("")) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// transport checks the URL of each request, redirected ones too.
type transport struct {
	loopback bool
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.check(r.URL); err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	return t.next.RoundTrip(r)
}

// check refuses URLs that are not https, and those with credentials.
func (t *transport) check(u *url.URL) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%w: it has a user name", ErrRefused)
	case u.Hostname() == "":
		return fmt.Errorf("%w: it has no host", ErrRefused)
	case u.Scheme == "https" || t.loopback && u.Scheme == "http" && local(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%w: %q is not https", ErrRefused, u.Scheme)
}

// local reports whether a host is this machine by its name or address.
func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// checkRedirect bounds the redirects. A request that leaves the first origin keeps none of its credentials, wherever a
// later redirect leads: net/http alone keeps unknown headers, and names the page that redirects. A body is not repeated
// elsewhere, because it may hold credentials too.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("guardedhttp: more than %d redirects", maxRedirects)
	}
	elsewhere := func(later *http.Request) bool {
		first := via[0].URL
		return !strings.EqualFold(later.URL.Host, first.Host) || later.URL.Scheme != first.Scheme
	}
	if !elsewhere(r) && !slices.ContainsFunc(via, elsewhere) {
		return nil
	}
	if r.Body != nil && r.Body != http.NoBody {
		return fmt.Errorf("%w: a redirect of a request with a body to another origin", ErrRefused)
	}
	for name := range r.Header {
		if !slices.Contains([]string{"Accept", "Accept-Language", "User-Agent"}, name) {
			r.Header.Del(name)
		}
	}
	return nil
}

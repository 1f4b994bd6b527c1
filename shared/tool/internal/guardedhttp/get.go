package guardedhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxAddress bounds the bytes of an address.
const maxAddress = 2000

// ErrNoHost is wrapped by the error of a request to a host that has no address.
var ErrNoHost = errors.New("guardedhttp: no such host")

// Page is the response to Get.
type Page struct {
	Address string // of the page, after redirects
	Status  int
	Type    string // the media type without parameters, in lower case
	Charset string // in lower case; "" if the server names none
	Body    []byte
	Cut     bool   // Body is only the beginning
	Moved   string // the address at another host to which the server redirects; no request was sent there
}

// Host returns the host of an address that Get may request, in lower case and without the port. It checks the form of
// the address only.
func Host(address string) (string, error) {
	u, err := parse(address)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), nil
}

// parse parses an address. A host in other letters than ASCII is refused, because the person could take it for another
// one.
func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxAddress {
		return nil, fmt.Errorf("%w: it is not an address of at most %d bytes", ErrRefused, maxAddress)
	}
	if strings.ContainsFunc(u.Hostname(), func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fmt.Errorf("%w: its host has other characters than ASCII", ErrRefused)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("%w: it has no host, or it is not https", ErrRefused)
	}
	return u, nil
}

// Get requests a page with a client of New and reads at most so many bytes of it. It follows redirects within the host
// only, because a caller may have approved that host alone. Its errors do not repeat the address. ctx needs a deadline.
func Get(ctx context.Context, c *http.Client, address, accept string, most int64) (Page, error) {
	u, err := parse(address)
	if err != nil {
		return Page{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrRefused, withoutAddress(err))
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "Carrel")
	within := *c
	within.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if !strings.EqualFold(r.URL.Host, via[0].URL.Host) {
			return http.ErrUseLastResponse
		}
		return c.CheckRedirect(r, via)
	}
	resp, err := within.Do(r)
	if err != nil {
		return Page{}, withoutAddress(err)
	}
	defer resp.Body.Close()
	p := Page{Address: resp.Request.URL.String(), Status: resp.StatusCode}
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		p.Moved = to.String()
		return p, nil
	}
	kind, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil {
		p.Type, p.Charset = kind, strings.ToLower(parameters["charset"])
	}
	p.Body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	if int64(len(p.Body)) > most {
		p.Body, p.Cut = p.Body[:most], true
	}
	return p, withoutAddress(err)
}

// withoutAddress returns an error without the address and the host, which may hold what a person wrote.
func withoutAddress(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return ErrNoHost
	}
	return err
}

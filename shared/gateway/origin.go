package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Origin is the web origin of a page: scheme, host and port (RFC 6454). Equal values are the same origin.
type Origin struct{ scheme, host, port string }

// ParseOrigins reads a list of origins, such as https://chat.example.com, separated by spaces. An empty list is an
// error.
func ParseOrigins(text string) ([]Origin, error) {
	var all []Origin
	for _, one := range strings.Fields(text) {
		o, err := parseOrigin(one)
		if err != nil {
			return nil, fmt.Errorf("gateway: the origin %q: %w", one, err)
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		return nil, errors.New("gateway: no origin is configured: name those of the pages that may connect")
	}
	return all, nil
}

// parseOrigin reads one origin. An opaque origin, which a browser sends as null, is an error, and so is any text
// besides the three parts of an origin.
func parseOrigin(text string) (Origin, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Origin{}, errors.New("it is not an address")
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	if host == "" || port == "" || scheme != "https" && scheme != "http" {
		return Origin{}, errors.New("it must be https://host or http://host, with a port if it has one")
	}
	if strings.ToLower(text) != scheme+"://"+strings.ToLower(u.Host) {
		return Origin{}, errors.New("it must have nothing beside scheme, host and port")
	}
	return Origin{scheme, host, port}, nil
}

// allowed refuses a handshake from a page of another origin. Browsers always send an Origin, and pages cannot change
// it. Other clients send none. So a stolen token opens no socket from an attacker's page.
func (a *Authorizer) allowed(headers map[string]string) error {
	text, sent := header(headers, originHeader)
	if !sent {
		return nil
	}
	o, err := parseOrigin(text)
	if err != nil {
		return fmt.Errorf("the handshake's Origin: %w", err)
	}
	if !slices.Contains(a.Origins, o) {
		return errors.New("the handshake's Origin is not one of ORIGINS")
	}
	return nil
}

// Package sts holds the access keys of the local stack and serves AssumeRole like AWS's STS: the role's trust policy
// and the caller's own policy decide, a session has tags, and its credentials expire. Every request must be signed with
// the secret of its access key.
package sts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/infra/local/iam"
	"carrel/infra/local/loopback"
	"carrel/infra/local/sigv4"
)

const stopTime = 2 * time.Second // time for running requests when the service closes

// Principal is the owner of an access key: a role in use.
type Principal struct {
	Name   string // readable name of the original owner, such as a function's logical id
	ARN    string // of the session, as errors name it
	Role   string // the role's ARN, as trust policies name it
	Policy *iam.Policy
	Tags   map[string]string // of the session
}

// Context returns the condition keys of the principal, for the context of its requests.
func (p Principal) Context() map[string][]string {
	c := map[string][]string{"aws:principalarn": {p.Role}}
	for key, value := range p.Tags {
		c["aws:principaltag/"+key] = []string{value}
	}
	return c
}

// Role is a role that can be assumed.
type Role struct {
	ARN        string
	Trust      *iam.Policy
	Policy     *iam.Policy
	MaxSession time.Duration // maximum duration of a session
}

// ErrUnknown and ErrExpired are the errors of Authenticate.
var (
	ErrUnknown = errors.New("the security token included in the request is invalid")
	ErrExpired = errors.New("the security token included in the request is expired")
)

// Service holds the access keys and serves AssumeRole. Its methods are safe for concurrent use.
type Service struct {
	now     func() time.Time
	roles   map[string]Role // by ARN
	url     string
	server  *loopback.Server
	serving sync.WaitGroup

	mu       sync.Mutex
	holders  map[string]holder // by access key id
	verifier *sigv4.Verifier
	tokens   map[string]string // access key ids by token
}

// holder is the owner of an access key.
type holder struct {
	Principal
	secret      string
	token       string    // required session token; "" accepts any: a function's token identifies its environment
	callerToken string    // session token of the caller that assumed the role
	expires     time.Time // zero: never
}

// Start serves on a free port of the loopback interface until Close is called. now is the clock; nil means time.Now.
func Start(roles []Role, now func() time.Time) (*Service, error) {
	s := &Service{now: now, roles: map[string]Role{}, holders: map[string]holder{}, tokens: map[string]string{}}
	if now == nil {
		s.now = time.Now
	}
	s.verifier = sigv4.New("sts", "", s.Secret)
	for _, r := range roles {
		s.roles[r.ARN] = r
	}
	l, err := loopback.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start STS: %w", err)
	}
	s.url = "http://" + l.Addr()
	s.server = l.Server(loopback.Config{Handler: s})
	s.serving.Go(func() { _ = s.server.Serve() }) // ends when Close stops the server
	return s, nil
}

// URL returns the service's address, without a trailing slash.
func (s *Service) URL() string { return s.url }

// Close stops serving. Running requests get two seconds to finish.
func (s *Service) Close() error {
	err := s.server.Stop(stopTime)
	s.serving.Wait()
	return err
}

// Key is an access key.
type Key struct{ ID, Secret string }

// Add registers a permanent access key of a principal.
func (s *Service) Add(k Key, p Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders[k.ID] = holder{Principal: p, secret: k.Secret}
}

// Secret returns the secret of an access key, or false for an unknown one.
func (s *Service) Secret(accessKeyID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.holders[accessKeyID]
	return h.secret, known
}

// Authenticate returns the owner of credentials, ErrUnknown for unknown ones, or ErrExpired.
func (s *Service) Authenticate(accessKeyID, token string) (Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.holders[accessKeyID]
	switch {
	case !known || h.token != "" && h.token != token:
		return Principal{}, ErrUnknown
	case !h.expires.IsZero() && !s.now().Before(h.expires):
		return Principal{}, ErrExpired
	}
	return h.Principal, nil
}

// Name returns the readable name of an access key's owner, or false for an unknown key.
func (s *Service) Name(accessKeyID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.holders[accessKeyID]
	return h.Name, known
}

// Origin returns the session token with which a session's role was assumed. For any other token it returns the token.
// The result identifies the execution environment that a request comes from.
func (s *Service) Origin(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, known := s.tokens[token]; known {
		return s.holders[id].callerToken
	}
	return token
}

// credentials are the result of AssumeRole.
type credentials struct {
	id, secret, token string
	expires           time.Time
}

// issue creates credentials of a principal and deletes credentials that expired more than an hour ago.
func (s *Service) issue(p Principal, callerToken string, duration time.Duration) credentials {
	c := credentials{"ASIA" + rand.Text()[:16], rand.Text(), rand.Text() + rand.Text(), s.now().Add(duration)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.holders {
		// Kept for an hour after their end, so that they are reported as expired, not as unknown.
		if !h.expires.IsZero() && s.now().After(h.expires.Add(time.Hour)) {
			delete(s.holders, id)
			delete(s.tokens, h.token)
		}
	}
	s.holders[c.id], s.tokens[c.token] = holder{p, c.secret, c.token, callerToken, c.expires}, c.id
	return c
}

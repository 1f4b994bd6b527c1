// Package sts knows who has which credentials on the local stack, and answers AssumeRole as AWS's STS does: by the
// role's trust policy and the caller's own, with session tags, for a limited time. Whoever asks must have signed with
// the key's secret.
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

const stopTime = 2 * time.Second // for requests that are being answered when the service closes

// Principal is who asks: a role in use.
type Principal struct {
	Name   string // for people: whose credentials they are in the end, such as a function's logical id
	ARN    string // of the session, as errors name it
	Role   string // the role's ARN, as trust policies name it
	Policy *iam.Policy
	Tags   map[string]string // of the session
}

// Context is what conditions may look at of a principal, to be added to a request's.
func (p Principal) Context() map[string][]string {
	c := map[string][]string{"aws:principalarn": {p.Role}}
	for key, value := range p.Tags {
		c["aws:principaltag/"+key] = []string{value}
	}
	return c
}

// Role is a role that can be assumed.
type Role struct {
	ARN     string
	Trust   *iam.Policy
	Policy  *iam.Policy
	Longest time.Duration // a session's
}

// ErrUnknown and ErrExpired are what credentials may be.
var (
	ErrUnknown = errors.New("the security token included in the request is invalid")
	ErrExpired = errors.New("the security token included in the request is expired")
)

// Service is the directory and its endpoint. Its methods may be called concurrently.
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

// holder is who has an access key.
type holder struct {
	Principal
	secret  string
	token   string    // that must come with it; "": any, which then says where its holder is at work
	asked   string    // the token of whoever asked for these credentials
	expires time.Time // zero: never
}

// Start serves on a free port of the loopback interface until Close is called. now is the clock; nil: time.Now.
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
	s.serving.Go(func() { _ = s.server.Serve() }) // it ends when Close says so
	return s, nil
}

// URL is where the service answers, without a slash at its end.
func (s *Service) URL() string { return s.url }

// Close stops serving; requests that are being answered get two seconds.
func (s *Service) Close() error {
	err := s.server.Stop(stopTime)
	s.serving.Wait()
	return err
}

// Key is an access key.
type Key struct{ ID, Secret string }

// Add lets a principal in for good, by an access key of its own.
func (s *Service) Add(k Key, p Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders[k.ID] = holder{Principal: p, secret: k.Secret}
}

// Secret is that of an access key; false for an unknown one.
func (s *Service) Secret(accessKeyID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.holders[accessKeyID]
	return h.secret, known
}

// Who has these credentials: ErrUnknown for nobody, ErrExpired if their time is over.
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

// Name is for people: whose an access key is, if anybody's.
func (s *Service) Name(accessKeyID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.holders[accessKeyID]
	return h.Name, known
}

// Origin is the token with which the role of a session was assumed, for as long as the session's; of any other token it
// is that token. It says where the work of a session is done.
func (s *Service) Origin(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, known := s.tokens[token]; known {
		return s.holders[id].asked
	}
	return token
}

// credentials are what AssumeRole hands out.
type credentials struct {
	id, secret, token string
	expires           time.Time
}

// issue makes credentials of a principal, and forgets those that are over.
func (s *Service) issue(p Principal, asked string, lasting time.Duration) credentials {
	c := credentials{"ASIA" + rand.Text()[:16], rand.Text(), rand.Text() + rand.Text(), s.now().Add(lasting)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.holders {
		// an hour longer they are expired, not unknown
		if !h.expires.IsZero() && s.now().After(h.expires.Add(time.Hour)) {
			delete(s.holders, id)
			delete(s.tokens, h.token)
		}
	}
	s.holders[c.id], s.tokens[c.token] = holder{p, c.secret, c.token, asked, c.expires}, c.id
	return c
}

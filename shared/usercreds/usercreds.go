// Package usercreds opens a user's part of the table with credentials that reach nothing else, and signs requests to
// other services with them. They come from a role that is assumed for this user, with the user's key as the session
// tag. If code builds a wrong key, or a tool misbehaves, IAM denies the request.
package usercreds

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"carrel/shared/chat"
	"carrel/shared/store"
)

const (
	session = 15 * time.Minute // how long credentials are valid; the minimum of STS
	// credentials are renewed this long before they expire, so that a run does not wait for STS
	early = 5 * time.Minute
	again = 30 * time.Second // the time between a failed renewal and the next
	// the time limit of a renewal while the old credentials are valid; a longer wait could cost a run its lease
	renewal = 2 * time.Second
	tag     = "user" // the session tag that the policy of the role names
)

// Tables opens the table for one user at a time. It keeps credentials while they are valid, so that an execution
// environment, which serves one user's runs, calls STS once in ten minutes. It is safe for concurrent use.
type Tables struct {
	aws   aws.Config
	sts   *sts.Client
	role  string
	store store.Config

	mu    sync.Mutex
	users map[chat.User]*opened
}

// opened is the table with the credentials of one user.
type opened struct {
	table       *store.Table
	credentials aws.CredentialsProvider
	used        time.Time
}

// New returns Tables that assume the role with this ARN, using the AWS configuration c of the function. It makes no
// request.
func New(c aws.Config, role string, s store.Config) *Tables {
	return &Tables{aws: c, sts: sts.NewFromConfig(c), role: role, store: s, users: map[chat.User]*opened{}}
}

// For opens the part of one user. It makes no request: the first request to the table obtains the credentials, and
// fails if STS does. The zero user is refused with chat.ErrNoUser.
func (t *Tables) For(u chat.User) (*store.Store, error) {
	if u.IsZero() {
		return nil, fmt.Errorf("open the table for a user: %w", chat.ErrNoUser)
	}
	return t.open(u).table.For(u)
}

// open returns the table and the credentials of one user.
func (t *Tables) open(u chat.User) *opened {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for other, o := range t.users {
		if now.Sub(o.used) > session { // its credentials have expired
			delete(t.users, other)
		}
	}
	o := t.users[u]
	if o == nil {
		c := t.aws
		c.Credentials = aws.NewCredentialsCache(&provider{role: t.assumeRole(u)}, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = early
		})
		o = &opened{table: store.New(store.NewClient(c), t.store), credentials: c.Credentials}
		t.users[u] = o
	}
	o.used = now
	return o
}

// assumeRole returns the provider that assumes the role for one user. The session name, which CloudTrail shows and
// which has at most 64 characters, holds the user's hash.
func (t *Tables) assumeRole(u chat.User) *stscreds.AssumeRoleProvider {
	return stscreds.NewAssumeRoleProvider(t.sts, t.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "user-" + u.Hash()
		o.Duration = session
		o.Tags = []types.Tag{{Key: aws.String(tag), Value: aws.String(u.Key())}}
	})
}

// provider obtains credentials from STS. If STS refuses a renewal or does not respond, it keeps the old credentials
// while they are valid. The SDK's cache never calls it concurrently.
type provider struct {
	role    *stscreds.AssumeRoleProvider
	expires time.Time // the end of the newest credentials
}

// Retrieve implements aws.CredentialsProvider.
func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.valid() {
		limited, cancel := context.WithTimeout(ctx, renewal)
		defer cancel()
		ctx = limited
	}
	c, err := p.role.Retrieve(ctx)
	if err != nil {
		return c, fmt.Errorf("obtain credentials for a user: %w", err)
	}
	p.expires = c.Expires
	return c, nil
}

// valid reports whether the newest credentials remain valid until the next renewal.
func (p *provider) valid() bool { return time.Now().Before(p.expires.Add(-again)) }

// HandleFailToRefresh implements an interface of the SDK's cache, which finds it by a type assertion. It returns the
// old credentials with a new expiry time, from which the cache subtracts early.
func (p *provider) HandleFailToRefresh(
	_ context.Context, old aws.Credentials, err error,
) (aws.Credentials, error) {
	if !old.HasKeys() || !p.valid() {
		return aws.Credentials{}, err
	}
	old.Expires = time.Now().Add(early + again)
	return old, nil
}

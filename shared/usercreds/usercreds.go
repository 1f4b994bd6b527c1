// Package usercreds opens a user's part of the table with credentials that reach nothing else: those of a role that is
// assumed for this one user, whose key is the session's tag. Were a key wrong, or a tool gone wild, IAM refuses.
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
	session = 15 * time.Minute // the shortest that there is
	early   = 5 * time.Minute  // before its end another is asked for: a run's requests never wait for the last moment
	again   = 30 * time.Second // after a failure STS is asked again
	renewal = 2 * time.Second  // in which STS must answer while there are others: a run's lease bears no more
	tag     = "user"           // the role's policy names it
)

// Tables opens the table for one user after the other. Credentials are kept for as long as they are good, so that an
// environment, which has one user's runs, asks once in ten minutes. It is safe for concurrent use.
type Tables struct {
	aws   aws.Config
	sts   *sts.Client
	role  string
	store store.Config

	mu    sync.Mutex
	users map[chat.User]*opened
}

// opened is the table by one user's credentials.
type opened struct {
	table *store.Table
	used  time.Time
}

// New is of a function's own AWS configuration, which may assume the role with this ARN. It makes no request.
func New(c aws.Config, role string, s store.Config) *Tables {
	return &Tables{aws: c, sts: sts.NewFromConfig(c), role: role, store: s, users: map[chat.User]*opened{}}
}

// For opens one user's part. It makes no request: the first one to the table asks for credentials, and fails as that
// does. The zero user is refused with chat.ErrNoUser.
func (t *Tables) For(u chat.User) (*store.Store, error) {
	if u.IsZero() {
		return nil, fmt.Errorf("act for a user: %w", chat.ErrNoUser)
	}
	return t.table(u).For(u)
}

func (t *Tables) table(u chat.User) *store.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for other, o := range t.users {
		if now.Sub(o.used) > session { // what it holds is over, or asked for again soon
			delete(t.users, other)
		}
	}
	o := t.users[u]
	if o == nil {
		c := t.aws
		c.Credentials = aws.NewCredentialsCache(&provider{role: t.assumed(u)}, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = early
		})
		o = &opened{table: store.New(store.NewClient(c), t.store)}
		t.users[u] = o
	}
	o.used = now
	return o.table
}

// assumed asks STS. A session is named for the user's hash, which CloudTrail shows; a name ends at 64 characters.
func (t *Tables) assumed(u chat.User) *stscreds.AssumeRoleProvider {
	return stscreds.NewAssumeRoleProvider(t.sts, t.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "user-" + u.Hash()
		o.Duration = session
		o.Tags = []types.Tag{{Key: aws.String(tag), Value: aws.String(u.Key())}}
	})
}

// provider asks for credentials, and goes on with those that it has while they are good should STS refuse, or not answer. The
// SDK's cache calls it for one at a time.
type provider struct {
	role *stscreds.AssumeRoleProvider
	over time.Time // of the credentials that it has got last
}

// Retrieve implements aws.CredentialsProvider.
func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.good() {
		soon, cancel := context.WithTimeout(ctx, renewal)
		defer cancel()
		ctx = soon
	}
	c, err := p.role.Retrieve(ctx)
	if err != nil {
		return c, fmt.Errorf("act for a user: %w", err)
	}
	p.over = c.Expires
	return c, nil
}

func (p *provider) good() bool { return time.Now().Before(p.over.Add(-again)) }

// HandleFailToRefresh is found by the SDK's cache through a type assertion. The cache takes early off what it returns.
func (p *provider) HandleFailToRefresh(_ context.Context, had aws.Credentials, err error) (aws.Credentials, error) {
	if !had.HasKeys() || !p.good() {
		return aws.Credentials{}, err
	}
	had.Expires = time.Now().Add(early + again)
	return had, nil
}

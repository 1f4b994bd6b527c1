package sts_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
)

const (
	role = "arn:aws:iam::1:role/user"
	turn = "arn:aws:iam::1:role/turn"
)

// fixture is an STS with one role. Both the trust policy and the policy of turn allow turn to assume it.
type fixture struct {
	testing.TB
	*sts.Service
	mu sync.Mutex
	at time.Time
}

func (r *fixture) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func policy(t testing.TB, s ...iam.Statement) *iam.Policy {
	t.Helper()
	p, err := iam.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	r := &fixture{TB: t, at: time.Now()}
	assume := []string{"sts:AssumeRole", "sts:TagSession"}
	tagged := map[string]map[string][]string{"StringLike": {"aws:RequestTag/user": {"?*"}},
		"ForAllValues:StringEquals": {"aws:TagKeys": {"user"}}}
	trust := policy(t, iam.Statement{Effect: "Allow", Principal: []string{turn, "arn:aws:iam::1:role/half"},
		Action: assume, Condition: tagged})
	may := policy(t, iam.Statement{Effect: "Allow", Action: assume,
		Resource: []string{role, "arn:aws:iam::1:role/absent"}})
	var err error
	if r.Service, err = sts.Start([]sts.Role{{ARN: role, Trust: trust, Policy: may, MaxSession: 2 * time.Hour}},
		r.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	r.Add(sts.Key{ID: "TURN", Secret: "secret"}, sts.Principal{Name: "turn", ARN: sts.SessionARN(turn, "t"), Role: turn,
		Policy: may})
	r.Add(sts.Key{ID: "MESSAGE", Secret: "secret"}, sts.Principal{Name: "message", ARN: "message",
		Role: "arn:aws:iam::1:role/message", Policy: may})
	r.Add(sts.Key{ID: "HALF", Secret: "secret"}, sts.Principal{Name: "half", ARN: "half",
		Role: "arn:aws:iam::1:role/half", Policy: policy(t)})
	return r
}

func (r *fixture) assume(key string, change func(*sdk.AssumeRoleInput)) (*types.Credentials, error) {
	in := &sdk.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("session"),
		DurationSeconds: aws.Int32(900),
		Tags:            []types.Tag{{Key: aws.String("user"), Value: aws.String("bob")}}}
	if change != nil {
		change(in)
	}
	c := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(r.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", "of an environment"),
		HTTPClient:  &http.Client{Timeout: 10 * time.Second}})
	out, err := c.AssumeRole(r.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.Credentials, nil
}

// The credentials belong to the role, carry the tag, and expire.
func TestAssumeRole(t *testing.T) {
	r := newFixture(t)
	c, err := r.assume("TURN", nil)
	if err != nil {
		t.Fatal(err)
	}
	principal, err := r.Authenticate(*c.AccessKeyId, *c.SessionToken)
	if err != nil || principal.Role != role || principal.ARN != "arn:aws:sts::1:assumed-role/user/session" ||
		principal.Tags["user"] != "bob" || principal.Name != "turn" {
		t.Errorf("the credentials belong to %+v, %v", principal, err)
	}
	if left := c.Expiration.Sub(r.now()); left > 15*time.Minute || left < 15*time.Minute-2*time.Second {
		t.Errorf("the credentials expire in %s", left)
	}
	if r.Origin(*c.SessionToken) != "of an environment" || r.Origin("other") != "other" {
		t.Errorf("the origin is %q", r.Origin(*c.SessionToken))
	}
	if _, err := r.Authenticate(*c.AccessKeyId, "another token"); !errors.Is(err, sts.ErrUnknown) {
		t.Errorf("with another token: %v", err)
	}
	if _, err := r.Authenticate("ASIANOBODY", ""); !errors.Is(err, sts.ErrUnknown) {
		t.Errorf("an unknown access key: %v", err)
	}
	r.mu.Lock()
	r.at = r.at.Add(15 * time.Minute)
	r.mu.Unlock()
	if _, err := r.Authenticate(*c.AccessKeyId, *c.SessionToken); !errors.Is(err, sts.ErrExpired) {
		t.Errorf("after 15 minutes: %v", err)
	}
}

// BenchmarkAssumeRole measures what an environment requests once in ten minutes.
func BenchmarkAssumeRole(b *testing.B) {
	r := newFixture(b)
	for b.Loop() {
		if _, err := r.assume("TURN", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAssumeRole_Errors(t *testing.T) {
	r := newFixture(t)
	tags := func(pairs ...string) func(*sdk.AssumeRoleInput) {
		return func(in *sdk.AssumeRoleInput) {
			in.Tags = nil
			for n := 0; n < len(pairs); n += 2 {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String(pairs[n]), Value: aws.String(pairs[n+1])})
			}
		}
	}
	lasting := func(seconds int32) func(*sdk.AssumeRoleInput) {
		return func(in *sdk.AssumeRoleInput) { in.DurationSeconds = aws.Int32(seconds) }
	}
	for _, c := range []struct {
		name, key, code, message string
		change                   func(*sdk.AssumeRoleInput)
	}{
		{"untrusted caller", "MESSAGE", "AccessDenied",
			"User: message is not authorized to perform: sts:AssumeRole on resource: " + role, nil},
		{"trusted caller without a policy", "HALF", "AccessDenied", "sts:AssumeRole", nil},
		{"unknown access key", "NOBODY", "InvalidClientTokenId",
			"The security token included in the request is invalid.", nil},
		{"no tag", "TURN", "AccessDenied", "", tags()},
		{"empty tag", "TURN", "AccessDenied", "", tags("user", "")},
		{"additional tag", "TURN", "AccessDenied", "", tags("user", "bob", "admin", "yes")},
		{"tag in another case", "TURN", "AccessDenied", "", tags("User", "bob")},
		{"session policy", "TURN", "ValidationError", "does not support the parameter Policy",
			func(in *sdk.AssumeRoleInput) { in.Policy = aws.String("{}") }},
		{"duplicate tag", "TURN", "InvalidParameterValue", "Duplicate tag keys", tags("user", "bob", "User", "alice")},
		{"invalid tag", "TURN", "ValidationError", "", tags("user", "bob*")},
		{"long tag", "TURN", "ValidationError", "", tags("user", strings.Repeat("x", 257))},
		{"too short a session", "TURN", "ValidationError", "greater than or equal to 900", lasting(899)},
		{"longer than a chained session", "TURN", "ValidationError", "role chaining", lasting(3601)},
		{"longer than the role allows", "TURN", "ValidationError", "MaxSessionDuration", lasting(7201)},
		{"missing role", "TURN", "AccessDenied", "role/absent",
			func(in *sdk.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::1:role/absent") }},
		{"invalid session name", "TURN", "ValidationError", "roleSessionName",
			func(in *sdk.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }},
	} {
		_, err := r.assume(c.key, c.change)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != c.code || !strings.Contains(e.ErrorMessage(), c.message) {
			t.Errorf("%s: %v, want %s with %q", c.name, err, c.code, c.message)
		}
	}
	if _, err := r.assume("TURN", lasting(3600)); err != nil {
		t.Errorf("a session of one hour: %v", err)
	}
	r.checkUnsupportedAction()
}

// checkUnsupportedAction sends an action other than AssumeRole.
func (r *fixture) checkUnsupportedAction() {
	r.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.URL(),
		strings.NewReader("Action=GetFederationToken"))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil || answer.StatusCode != http.StatusBadRequest {
		r.Errorf("another action: %v, %v", answer, err)
	}
	if err == nil {
		answer.Body.Close()
	}
}

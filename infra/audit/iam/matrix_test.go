package iam_test

import (
	"carrel/infra/testkit"

	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
	"carrel/shared/chat/chattest"
)

// matrix has the template's own policies in force before a real table.
type matrix struct {
	*testing.T
	guard    *access.Guard
	template *template.Template
	proxy    *proxy.Proxy

	mu        sync.Mutex
	now       aws.CredentialsProvider
	requested []iam.Request // since it was last cleared
}

// Retrieve returns the current credentials.
func (m *matrix) Retrieve(ctx context.Context) (aws.Credentials, error) {
	m.mu.Lock()
	now := m.now
	m.mu.Unlock()
	return now.Retrieve(ctx)
}

// functionKey returns the access key id of a function.
func functionKey(logicalID string) string { return "KEY-" + logicalID }

func static(key string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(key, "secret", "")
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	testkit.NeedEngine(t)
	source, err := os.ReadFile(testkit.Path(t, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m := &matrix{T: t, now: static(access.OperatorKey)}
	m.template, err = template.Resolve(source,
		template.Options{Parameters: map[string]string{"Issuer": "http://127.0.0.1:1", "Audience": "a",
			"TokenKind": "typ", "Origins": "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]sts.Key{access.OperatorKey: {ID: access.OperatorKey, Secret: "secret"}}
	for _, f := range m.template.Functions {
		keys[f.LogicalID] = sts.Key{ID: functionKey(f.LogicalID), Secret: "secret"}
	}
	if m.guard, err = access.Start(m.template, access.Location{Region: "us-east-1", Account: "000000000000"},
		keys); err != nil {
		t.Fatal(err)
	}
	engine := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")
	if engine == "" {
		e, err := dynamodb.Start(t.Context(), dynamodb.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		engine = e.URL()
	}
	if m.proxy, err = proxy.Start(proxy.Config{Engine: engine, Name: m.guard.Name, Signed: m.guard.Signed,
		Allow: m.allow}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.proxy.Close(), m.guard.STS.Close()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// allow is the guard, and records the requests.
func (m *matrix) allow(id, token, operation string, body []byte) *proxy.Denial {
	requested, _ := m.guard.Permissions(operation, body) // a request that cannot be decided about is refused below
	m.mu.Lock()
	m.requested = append(m.requested, requested...)
	m.mu.Unlock()
	return m.guard.Allow(id, token, operation, body)
}

// db returns the table's client with the current credentials.
func (m *matrix) db() *sdk.Client {
	return sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(m.proxy.URL()), Credentials: m,
		HTTPClient: &http.Client{Timeout: 30 * time.Second}})
}

// as returns credentials of the user's role for a subject, as turn requests them.
func (m *matrix) as(subject string) aws.CredentialsProvider {
	m.Helper()
	client := awssts.New(awssts.Options{Region: "us-east-1", BaseEndpoint: aws.String(m.guard.STS.URL()),
		Credentials: static(functionKey("TurnFunction")), HTTPClient: &http.Client{Timeout: 30 * time.Second}})
	f, _ := m.template.Function("TurnFunction")
	p := stscreds.NewAssumeRoleProvider(client, f.Env["USER_ROLE"], func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "matrix"
		o.Tags = []types.Tag{{Key: aws.String("user"), Value: aws.String(chattest.User(m, subject).Key())}}
	})
	c, err := p.Retrieve(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	return credentials.StaticCredentialsProvider{Value: c}
}

// who returns the principal with these credentials.
func (m *matrix) who(p aws.CredentialsProvider) sts.Principal {
	m.Helper()
	of, err := p.Retrieve(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	who, err := m.guard.STS.Authenticate(of.AccessKeyID, of.SessionToken)
	if err != nil {
		m.Fatal(err)
	}
	return who
}

// with runs a call with other credentials, and returns its requests.
func (m *matrix) with(p aws.CredentialsProvider, call func() error) ([]iam.Request, error) {
	m.mu.Lock()
	before := m.now
	m.now, m.requested = p, nil
	m.mu.Unlock()
	err := call()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = before
	return m.requested, err
}

func isDenied(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorCode() == "AccessDeniedException"
}

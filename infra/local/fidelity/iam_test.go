package fidelity_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/iam"
	localsts "carrel/infra/local/sts"
	"carrel/infra/local/template"
)

const needsRole = "needs the credentials of a function's role"

// permissions are scenarios about IAM and STS.
func permissions() []scenario {
	const area = "IAM and STS"
	return []scenario{
		{area, "A request that no policy allows is AccessDeniedException, 400, and names caller, action and resource.",
			documented, needsRole, deniedSaysWho},
		{area, "An explicit deny overrides an allow.", documented, needsRole, denyWins},
		{area, "Each item of a transaction is an action of its own; if one is denied, all are.", documented,
			needsRole, transactionOfActions},
		{area,
			"dynamodb:LeadingKeys holds all partition keys that a request names. A Scan names none, and ForAllValues " +
				"is true for none.", documented, needsRole, leadingKeys},
		{area, "Only principals that a role's trust policy names can assume it, with the tags that it requires.",
			documented,
			needsRole, trustDecides},
		{area,
			"The caller's own policy must allow it as well. (AWS may not require this if the trust policy names the " +
				"caller's role.)", uncertain, needsRole, ownPolicyToo},
		{area, "A session lasts at least 15 minutes, and at most an hour if the caller acts with a role.", documented,
			needsRole, sessionsLast},
		{area, "A wrong signature is InvalidSignatureException in DynamoDB and Lambda, SignatureDoesNotMatch in STS.",
			captured, needsRole, wrongSignature},
		{area,
			"An Invoke that no policy allows is AccessDeniedException, and names caller, action and function.",
			documented, needsRole, invokeDenied},
		{area, "Unknown credentials are UnrecognizedClientException in DynamoDB, InvalidClientTokenId in STS.",
			captured, needsRole, unknownCredentials},
	}
}

// iamFixture is IAM with some roles, in front of a table that answers every request with an empty response.
type iamFixture struct {
	*testing.T
	guard *access.Guard
	proxy *proxy.Proxy
}

func newIAMFixture(t *testing.T) iamFixture {
	t.Helper()
	const arn = "arn:aws:dynamodb:us-east-1:1:table/T"
	assume := []string{"sts:AssumeRole", "sts:TagSession"}
	keyed := map[string]map[string][]string{
		"ForAllValues:StringLike": {"dynamodb:LeadingKeys": {"U#${aws:PrincipalTag/user}"}}}
	tm := &template.Template{
		Tables: []template.Table{{Name: "T", Hash: template.Key{Name: "pk", Type: "S"}}},
		Functions: []template.Function{
			{LogicalID: "Writer", Name: "writer", Role: "arn:aws:iam::1:role/writer", Policies: []iam.Statement{
				{Effect: "Allow", Action: []string{"dynamodb:PutItem", "dynamodb:Get*"}, Resource: []string{arn}},
				{Effect: "Deny", Action: []string{"dynamodb:GetItem"}, Resource: []string{arn}},
				{Effect: "Allow", Action: assume, Resource: []string{"*"}}}},
			{LogicalID: "Idle", Name: "idle", Role: "arn:aws:iam::1:role/idle"},
			{LogicalID: "Invoker", Name: "invoker", Role: "arn:aws:iam::1:role/invoker", Policies: []iam.Statement{
				{Effect: "Allow", Action: []string{"lambda:InvokeFunction"},
					Resource: []string{"arn:aws:lambda:eu-central-1:" + account + ":function:turn"}}}},
			{LogicalID: "Stranger", Name: "stranger", Role: "arn:aws:iam::1:role/stranger",
				Policies: []iam.Statement{{Effect: "Allow", Action: assume, Resource: []string{"*"}}}},
		},
		Roles: []template.Role{{LogicalID: "User", ARN: "arn:aws:iam::1:role/user", MaxSession: 12 * time.Hour,
			Trust: []iam.Statement{{Effect: "Allow", Principal: []string{"arn:aws:iam::1:role/writer",
				"arn:aws:iam::1:role/idle"}, Action: assume,
				Condition: map[string]map[string][]string{"StringLike": {"aws:RequestTag/user": {"?*"}}}}},
			Policies: []iam.Statement{{Effect: "Allow", Action: []string{"dynamodb:GetItem", "dynamodb:BatchGetItem",
				"dynamodb:Scan"}, Resource: []string{arn}, Condition: keyed}}}},
	}
	keys := map[string]localsts.Key{access.OperatorKey: {ID: access.OperatorKey, Secret: "secret"}}
	for _, f := range tm.Functions {
		keys[f.LogicalID] = localsts.Key{ID: strings.ToUpper(f.LogicalID), Secret: "secret"}
	}
	guard, err := access.Start(tm, access.Location{Region: "us-east-1", Account: "1"}, keys)
	if err != nil {
		t.Fatal(err)
	}
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(engine.Close)
	p, err := proxy.Start(proxy.Config{Engine: engine.URL, Name: guard.Name, Signed: guard.Signed, Allow: guard.Allow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), guard.STS.Close()); err != nil {
			t.Error(err)
		}
	})
	return iamFixture{t, guard, p}
}

func (a iamFixture) table(c aws.CredentialsProvider) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.proxy.URL()), Credentials: c,
		RetryMaxAttempts: 1})
}

func (a iamFixture) keyOf(key string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(key, "secret", "")
}

// assume assumes the role user with a function's access key.
func (a iamFixture) assume(key string, duration time.Duration, tags ...string) (aws.CredentialsProvider, error) {
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.guard.STS.URL()),
		Credentials: a.keyOf(key), RetryMaxAttempts: 1})
	c, err := stscreds.NewAssumeRoleProvider(client, "arn:aws:iam::1:role/user", func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = "session", duration
		for _, user := range tags {
			o.Tags = append(o.Tags, types.Tag{Key: aws.String("user"), Value: aws.String(user)})
		}
	}).Retrieve(a.Context())
	return credentials.StaticCredentialsProvider{Value: c}, err
}

// wantError checks an error's code and that its message contains some words. Code "" means that there must be no error.
func (a iamFixture) wantError(err error, code string, words ...string) {
	a.Helper()
	var e smithy.APIError
	switch {
	case code == "" && err != nil:
		a.Errorf("unexpected error: %v", err)
	case code != "" && (!errors.As(err, &e) || e.ErrorCode() != code):
		a.Errorf("%v, want %s", err, code)
	}
	for _, word := range words {
		if e != nil && !strings.Contains(e.ErrorMessage(), word) {
			a.Errorf("%q does not contain %q", e.ErrorMessage(), word)
		}
	}
}

func item(key string) map[string]ddb.AttributeValue {
	return map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: key}}
}

func (a iamFixture) get(c aws.CredentialsProvider, key string) error {
	_, err := a.table(c).GetItem(a.Context(), &dynamodb.GetItemInput{TableName: aws.String("T"), Key: item(key)})
	return err
}

func deniedSaysWho(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	a.wantError(a.get(a.keyOf("IDLE"), "U#bob"), "AccessDeniedException",
		"User: arn:aws:sts::1:assumed-role/idle/idle is not authorized to perform: dynamodb:GetItem on resource: "+
			"arn:aws:dynamodb:us-east-1:1:table/T because no identity-based policy allows the dynamodb:GetItem action")
}

func denyWins(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	a.wantError(a.get(a.keyOf("WRITER"), "x"), "AccessDeniedException", "explicit deny")
}

func transactionOfActions(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	put := ddb.TransactWriteItem{Put: &ddb.Put{TableName: aws.String("T"), Item: item("x")}}
	remove := ddb.TransactWriteItem{Delete: &ddb.Delete{TableName: aws.String("T"), Key: item("y")}}
	for parts, code := range map[*dynamodb.TransactWriteItemsInput]string{
		{TransactItems: []ddb.TransactWriteItem{put}}:         "",
		{TransactItems: []ddb.TransactWriteItem{put, remove}}: "AccessDeniedException",
	} {
		_, err := a.table(a.keyOf("WRITER")).TransactWriteItems(t.Context(), parts)
		a.wantError(err, code)
	}
}

func leadingKeys(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	bob, err := a.assume("WRITER", 15*time.Minute, "bob")
	a.wantError(err, "")
	a.wantError(a.get(bob, "U#bob"), "")
	a.wantError(a.get(bob, "U#bobby"), "AccessDeniedException")
	_, err = a.table(bob).BatchGetItem(t.Context(),
		&dynamodb.BatchGetItemInput{RequestItems: map[string]ddb.KeysAndAttributes{
			"T": {Keys: []map[string]ddb.AttributeValue{item("U#bob"), item("U#alice")}}}})
	a.wantError(err, "AccessDeniedException")
	_, err = a.table(bob).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("T")})
	a.wantError(err, "")
}

func trustDecides(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	_, err := a.assume("STRANGER", 15*time.Minute, "bob")
	a.wantError(err, "AccessDenied",
		"is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/user")
	_, err = a.assume("WRITER", 15*time.Minute)
	a.wantError(err, "AccessDenied")
}

func ownPolicyToo(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	_, err := a.assume("IDLE", 15*time.Minute, "bob")
	a.wantError(err, "AccessDenied")
}

func sessionsLast(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	for duration, code := range map[time.Duration]string{899 * time.Second: "ValidationError", 900 * time.Second: "",
		time.Hour: "", 3601 * time.Second: "ValidationError"} {
		_, err := a.assume("WRITER", duration, "bob")
		a.wantError(err, code)
	}
}

func unknownCredentials(t *testing.T, _ *target) {
	a := newIAMFixture(t)
	a.wantError(a.get(a.keyOf("NOBODY"), "x"), "UnrecognizedClientException")
	_, err := a.assume("NOBODY", 15*time.Minute, "bob")
	a.wantError(err, "InvalidClientTokenId")
}

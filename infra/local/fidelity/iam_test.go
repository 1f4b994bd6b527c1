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

// permissions are what IAM and STS do.
func permissions() []scenario {
	const area = "IAM and STS"
	return []scenario{
		{area, "What no policy allows is AccessDeniedException, 400, and says who, what and of which resource.",
			documented, needsRole, deniedSaysWho},
		{area, "An explicit deny wins over an allow.", documented, needsRole, denyWins},
		{area, "Each item of a transaction is an action of its own; one that is denied denies all.", documented,
			needsRole, transactionOfActions},
		{area,
			"dynamodb:LeadingKeys holds all partition keys that a request names; a Scan names none, and ForAllValues " +
				"holds of none.", documented, needsRole, leadingKeys},
		{area, "A role is assumed only by whom its trust policy names, with the tags that it asks for.", documented,
			needsRole, trustDecides},
		{area,
			"The caller's own policy must allow it as well. (AWS may do without where the trust policy names the " +
				"caller's role.)", uncertain, needsRole, ownPolicyToo},
		{area, "A session lasts 15 minutes at least, and an hour at most for whoever has a role already.", documented,
			needsRole, sessionsLast},
		{area, "A wrong signature is InvalidSignatureException at DynamoDB and Lambda, SignatureDoesNotMatch at STS.",
			captured, needsRole, wrongSignature},
		{area,
			"An invoke that no policy of its caller allows is AccessDeniedException, and says who, what and of which " +
				"function.", documented, needsRole, invokeDenied},
		{area, "Unknown credentials are UnrecognizedClientException at DynamoDB, InvalidClientTokenId at STS.",
			captured, needsRole, unknownCredentials},
	}
}

// permitting is IAM with a few roles, before a table that answers everything with nothing.
type permitting struct {
	*testing.T
	guard *access.Guard
	proxy *proxy.Proxy
}

func newPermitting(t *testing.T) permitting {
	t.Helper()
	const arn = "arn:aws:dynamodb:us-east-1:1:table/T"
	assume := []string{"sts:AssumeRole", "sts:TagSession"}
	keyed := map[string]map[string][]string{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": {"U#${aws:PrincipalTag/user}"}}}
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
		Roles: []template.Role{{LogicalID: "User", ARN: "arn:aws:iam::1:role/user", Longest: 12 * time.Hour,
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
	guard, err := access.Start(tm, access.Where{Region: "us-east-1", Account: "1"}, keys)
	if err != nil {
		t.Fatal(err)
	}
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = io.WriteString(w, "{}")
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
	return permitting{t, guard, p}
}

func (a permitting) table(c aws.CredentialsProvider) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.proxy.URL()), Credentials: c,
		RetryMaxAttempts: 1})
}

func (a permitting) static(key string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(key, "secret", "")
}

// assume has somebody assume the role user.
func (a permitting) assume(key string, lasting time.Duration, tags ...string) (aws.CredentialsProvider, error) {
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.guard.STS.URL()),
		Credentials: a.static(key), RetryMaxAttempts: 1})
	c, err := stscreds.NewAssumeRoleProvider(client, "arn:aws:iam::1:role/user", func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = "session", lasting
		for _, user := range tags {
			o.Tags = append(o.Tags, types.Tag{Key: aws.String("user"), Value: aws.String(user)})
		}
	}).Retrieve(a.Context())
	return credentials.StaticCredentialsProvider{Value: c}, err
}

// refused checks an error's code, and what its message must contain; "": there must be none.
func (a permitting) refused(err error, code string, words ...string) {
	a.Helper()
	var e smithy.APIError
	switch {
	case code == "" && err != nil:
		a.Errorf("refused: %v", err)
	case code != "" && (!errors.As(err, &e) || e.ErrorCode() != code):
		a.Errorf("%v, want %s", err, code)
	}
	for _, word := range words {
		if e != nil && !strings.Contains(e.ErrorMessage(), word) {
			a.Errorf("%q does not say %q", e.ErrorMessage(), word)
		}
	}
}

func item(key string) map[string]ddb.AttributeValue {
	return map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: key}}
}

func (a permitting) get(c aws.CredentialsProvider, key string) error {
	_, err := a.table(c).GetItem(a.Context(), &dynamodb.GetItemInput{TableName: aws.String("T"), Key: item(key)})
	return err
}

func deniedSaysWho(t *testing.T, _ *target) {
	a := newPermitting(t)
	a.refused(a.get(a.static("IDLE"), "U#bob"), "AccessDeniedException",
		"User: arn:aws:sts::1:assumed-role/idle/idle is not authorized to perform: "+
			"dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:1:table/T because no identity-based policy allows "+
			"the dynamodb:GetItem action")
}

func denyWins(t *testing.T, _ *target) {
	a := newPermitting(t)
	a.refused(a.get(a.static("WRITER"), "x"), "AccessDeniedException", "explicit deny")
}

func transactionOfActions(t *testing.T, _ *target) {
	a := newPermitting(t)
	put := ddb.TransactWriteItem{Put: &ddb.Put{TableName: aws.String("T"), Item: item("x")}}
	remove := ddb.TransactWriteItem{Delete: &ddb.Delete{TableName: aws.String("T"), Key: item("y")}}
	for parts, code := range map[*dynamodb.TransactWriteItemsInput]string{
		{TransactItems: []ddb.TransactWriteItem{put}}:         "",
		{TransactItems: []ddb.TransactWriteItem{put, remove}}: "AccessDeniedException",
	} {
		_, err := a.table(a.static("WRITER")).TransactWriteItems(t.Context(), parts)
		a.refused(err, code)
	}
}

func leadingKeys(t *testing.T, _ *target) {
	a := newPermitting(t)
	bob, err := a.assume("WRITER", 15*time.Minute, "bob")
	a.refused(err, "")
	a.refused(a.get(bob, "U#bob"), "")
	a.refused(a.get(bob, "U#bobby"), "AccessDeniedException")
	_, err = a.table(bob).BatchGetItem(t.Context(),
		&dynamodb.BatchGetItemInput{RequestItems: map[string]ddb.KeysAndAttributes{
			"T": {Keys: []map[string]ddb.AttributeValue{item("U#bob"), item("U#alice")}}}})
	a.refused(err, "AccessDeniedException")
	_, err = a.table(bob).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("T")})
	a.refused(err, "")
}

func trustDecides(t *testing.T, _ *target) {
	a := newPermitting(t)
	_, err := a.assume("STRANGER", 15*time.Minute, "bob")
	a.refused(err, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/user")
	_, err = a.assume("WRITER", 15*time.Minute)
	a.refused(err, "AccessDenied")
}

func ownPolicyToo(t *testing.T, _ *target) {
	a := newPermitting(t)
	_, err := a.assume("IDLE", 15*time.Minute, "bob")
	a.refused(err, "AccessDenied")
}

func sessionsLast(t *testing.T, _ *target) {
	a := newPermitting(t)
	for lasting, code := range map[time.Duration]string{899 * time.Second: "ValidationError", 900 * time.Second: "",
		time.Hour: "", 3601 * time.Second: "ValidationError"} {
		_, err := a.assume("WRITER", lasting, "bob")
		a.refused(err, code)
	}
}

func unknownCredentials(t *testing.T, _ *target) {
	a := newPermitting(t)
	a.refused(a.get(a.static("NOBODY"), "x"), "UnrecognizedClientException")
	_, err := a.assume("NOBODY", 15*time.Minute, "bob")
	a.refused(err, "InvalidClientTokenId")
}

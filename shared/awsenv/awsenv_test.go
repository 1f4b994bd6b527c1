package awsenv_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/awsenv"
)

func env(m map[string]string) awsenv.Getenv { return func(name string) string { return m[name] } }

func standard(extra ...string) map[string]string {
	m := map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	for i := 0; i < len(extra); i += 2 {
		m[extra[i]] = extra[i+1]
	}
	return m
}

func TestMissingVariableIsNamed(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if _, err := awsenv.Config(env(standard(name, ""))); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v, want one that names it", name, err)
		}
	}
}

func TestServiceEndpointWinsOverTheGeneralOne(t *testing.T) {
	hits := map[string]int{}
	serve := func(name string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits[name]++
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.Write([]byte(`{"TableNames":[]}`))
		}))
		t.Cleanup(s.Close)
		return s
	}
	general, own := serve("general"), serve("own")
	for _, c := range []struct {
		vars map[string]string
		want string
	}{
		{standard("AWS_ENDPOINT_URL", general.URL), "general"},
		{standard("AWS_ENDPOINT_URL_DYNAMODB", own.URL), "own"},
	} {
		for name, v := range c.vars {
			t.Setenv(name, v) // the SDK itself looks whether the variables are set
		}
		cfg, err := awsenv.Config(env(c.vars))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dynamodb.NewFromConfig(cfg).ListTables(t.Context(), &dynamodb.ListTablesInput{Limit: aws.Int32(1)}); err != nil {
			t.Fatal(err)
		}
		if hits[c.want] != 1 {
			t.Errorf("hits %v, want the %s endpoint asked", hits, c.want)
		}
	}
}

func TestRequireRole(t *testing.T) {
	for value, good := range map[string]bool{
		"arn:aws:iam::000000000000:role/user": true, "arn:aws-cn:iam::1:role/path/user": true,
		"": false, "user": false, "arn:aws:iam::1:user/somebody": false, "arn:aws:sts::1:assumed-role/a/b": false,
	} {
		got, err := awsenv.RequireRole(func(string) string { return value }, "USER_ROLE")
		if good != (err == nil) || good && got != value || !good && !strings.Contains(err.Error(), "USER_ROLE") {
			t.Errorf("%q gives %q, %v", value, got, err)
		}
	}
}

func TestRequireURL(t *testing.T) {
	for value, good := range map[string]bool{
		"https://a.test/v1": true, "http://127.0.0.1:3001/v1": true,
		"": false, "nonsense": false, "a.test/v1": false, "wss://a.test": false, "https://": false, "https://%": false,
	} {
		got, err := awsenv.RequireURL(func(string) string { return value }, "ENDPOINT")
		if good != (err == nil) || good && got != value || !good && !strings.Contains(err.Error(), "ENDPOINT") {
			t.Errorf("%q gives %q, %v", value, got, err)
		}
	}
}

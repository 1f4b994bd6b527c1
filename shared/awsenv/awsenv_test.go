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

// standard returns the required variables, with extra pairs of name and value in place.
func standard(extra ...string) map[string]string {
	m := map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	for i := 0; i < len(extra); i += 2 {
		m[extra[i]] = extra[i+1]
	}
	return m
}

func TestConfig_MissingVariables(t *testing.T) {
	_, all := awsenv.Config(env(nil))
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if _, err := awsenv.Config(env(standard(name, ""))); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v, want it to name the variable", name, err)
		}
		if all == nil || !strings.Contains(all.Error(), name) {
			t.Errorf("without any variable: error %v, want it to name %s too", all, name)
		}
	}
}

func TestConfig_ServiceEndpointBeforeGeneral(t *testing.T) {
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
	general, service := serve("general"), serve("service")
	for _, c := range []struct {
		vars map[string]string
		want string
	}{
		{standard("AWS_ENDPOINT_URL", general.URL), "general"},
		{standard("AWS_ENDPOINT_URL_DYNAMODB", service.URL), "service"},
	} {
		for name, v := range c.vars {
			t.Setenv(name, v) // the SDK reads these variables too
		}
		cfg, err := awsenv.Config(env(c.vars))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dynamodb.NewFromConfig(cfg).ListTables(t.Context(),
			&dynamodb.ListTablesInput{Limit: aws.Int32(1)}); err != nil {
			t.Fatal(err)
		}
		if hits[c.want] != 1 {
			t.Errorf("hits %v, want one request to the %s endpoint", hits, c.want)
		}
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/infra/cli/deployed"
	"carrel/infra/local/endpoints"
	"carrel/shared/awsenv"
	"carrel/shared/store"
)

// place is where the table is.
type place struct {
	table  *store.Table
	issuer string
}

// open finds the table: of a deployed stack if its name or the table's is given, else of the local stack that runs.
func open(ctx context.Context, o options, w world) (place, error) {
	if o.stack == "" && o.table == "" {
		return openLocal(o, w)
	}
	getenv, err := awsEnvironment(ctx, w)
	if err != nil {
		return place{}, err
	}
	name, issuer := o.table, o.issuer
	if o.stack != "" {
		outputs, err := deployed.Outputs(ctx, w.run, o.stack)
		if err != nil {
			return place{}, fmt.Errorf("%w (-table names the table without asking)", err)
		}
		name, issuer = cmp.Or(name, outputs["TableName"]), cmp.Or(issuer, outputs["Issuer"])
		if name == "" {
			return place{}, fmt.Errorf("the stack %s has no output TableName: is it Carrel's? -table names the table",
				o.stack)
		}
	}
	c, err := awsenv.Config(getenv)
	if err != nil {
		return place{}, err
	}
	return table(c, name, issuer), nil
}

// table returns a place with the table. Its limits are unknown, and nothing in this program depends on them.
func table(c aws.Config, name, issuer string) place {
	return place{store.New(store.NewClient(c), store.Config{Name: name}), issuer}
}

// openLocal is the table of the local stack.
func openLocal(o options, w world) (place, error) {
	e, err := endpoints.Read(o.endpoints)
	if err != nil {
		return place{}, fmt.Errorf("%w, or name a deployed one: -stack carrel", err)
	}
	local := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": endpoints.OperatorKey, "AWS_SECRET_ACCESS_KEY": e.OperatorSecret,
		"AWS_ENDPOINT_URL_DYNAMODB": e.DynamoDB,
	}
	c, err := awsenv.Config(func(name string) string { return local[name] })
	if err != nil {
		return place{}, err
	}
	// A request to a stack that was killed fails at once: list makes 16 requests, and their retries would take 12 s.
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return table(c, e.Table, cmp.Or(o.issuer, e.Issuer)), nil
}

// awsEnvironment is the environment with the credentials that are in it, or what the AWS CLI makes of its
// configuration.
func awsEnvironment(ctx context.Context, w world) (awsenv.Getenv, error) {
	region := cmp.Or(w.getenv("AWS_REGION"), w.getenv("AWS_DEFAULT_REGION"))
	found := map[string]string{}
	if region == "" {
		out, err := w.run(ctx, "aws", "configure", "get", "region")
		if region = strings.TrimSpace(string(out)); err != nil || region == "" {
			return nil, errors.New("no Region is chosen: set AWS_REGION, or run aws configure")
		}
	}
	if w.getenv("AWS_ACCESS_KEY_ID") == "" || w.getenv("AWS_SECRET_ACCESS_KEY") == "" {
		out, err := w.run(ctx, "aws", "configure", "export-credentials", "--format", "env-no-export")
		if err != nil {
			return nil, fmt.Errorf("there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "+
				"or run aws configure or aws sso login (%w)", err)
		}
		for line := range strings.Lines(string(out)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			found[name] = value
		}
	}
	found["AWS_REGION"] = region
	return func(name string) string { return cmp.Or(found[name], w.getenv(name)) }, nil
}

package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// tableTime bounds the creation of all tables.
const tableTime = 30 * time.Second

// startTables starts the engine, unless Config.DynamoDB names another, and creates the missing tables.
func (s *Stack) startTables(ctx context.Context) error {
	engine := s.config.DynamoDB
	if engine == "" {
		// Create the file with private permissions first: the engine copies them to its other files.
		file := s.state.path(dataFolder, "dynamodb.sqlite")
		created, err := secretFile(file, 0)
		if err != nil {
			return fmt.Errorf("create the database file: %w", err)
		}
		if err := created.Close(); err != nil {
			return fmt.Errorf("create the database file: %w", err)
		}
		if s.engine, err = dynamodb.Start(ctx, dynamodb.Config{Path: file,
			Stderr: s.journal.source("dynamodb")}); err != nil {
			return err
		}
		s.onClose(s.engine.Close)
		engine = s.engine.URL()
	}
	if err := s.startProxy(engine); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tableTime)
	defer cancel()
	s.database = sdk.New(sdk.Options{Region: region, BaseEndpoint: aws.String(engine),
		Credentials: credentials.NewStaticCredentialsProvider("stack", "stack", "")})
	for _, t := range s.template.Tables {
		s.endpoints.Table = cmp.Or(s.endpoints.Table, t.Name)
		if err := ensureTable(ctx, s.database, t); err != nil {
			return fmt.Errorf("table %s in the DynamoDB at %s: %w", t.Name, engine, err)
		}
	}
	if s.engine == nil {
		return nil // another DynamoDB deletes expired items in its own way
	}
	if _, err := s.DeleteExpired(ctx); err != nil {
		return err
	}
	return nil
}

// startProxy starts STS and the proxy between the functions and the engine, and makes the access keys for both.
func (s *Stack) startProxy(engine string) error {
	s.makeKeys()
	s.endpoints.OperatorSecret = rand.Text()
	keys := map[string]sts.Key{access.OperatorKey: {ID: access.OperatorKey, Secret: s.endpoints.OperatorSecret}}
	for id, k := range s.keys {
		keys[id] = sts.Key{ID: k.id, Secret: k.secret}
	}
	var err error
	if s.guard, err = access.Start(s.template, access.Location{Region: region, Account: account}, keys); err != nil {
		return err
	}
	s.onClose(s.guard.STS.Close)
	s.endpoints.STS = s.guard.STS.URL()
	s.proxy, err = proxy.Start(proxy.Config{Engine: strings.TrimSuffix(engine, "/"), Name: s.guard.Name,
		Signed: s.guard.Signed, Allow: s.guard.Allow, Faults: s.config.Faults, Meter: s.meter.requested,
		Log: func(line string) { s.journal.add("stack", line) }})
	if err != nil {
		return err
	}
	s.onClose(s.proxy.Close)
	s.endpoints.DynamoDB = s.proxy.URL()
	return nil
}

// ensureTable creates a table, or checks that the existing one has the template's keys and indexes.
func ensureTable(ctx context.Context, db *sdk.Client, t template.Table) error {
	want := createInput(t)
	have, err := db.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: want.TableName})
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent):
		return createTable(ctx, db, t, want)
	case err != nil:
		return fmt.Errorf("describe the table: %w", err)
	case !sameKeys(have.Table, want):
		return errors.New("the table of an earlier run has other keys or indexes than the template: start with " +
			"FRESH=1, which deletes its data")
	}
	return nil
}

func createTable(ctx context.Context, db *sdk.Client, t template.Table, want *sdk.CreateTableInput) error {
	if _, err := db.CreateTable(ctx, want); err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	waiter := sdk.NewTableExistsWaiter(db, func(o *sdk.TableExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := waiter.Wait(ctx, &sdk.DescribeTableInput{TableName: want.TableName}, tableTime); err != nil {
		return fmt.Errorf("wait for the table: %w", err)
	}
	if t.TTL == "" {
		return nil
	}
	_, err := db.UpdateTimeToLive(ctx, &sdk.UpdateTimeToLiveInput{TableName: want.TableName,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(t.TTL),
			Enabled: aws.Bool(true)}})
	if err != nil {
		return fmt.Errorf("set the table's time to live: %w", err)
	}
	return nil
}

// createInput returns the CreateTable request for a table of the template.
func createInput(t template.Table) *sdk.CreateTableInput {
	in := &sdk.CreateTableInput{TableName: aws.String(t.Name), BillingMode: types.BillingModePayPerRequest}
	defined := map[string]bool{}
	schema := func(hash, sort template.Key) []types.KeySchemaElement {
		var out []types.KeySchemaElement
		for i, k := range []template.Key{hash, sort} {
			if k.Name == "" {
				continue
			}
			kind := []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]
			out = append(out, types.KeySchemaElement{AttributeName: aws.String(k.Name), KeyType: kind})
			if !defined[k.Name] {
				in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
					AttributeName: aws.String(k.Name), AttributeType: types.ScalarAttributeType(k.Type)})
			}
			defined[k.Name] = true
		}
		return out
	}
	in.KeySchema = schema(t.Hash, t.Range)
	for _, x := range t.Indexes {
		keys, projection := schema(x.Hash, x.Range),
			&types.Projection{ProjectionType: types.ProjectionType(x.Projection), NonKeyAttributes: x.NonKeyAttributes}
		if x.Local {
			in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{
				IndexName: aws.String(x.Name), KeySchema: keys, Projection: projection})
			continue
		}
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(x.Name), KeySchema: keys, Projection: projection})
	}
	return in
}

// sameKeys reports whether an existing table has the keys and indexes of a CreateTable request.
func sameKeys(have *types.TableDescription, want *sdk.CreateTableInput) bool {
	var a, b []string
	for _, x := range have.GlobalSecondaryIndexes {
		a = append(a, aws.ToString(x.IndexName)+keyText(x.KeySchema))
	}
	for _, x := range want.GlobalSecondaryIndexes {
		b = append(b, aws.ToString(x.IndexName)+keyText(x.KeySchema))
	}
	for _, x := range have.LocalSecondaryIndexes {
		a = append(a, "local "+aws.ToString(x.IndexName)+keyText(x.KeySchema))
	}
	for _, x := range want.LocalSecondaryIndexes {
		b = append(b, "local "+aws.ToString(x.IndexName)+keyText(x.KeySchema))
	}
	slices.Sort(a)
	slices.Sort(b)
	return keyText(have.KeySchema) == keyText(want.KeySchema) && slices.Equal(a, b)
}

func keyText(schema []types.KeySchemaElement) string {
	text := ""
	for _, k := range schema {
		text += " " + string(k.KeyType) + "=" + aws.ToString(k.AttributeName)
	}
	return text
}

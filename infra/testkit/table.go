package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// Operator returns a client of the table with the rights of an operator, which cover the whole table.
func Operator(e stack.Endpoints) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(e.DynamoDB),
		Credentials: e.Operator()})
}

// Key returns the primary key of an item.
func Key(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": Text(pk), "sk": Text(sk)}
}

// Text returns a string as an attribute of an item.
func Text(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

// Scan reads the whole table.
func Scan(ctx context.Context, e stack.Endpoints, each func(item map[string]types.AttributeValue) error) error {
	pages := dynamodb.NewScanPaginator(Operator(e),
		&dynamodb.ScanInput{TableName: &e.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range page.Items {
			if err := each(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// Items returns all items of the table as JSON, by their keys: the partition key, a space, the sort key.
func Items(t testing.TB, ctx context.Context, e stack.Endpoints) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := Scan(ctx, e, func(item map[string]types.AttributeValue) error {
		var values map[string]any
		if err := attributevalue.UnmarshalMap(item, &values); err != nil {
			return err
		}
		text, err := json.Marshal(values)
		all[fmt.Sprintf("%v %v", values["pk"], values["sk"])] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Record is one record of a thread's log, as it stands in the table under the key of its owner.
type Record struct {
	User   string
	Thread chat.ThreadID
	Seq    chat.Seq // of its first event
	Events []json.RawMessage
}

// Records reads the records of all logs with the rights of an operator.
func Records(ctx context.Context, e stack.Endpoints, each func(Record) error) error {
	return Scan(ctx, e, func(item map[string]types.AttributeValue) error {
		var r struct {
			PK     string `dynamodbav:"pk"`
			SK     string `dynamodbav:"sk"`
			Seq    int64  `dynamodbav:"s"`
			Events string `dynamodbav:"e"`
		}
		if err := attributevalue.UnmarshalMap(item, &r); err != nil || !strings.HasPrefix(r.SK, "E#") {
			return err
		}
		var events []json.RawMessage
		if err := json.Unmarshal([]byte(r.Events), &events); err != nil {
			return fmt.Errorf("decode record %s %s: %w", r.PK, r.SK, err)
		}
		parts := strings.Split(r.PK, "#") // U#<user>#T#<thread>#<epoch>
		return each(Record{parts[1], chat.ThreadID(parts[len(parts)-2]), chat.Seq(r.Seq), events})
	})
}

// ThreadLog is the log of a thread as it stands in the table: its events by sequence number.
type ThreadLog map[chat.Seq]json.RawMessage

// Logs reads the logs of all threads.
func Logs(t testing.TB, ctx context.Context, e stack.Endpoints) map[chat.ThreadID]ThreadLog {
	t.Helper()
	all := map[chat.ThreadID]ThreadLog{}
	err := Records(ctx, e, func(r Record) error {
		if all[r.Thread] == nil {
			all[r.Thread] = ThreadLog{}
		}
		for i, event := range r.Events {
			seq := r.Seq + chat.Seq(i)
			if had, twice := all[r.Thread][seq]; twice {
				return fmt.Errorf("thread %s has event %d twice: %s and %s", r.Thread, seq, had, event)
			}
			all[r.Thread][seq] = event
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read the logs: %v", err)
	}
	return all
}

// Raw returns the events in order. A missing event fails the test.
func (log ThreadLog) Raw(t testing.TB) []json.RawMessage {
	t.Helper()
	raw, err := inOrder(log)
	if err != nil {
		t.Fatalf("the log: %v", err)
	}
	return raw
}

// Check checks that the log has no gap, that so many runs each ended once, and that each event that was sent to a
// device is in the log, byte for byte.
func (log ThreadLog) Check(sent Received, runs int) error {
	raw, err := inOrder(log)
	if err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	events, err := decodeEvents(raw)
	if err != nil {
		return err
	}
	err = CheckRuns(events, runs)
	for seq, event := range sent.Events {
		if !bytes.Equal(log[seq], event) {
			err = errors.Join(err, fmt.Errorf("event %d was sent as %s, and the log has %s", seq, event, log[seq]))
		}
	}
	return err
}

// SetTimes sets times of an item, in this unit since 1970, as if time had passed. An item that does not exist is not
// made.
func SetTimes(t testing.TB, ctx context.Context, e stack.Endpoints, pk, sk string, unit time.Duration,
	times map[string]time.Time) {
	t.Helper()
	var set []string
	names, values := map[string]string{}, map[string]types.AttributeValue{}
	for name, at := range times {
		set = append(set, "#"+name+" = :"+name)
		names["#"+name] = name
		values[":"+name] = &types.AttributeValueMemberN{Value: fmt.Sprint(at.UnixNano() / int64(unit))}
	}
	_, err := Operator(e).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &e.Table, Key: Key(pk, sk),
		UpdateExpression:         aws.String("SET " + strings.Join(set, ", ")),
		ConditionExpression:      aws.String("attribute_exists(pk)"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	var missing *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &missing) {
		t.Fatal(err)
	}
}

// CountNotes counts the notes that each user has in the table.
func CountNotes(t testing.TB, ctx context.Context, e stack.Endpoints) map[string]int {
	t.Helper()
	notes := map[string]int{}
	for key := range Items(t, ctx, e) {
		if pk, sk, _ := strings.Cut(key, " "); strings.HasPrefix(sk, "notes#") {
			notes[strings.Split(pk, "#")[1]]++
		}
	}
	return notes
}

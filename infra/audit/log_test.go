package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// stored is a thread's log as it stands in the table, by sequence number.
type stored map[chat.Seq]json.RawMessage

// record is a record of a log as it stands in the table, below its owner's key.
type record struct {
	user   string
	thread chat.ThreadID
	seq    chat.Seq
	events []json.RawMessage
}

// records reads the logs of all threads past everything that knows who may.
func records(ctx context.Context, e stack.Endpoints, each func(record) error) error {
	db := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(e.DynamoDB),
		Credentials: e.Operator()})
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: aws.String("carrel-Table"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("reading the table: %w", err)
		}
		for _, item := range page.Items {
			var r struct {
				PK     string `dynamodbav:"pk"`
				SK     string `dynamodbav:"sk"`
				Seq    int64  `dynamodbav:"s"`
				Events string `dynamodbav:"e"`
			}
			if err := attributevalue.UnmarshalMap(item, &r); err != nil {
				return err
			}
			if !strings.HasPrefix(r.SK, "E#") {
				continue
			}
			var events []json.RawMessage
			if err := json.Unmarshal([]byte(r.Events), &events); err != nil {
				return fmt.Errorf("record %s %s: %w", r.PK, r.SK, err)
			}
			parts := strings.Split(r.PK, "#") // U#<user>#T#<thread>#<epoch>
			if err := each(record{parts[1], chat.ThreadID(parts[len(parts)-2]), chat.Seq(r.Seq), events}); err != nil {
				return err
			}
		}
	}
	return nil
}

// logs are those of all threads.
func logs(ctx context.Context, e stack.Endpoints) (map[chat.ThreadID]stored, error) {
	all := map[chat.ThreadID]stored{}
	err := records(ctx, e, func(r record) error {
		if all[r.thread] == nil {
			all[r.thread] = stored{}
		}
		for i, e := range r.events {
			seq := r.seq + chat.Seq(i)
			if had, twice := all[r.thread][seq]; twice {
				return fmt.Errorf("thread %s has event %d twice: %s and %s", r.thread, seq, had, e)
			}
			all[r.thread][seq] = e
		}
		return nil
	})
	return all, err
}

// check wants a log without gaps whose runs, so many, each ended once, and wants what a window was shown to be in it.
func (log stored) check(shown seen, runs int) error {
	var events []agui.Event
	for seq := chat.Seq(1); seq <= chat.Seq(len(log)); seq++ {
		raw, ok := log[seq]
		if !ok {
			return fmt.Errorf("event %d of %d is missing in the log", seq, len(log))
		}
		var e agui.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		events = append(events, e)
	}
	err := ended(events, runs)
	for seq, event := range shown.events {
		if !bytes.Equal(log[seq], event) {
			err = errors.Join(err, fmt.Errorf("event %d was shown as %s, and the log has %s", seq, event, log[seq]))
		}
	}
	return err
}

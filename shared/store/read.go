package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type attributes = map[string]types.AttributeValue

func text[S ~string](v S) types.AttributeValue { return &types.AttributeValueMemberS{Value: string(v)} }

func number[N ~int64](v N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(int64(v))}
}

// absent is the condition "must not exist", and present its opposite, for items that expire: TTL deletes up to days
// late. Both use the value :now in seconds.
const (
	absent  = "(attribute_not_exists(#pk) OR #expires < :now)"
	present = "(attribute_exists(#pk) AND #expires >= :now)"
)

// names returns the attribute names of expressions. Expressions write every name as #name, because many are reserved
// words.
func names(expressions ...string) map[string]string {
	ns := map[string]string{}
	for _, e := range expressions {
		for _, part := range strings.Split(e, "#")[1:] {
			end := strings.IndexFunc(part, func(r rune) bool { return r < 'a' || r > 'z' })
			if end < 0 {
				end = len(part)
			}
			ns["#"+part[:end]] = part[:end]
		}
	}
	return ns
}

// get reads one item, consistently.
func (t *Table) get(ctx context.Context, k key, item any) (found bool, err error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.c.Name, Key: k.attributes(), ConsistentRead: aws.Bool(true),
	})
	if err != nil || len(out.Item) == 0 {
		return false, err
	}
	return true, attributevalue.UnmarshalMap(out.Item, item)
}

// mostKeys is the maximum number of items in one DynamoDB batch read, and mostParts the maximum number of parts in one
// transaction.
const mostKeys, mostParts = 100, 100

// getAll reads items of one partition and returns the existing items by sort key. Each item is read consistently, but
// the items are not read at the same moment.
func (t *Table) getAll(ctx context.Context, keys []key) (map[string]attributes, error) {
	found := map[string]attributes{}
	for some := range slices.Chunk(keys, mostKeys) {
		if err := t.getSome(ctx, some, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// getSome reads the items of one batch request into found, and requests unprocessed keys again.
func (t *Table) getSome(ctx context.Context, keys []key, found map[string]attributes) error {
	ask := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, k := range keys {
		ask.Keys = append(ask.Keys, k.attributes())
	}
	left := map[string]types.KeysAndAttributes{t.c.Name: ask}
	for n := 0; len(left) > 0; n++ {
		if n > 0 { // throttled, or over 16 MB
			if err := pause(ctx, n); err != nil {
				return err
			}
		}
		out, err := t.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: left})
		if err != nil {
			return err
		}
		for _, item := range out.Responses[t.c.Name] {
			var k struct {
				SK string `dynamodbav:"sk"`
			}
			if err := attributevalue.UnmarshalMap(item, &k); err != nil {
				return err
			}
			found[k.SK] = item
		}
		left = out.UnprocessedKeys
	}
	return nil
}

// span is one query over a partition: sort keys from low to high, both inclusive.
type span struct {
	pk, low, high string
	index         string // name and sort key of the index; "" means the table itself
	descending    bool
	page          int        // items of one request; 0 means as many as fit
	next          func() int // returns the number for each further request; nil means the same number
	keys          bool       // read only the keys
	once          bool       // make only one request
}

// each calls f with the items of the span, in order, until f returns false. It reads consistently, page by page. end is
// true if it reached the end of the span.
func (t *Table) each(ctx context.Context, q span, f func(attributes) (more bool, err error)) (end bool, err error) {
	condition := q.condition()
	in := &dynamodb.QueryInput{
		TableName: &t.c.Name, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String(condition),
		ExpressionAttributeNames:  names(condition),
		ExpressionAttributeValues: attributes{":pk": text(q.pk), ":low": text(q.low), ":high": text(q.high)},
		ScanIndexForward:          aws.Bool(!q.descending),
	}
	if q.index != "" {
		in.IndexName = &q.index
	}
	if q.keys {
		in.ProjectionExpression = aws.String("#pk, #sk")
	}
	if q.page > 0 {
		in.Limit = aws.Int32(int32(q.page))
	}
	for {
		out, err := t.db.Query(ctx, in)
		if err != nil {
			return false, err
		}
		for _, item := range out.Items {
			if more, err := f(item); err != nil || !more {
				return false, err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return true, nil
		}
		if q.once {
			return false, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		if q.next != nil {
			in.Limit = aws.Int32(int32(q.next()))
		}
	}
}

package stack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"carrel/infra/local/template"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DeleteExpired deletes the items whose time to live has ended and returns their number. The engine never deletes them,
// and the stack calls this only when it starts. On AWS the deletion takes days, so every reader must check the time.
func (s *Stack) DeleteExpired(ctx context.Context) (int, error) {
	deleted := 0
	for _, t := range s.template.Tables {
		if t.TTL == "" {
			continue
		}
		n, err := deleteExpired(ctx, s.database, t)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("delete the expired items of table %s: %w", t.Name, err)
		}
	}
	return deleted, nil
}

func deleteExpired(ctx context.Context, db *sdk.Client, t template.Table) (int, error) {
	deleted := 0
	when, names := aws.String("#ttl < :now"), map[string]string{"#ttl": t.TTL}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	values := map[string]types.AttributeValue{":now": &types.AttributeValueMemberN{Value: now}}
	pages := sdk.NewScanPaginator(db, &sdk.ScanInput{TableName: aws.String(t.Name), FilterExpression: when,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return deleted, err
		}
		for _, item := range page.Items {
			key := map[string]types.AttributeValue{}
			for _, k := range []template.Key{t.Hash, t.Range} {
				if k.Name != "" {
					key[k.Name] = item[k.Name]
				}
			}
			_, err := db.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: aws.String(t.Name), Key: key,
				ConditionExpression:      when,
				ExpressionAttributeNames: names, ExpressionAttributeValues: values})
			var renewed *types.ConditionalCheckFailedException
			if errors.As(err, &renewed) {
				continue
			}
			if err != nil {
				return deleted, err
			}
			deleted++
		}
	}
	return deleted, nil
}

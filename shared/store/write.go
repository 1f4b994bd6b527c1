package store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update is one conditional change of one item, alone or in a transaction.
type update struct {
	key    key
	change string // of attributes written #name
	when   string
	values attributes
	names  map[string]string // aliases that differ from the attribute name
}

// set gives an expression a value. An update without one has no values at all: DynamoDB rejects an empty map.
func (u *update) set(name string, v types.AttributeValue) {
	if u.values == nil {
		u.values = attributes{}
	}
	u.values[name] = v
}

func (u update) aliases() map[string]string {
	ns := names(u.change, u.when)
	for alias, name := range u.names {
		ns[alias] = name
	}
	return ns
}

// update makes the change and returns the item after it. If the condition refuses the change, refused returns the
// existing item from the error. update retries after a conflict with a transaction.
func (t *Table) update(ctx context.Context, u update) (attributes, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: &t.c.Name, Key: u.key.attributes(), UpdateExpression: &u.change, ConditionExpression: &u.when,
		ExpressionAttributeNames: u.aliases(), ExpressionAttributeValues: u.values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	for n := 1; ; n++ {
		out, err := t.db.UpdateItem(ctx, in)
		if err == nil {
			return out.Attributes, nil
		}
		if !conflicted(err) {
			return nil, err
		}
		if waited := pause(ctx, n); waited != nil {
			return nil, errors.Join(waited, err)
		}
	}
}

func (t *Table) updatePart(u update) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &t.c.Name, Key: u.key.attributes(), UpdateExpression: &u.change, ConditionExpression: &u.when,
		ExpressionAttributeNames: u.aliases(), ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}
}

// put writes a whole item if the condition holds.
func (t *Table) put(ctx context.Context, item any, when string, values attributes) error {
	m, err := attributevalue.MarshalMap(item)
	if err != nil {
		return err
	}
	in := &dynamodb.PutItemInput{
		TableName: &t.c.Name, Item: m,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if when != "" {
		in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = &when, names(when), values
	}
	for n := 1; ; n++ {
		if _, err = t.db.PutItem(ctx, in); !conflicted(err) {
			return err
		}
		if waited := pause(ctx, n); waited != nil {
			return errors.Join(waited, err)
		}
	}
}

func (t *Table) putPart(item any, when string, values attributes) (types.TransactWriteItem, error) {
	m, err := attributevalue.MarshalMap(item)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	p := &types.Put{
		TableName: &t.c.Name, Item: m,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if when != "" {
		p.ConditionExpression, p.ExpressionAttributeNames, p.ExpressionAttributeValues = &when, names(when), values
	}
	return types.TransactWriteItem{Put: p}, nil
}

// transact writes all parts or none. The SDK gives each call a client token, so its own retries are harmless.
func (t *Table) transact(ctx context.Context, parts ...types.TransactWriteItem) error {
	_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: parts})
	return err
}

// deletePart deletes an item if the condition of u holds; u changes nothing.
func (t *Table) deletePart(u update) types.TransactWriteItem {
	d := &types.Delete{TableName: &t.c.Name, Key: u.key.attributes()}
	if u.when != "" {
		d.ConditionExpression, d.ExpressionAttributeNames, d.ExpressionAttributeValues = &u.when, u.aliases(), u.values
	}
	return types.TransactWriteItem{Delete: d}
}

// remove deletes an item if the condition holds.
func (t *Table) remove(ctx context.Context, k key, when string, values attributes) error {
	in := &dynamodb.DeleteItemInput{TableName: &t.c.Name, Key: k.attributes()}
	if when != "" {
		in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = &when, names(when), values
	}
	for n := 1; ; n++ {
		_, err := t.db.DeleteItem(ctx, in)
		if !conflicted(err) {
			return err
		}
		if waited := pause(ctx, n); waited != nil {
			return errors.Join(waited, err)
		}
	}
}

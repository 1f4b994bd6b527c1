// Package access tells what a DynamoDB request asks permission for, as AWS sees it: each item of a transaction is an
// action of its own, a batch and a query have their own action, an index its own ARN, and dynamodb:LeadingKeys holds
// the partition keys that are named. Scan and requests about tables name none.
package access

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"carrel/infra/local/iam"
)

// LeadingKeys is the condition key that holds the partition keys of a request, in lower case.
const LeadingKeys = "dynamodb:leadingkeys"

// Schema says what the tables are like.
type Schema struct {
	ARN func(table string) string // of a table
	// the partition key's attribute; index "": the table's own; "": there is none
	Hash func(table, index string) (name string)
}

// object is a JSON object whose members' names are taken as they stand. A struct of encoding/json would take "key" for
// Key, and what is decided about would not be what the engine does.
type object map[string]json.RawMessage

// get decodes a member, if there is one.
func (o object) get(name string, to any) error {
	raw, found := o[name]
	if !found {
		return nil
	}
	return json.Unmarshal(raw, to)
}

// item is what is read of a request, or of one item of it. An attribute's value is read if it is a key's.
type item struct {
	table, index string
	key, item    object
	condition    string
	names        map[string]string
	values       object
}

func read(body []byte) (i item, err error) {
	var o object
	err = errors.Join(json.Unmarshal(body, &o), o.get("TableName", &i.table), o.get("IndexName", &i.index),
		o.get("Key", &i.key), o.get("Item", &i.item),
		o.get("KeyConditionExpression", &i.condition), o.get("ExpressionAttributeNames", &i.names),
		o.get("ExpressionAttributeValues", &i.values))
	if err != nil {
		return i, fmt.Errorf("read a request: %w", err)
	}
	return i, nil
}

// Asked are the permissions that a request needs: all of them, or it is denied. An error says why that cannot be told.
func Asked(operation string, body []byte, s Schema) ([]iam.Request, error) {
	switch operation {
	case "GetItem", "DeleteItem", "UpdateItem", "PutItem", "Query", "Scan":
		i, err := read(body)
		if err != nil {
			return nil, err
		}
		return s.single(operation, i)
	case "TransactWriteItems", "TransactGetItems":
		return s.transaction(body)
	case "BatchGetItem":
		return s.batch(operation, body, keysRead)
	case "BatchWriteItem":
		return s.batch(operation, body, keysWritten)
	}
	// What speaks of tables, PartiQL, backups and all else names no key. It is of the table that is named, or of all.
	i, err := read(body)
	if err != nil {
		return nil, err
	}
	return []iam.Request{s.request(operation, cmp.Or(i.table, "*"), "", nil)}, nil
}

func (s Schema) request(action, table, index string, keys []string) iam.Request {
	resource := s.ARN(table)
	if index != "" {
		resource += "/index/" + index
	}
	return iam.Request{Action: "dynamodb:" + action, Resource: resource,
		Context: map[string][]string{LeadingKeys: keys}}
}

// single is a request about one item, or one partition.
func (s Schema) single(operation string, i item) ([]iam.Request, error) {
	var key string
	var err error
	switch operation {
	case "Scan":
		return []iam.Request{s.request(operation, i.table, i.index, nil)}, nil
	case "Query":
		key, err = s.queried(i)
	case "PutItem":
		key, err = s.key(i.table, i.item)
	default:
		key, err = s.key(i.table, i.key)
	}
	if err != nil {
		return nil, err
	}
	return []iam.Request{s.request(operation, i.table, i.index, []string{key})}, nil
}

// transaction asks for each of its items by itself.
func (s Schema) transaction(body []byte) ([]iam.Request, error) {
	var t object
	var items []object
	if err := errors.Join(json.Unmarshal(body, &t), t.get("TransactItems", &items)); err != nil {
		return nil, fmt.Errorf("read a transaction: %w", err)
	}
	actions := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem",
		"ConditionCheck": "ConditionCheckItem"}
	var asked []iam.Request
	for _, parts := range items {
		for kind, part := range parts {
			action, known := actions[kind]
			if !known {
				return nil, fmt.Errorf("a transaction has no %q", kind)
			}
			i, err := read(part)
			if err != nil {
				return nil, err
			}
			one, err := s.single(action, i)
			if err != nil {
				return nil, err
			}
			asked = append(asked, one...)
		}
	}
	return asked, nil
}

// batch is one request for each table, about all the keys that are named there.
func (s Schema) batch(operation string, body []byte, keys func(json.RawMessage) ([]object, error)) ([]iam.Request,
	error) {
	var b, tables object
	if err := errors.Join(json.Unmarshal(body, &b), b.get("RequestItems", &tables)); err != nil {
		return nil, fmt.Errorf("read a batch: %w", err)
	}
	var asked []iam.Request
	for table, of := range tables {
		items, err := keys(of)
		if err != nil {
			return nil, fmt.Errorf("read a batch: %w", err)
		}
		var named []string
		for _, i := range items {
			key, err := s.key(table, i)
			if err != nil {
				return nil, err
			}
			named = append(named, key)
		}
		asked = append(asked, s.request(operation, table, "", named))
	}
	return asked, nil
}

// keysRead are the keys that a BatchGetItem names of one table.
func keysRead(of json.RawMessage) (keys []object, err error) {
	var o object
	err = errors.Join(json.Unmarshal(of, &o), o.get("Keys", &keys))
	return keys, err
}

// keysWritten are what a BatchWriteItem puts and deletes in one table.
func keysWritten(of json.RawMessage) (keys []object, err error) {
	var writes []map[string]object
	err = json.Unmarshal(of, &writes)
	for _, w := range writes {
		for kind, member := range map[string]string{"PutRequest": "Item", "DeleteRequest": "Key"} {
			if request, found := w[kind]; found {
				var key object
				err = errors.Join(err, request.get(member, &key))
				keys = append(keys, key)
			}
		}
	}
	return keys, err
}

// key is an item's partition key.
func (s Schema) key(table string, o object) (string, error) {
	name := s.Hash(table, "")
	value, found := o[name]
	if name == "" || !found {
		return "", fmt.Errorf("the item has no partition key of table %q", table)
	}
	return scalar(value)
}

// scalar is a key's value as text: {"S": "text"}, and nothing beside.
func scalar(value json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	var parts [4]json.Token
	for n := range parts {
		parts[n], _ = d.Token() // what is none is no part of a key
	}
	kind, _ := parts[1].(string)
	text, isText := parts[2].(string)
	if parts[0] != json.Delim('{') || !slices.Contains([]string{"S", "N", "B"}, kind) || !isText ||
		parts[3] != json.Delim('}') {
		return "", errors.New("a partition key is neither text, number nor binary")
	}
	return text, nil
}

// queried is the partition key that a query's condition names: name = :value, alone or in a conjunction.
func (s Schema) queried(i item) (string, error) {
	hash := s.Hash(i.table, i.index)
	words := strings.Fields(strings.NewReplacer("=", " = ", "(", " ", ")", " ").Replace(i.condition))
	for n := 0; n+2 < len(words) && hash != ""; n++ {
		name := cmp.Or(i.names[words[n]], words[n])
		if words[n+1] != "=" || name != hash {
			continue
		}
		value, found := i.values[words[n+2]]
		if !found {
			break
		}
		return scalar(value)
	}
	return "", fmt.Errorf("the query names no partition key of table %q, index %q", i.table, i.index)
}

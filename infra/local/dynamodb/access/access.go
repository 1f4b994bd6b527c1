// Package access determines the permissions that a DynamoDB request needs, by AWS's rules: each item of a transaction
// is an action of its own, a batch and a query have actions of their own, an index has its own ARN, and the condition
// key dynamodb:LeadingKeys holds the partition keys that a request names. A Scan and requests about tables name none.
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

// LeadingKeys is the condition key, in lower case, that holds the partition keys of a request.
const LeadingKeys = "dynamodb:leadingkeys"

// Schema describes the tables.
type Schema struct {
	// ARN returns the ARN of a table.
	ARN func(table string) string
	// Hash returns the attribute of an index's partition key, or of the table's own for index "". It returns "" if the
	// table or index does not exist.
	Hash func(table, index string) string
}

// object is a JSON object with case-sensitive member names. encoding/json would accept "key" for a struct's field Key;
// then the request that is authorized could differ from the request that the engine executes.
type object map[string]json.RawMessage

// get decodes a member, if there is one.
func (o object) get(name string, to any) error {
	raw, found := o[name]
	if !found {
		return nil
	}
	return json.Unmarshal(raw, to)
}

// item holds the relevant parts of a request, or of one item of a batch or transaction. Only key attributes are
// decoded.
type item struct {
	table, index string
	key, item    object
	condition    string
	names        map[string]string
	values       object
}

func decode(body []byte) (i item, err error) {
	var o object
	err = errors.Join(json.Unmarshal(body, &o), o.get("TableName", &i.table), o.get("IndexName", &i.index),
		o.get("Key", &i.key), o.get("Item", &i.item),
		o.get("KeyConditionExpression", &i.condition), o.get("ExpressionAttributeNames", &i.names),
		o.get("ExpressionAttributeValues", &i.values))
	if err != nil {
		return i, fmt.Errorf("decode the request: %w", err)
	}
	return i, nil
}

// Permissions returns the permissions that a request needs; all of them must be granted. It returns an error if the
// request cannot be understood.
func Permissions(operation string, body []byte, s Schema) ([]iam.Request, error) {
	switch operation {
	case "GetItem", "DeleteItem", "UpdateItem", "PutItem", "Query", "Scan":
		i, err := decode(body)
		if err != nil {
			return nil, err
		}
		return s.single(operation, i)
	case "TransactWriteItems", "TransactGetItems":
		return s.transaction(body)
	case "BatchGetItem":
		return s.batch(operation, body, getKeys)
	case "BatchWriteItem":
		return s.batch(operation, body, writeKeys)
	}
	// Requests about tables, PartiQL, backups and all others name no key. They concern the named table, or all tables.
	i, err := decode(body)
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

// single returns the permission for a request about one item or one partition.
func (s Schema) single(operation string, i item) ([]iam.Request, error) {
	var key string
	var err error
	switch operation {
	case "Scan":
		return []iam.Request{s.request(operation, i.table, i.index, nil)}, nil
	case "Query":
		key, err = s.queryKey(i)
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

// transaction returns the permissions for the items of a transaction, each with its own action.
func (s Schema) transaction(body []byte) ([]iam.Request, error) {
	var t object
	var items []object
	if err := errors.Join(json.Unmarshal(body, &t), t.get("TransactItems", &items)); err != nil {
		return nil, fmt.Errorf("decode the transaction: %w", err)
	}
	actions := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem",
		"ConditionCheck": "ConditionCheckItem"}
	var permissions []iam.Request
	for _, parts := range items {
		for kind, part := range parts {
			action, known := actions[kind]
			if !known {
				return nil, fmt.Errorf("%q is not an action of a transaction", kind)
			}
			i, err := decode(part)
			if err != nil {
				return nil, err
			}
			one, err := s.single(action, i)
			if err != nil {
				return nil, err
			}
			permissions = append(permissions, one...)
		}
	}
	return permissions, nil
}

// batch returns one permission per table of a batch. Each holds all partition keys that the batch names in that table.
func (s Schema) batch(
	operation string, body []byte, keys func(json.RawMessage) ([]object, error),
) ([]iam.Request, error) {
	var b, tables object
	if err := errors.Join(json.Unmarshal(body, &b), b.get("RequestItems", &tables)); err != nil {
		return nil, fmt.Errorf("decode the batch: %w", err)
	}
	var permissions []iam.Request
	for table, entry := range tables {
		items, err := keys(entry)
		if err != nil {
			return nil, fmt.Errorf("decode the batch for table %q: %w", table, err)
		}
		var named []string
		for _, i := range items {
			key, err := s.key(table, i)
			if err != nil {
				return nil, err
			}
			named = append(named, key)
		}
		permissions = append(permissions, s.request(operation, table, "", named))
	}
	return permissions, nil
}

// getKeys returns the keys that a BatchGetItem reads from one table.
func getKeys(entry json.RawMessage) (keys []object, err error) {
	var o object
	err = errors.Join(json.Unmarshal(entry, &o), o.get("Keys", &keys))
	return keys, err
}

// writeKeys returns the items that a BatchWriteItem puts into one table, and the keys that it deletes there.
func writeKeys(entry json.RawMessage) (keys []object, err error) {
	var writes []map[string]object
	err = json.Unmarshal(entry, &writes)
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

// key returns the partition key of an item.
func (s Schema) key(table string, o object) (string, error) {
	name := s.Hash(table, "")
	value, found := o[name]
	if name == "" || !found {
		return "", fmt.Errorf("the item has no partition key of table %q", table)
	}
	return scalar(value)
}

// scalar returns the text of a key's value, which must be an object with a single member, such as {"S": "text"}.
func scalar(value json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	var parts [4]json.Token
	for n := range parts {
		parts[n], _ = d.Token() // an error leaves a nil token, which the check below rejects
	}
	kind, _ := parts[1].(string)
	text, isText := parts[2].(string)
	if parts[0] != json.Delim('{') || !slices.Contains([]string{"S", "N", "B"}, kind) || !isText ||
		parts[3] != json.Delim('}') {
		return "", errors.New("a partition key is neither text, number nor binary")
	}
	return text, nil
}

// queryKey returns the partition key of a query. The condition names it as name = :value, alone or in a conjunction.
func (s Schema) queryKey(i item) (string, error) {
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

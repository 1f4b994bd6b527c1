// Package access determines the permissions that a DynamoDB request needs, by AWS's rules: each item of a transaction
// is an action of its own, a batch and a query have actions of their own, an index has its own ARN, and the condition
// key dynamodb:LeadingKeys holds the partition keys that a request names. A Scan and requests about tables name none.
package access

import (
	"cmp"
	"errors"
	"fmt"
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
type object map[string]value

// get returns a member, or nil.
func (o object) get(name string) value {
	raw, found := o[name]
	if !found {
		return nil
	}
	return raw
}

// item holds the relevant parts of a request, or of one item of a batch or transaction. Only key attributes are
// decoded.
type item struct {
	table, index string
	key, item    object
	condition    string
	names        object
	values       object
}

func decode(v value) (i item, err error) {
	o, err := v.object()
	var errs [8]error
	i.table, errs[0] = o.get("TableName").text()
	i.index, errs[1] = o.get("IndexName").text()
	i.key, errs[2] = o.get("Key").object()
	i.item, errs[3] = o.get("Item").object()
	i.condition, errs[4] = o.get("KeyConditionExpression").text()
	i.names, errs[5] = o.get("ExpressionAttributeNames").object()
	i.values, errs[6] = o.get("ExpressionAttributeValues").object()
	errs[7] = err
	if err := errors.Join(errs[:]...); err != nil {
		return i, fmt.Errorf("decode the request: %w", err)
	}
	return i, nil
}

// Permissions returns the permissions that a request needs; all of them must be granted. It returns an error if the
// request cannot be understood.
func Permissions(operation string, body []byte, s Schema) ([]iam.Request, error) {
	request, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	switch operation {
	case "TransactWriteItems", "TransactGetItems":
		return s.transaction(request)
	case "BatchGetItem":
		return s.batch(operation, request, getKeys)
	case "BatchWriteItem":
		return s.batch(operation, request, writeKeys)
	}
	i, err := decode(request)
	if err != nil {
		return nil, err
	}
	switch operation {
	case "GetItem", "DeleteItem", "UpdateItem", "PutItem", "Query", "Scan":
		return s.single(operation, i)
	}
	// Requests about tables, PartiQL, backups and all others name no key. They concern the named table, or all tables.
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

// action returns the action that a member of a transaction's item is. It returns false for an unknown member.
func action(member string) (string, bool) {
	switch member {
	case "Put", "Update", "Delete", "Get":
		return member + "Item", true
	case "ConditionCheck":
		return "ConditionCheckItem", true
	}
	return "", false
}

// transaction returns the permissions for the items of a transaction, each with its own action.
func (s Schema) transaction(request value) ([]iam.Request, error) {
	t, err := request.object()
	items, listErr := t.get("TransactItems").list()
	if err := errors.Join(err, listErr); err != nil {
		return nil, fmt.Errorf("decode the transaction: %w", err)
	}
	var permissions []iam.Request
	for _, parts := range items {
		members, err := parts.object()
		if err != nil {
			return nil, fmt.Errorf("decode the transaction: %w", err)
		}
		for member, part := range members {
			action, known := action(member)
			if !known {
				return nil, fmt.Errorf("%q is not an action of a transaction", member)
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
func (s Schema) batch(operation string, request value, keys func(value) ([]object, error)) ([]iam.Request, error) {
	b, err := request.object()
	tables, tablesErr := b.get("RequestItems").object()
	if err := errors.Join(err, tablesErr); err != nil {
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
func getKeys(entry value) (keys []object, err error) {
	o, err := entry.object()
	all, listErr := o.get("Keys").list()
	if err = errors.Join(err, listErr); err != nil {
		return nil, err
	}
	for _, v := range all {
		key, err := v.object()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// writeKeys returns the items that a BatchWriteItem puts into one table, and the keys that it deletes there.
func writeKeys(entry value) (keys []object, err error) {
	writes, err := entry.list()
	if err != nil {
		return nil, err
	}
	for _, w := range writes {
		parts, err := w.object()
		if err != nil {
			return nil, err
		}
		for _, kind := range [...][2]string{{"PutRequest", "Item"}, {"DeleteRequest", "Key"}} {
			if parts.get(kind[0]) == nil {
				continue
			}
			request, err := parts.get(kind[0]).object()
			key, keyErr := request.get(kind[1]).object()
			if err := errors.Join(err, keyErr); err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	return keys, nil
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
func scalar(key value) (string, error) {
	members, kind, content := 0, "", value(nil)
	err := key.members(func(name string, member value) { members, kind, content = members+1, name, member })
	if err != nil || members != 1 || kind != "S" && kind != "N" && kind != "B" || content[0] != '"' {
		return "", errors.New("a partition key is neither text, number nor binary")
	}
	return content.text()
}

// queryKey returns the partition key of a query. The condition names it as name = :value, alone or in a conjunction.
func (s Schema) queryKey(i item) (string, error) {
	hash := s.Hash(i.table, i.index)
	words := strings.Fields(strings.NewReplacer("=", " = ", "(", " ", ")", " ").Replace(i.condition))
	for n := 0; n+2 < len(words) && hash != ""; n++ {
		alias, err := i.names.get(words[n]).text()
		if err != nil {
			return "", fmt.Errorf("decode the query: %w", err)
		}
		name := cmp.Or(alias, words[n])
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

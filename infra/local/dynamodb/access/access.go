// Package access tells what a DynamoDB request asks permission for, as AWS sees it: each item of a transaction is an
// action of its own, a batch and a query have their own action, an index its own ARN, and dynamodb:LeadingKeys holds the
// partition keys that are named. Scan and requests about tables name none.
package access

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"carrel/infra/local/iam"
)

// LeadingKeys is the condition key that holds the partition keys of a request, in lower case.
const LeadingKeys = "dynamodb:leadingkeys"

// Schema says what the tables are like.
type Schema struct {
	ARN  func(table string) string               // of a table
	Hash func(table, index string) (name string) // the partition key's attribute; index "": the table's own; "": there is none
}

// item is what is read of a request, or of one item of it.
type item struct {
	TableName                 string
	IndexName                 string
	Key                       attributes
	Item                      attributes
	KeyConditionExpression    string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attributes
}

type attributes map[string]map[string]any

// Asked are the permissions that a request needs: all of them, or it is denied. An error says why that cannot be told.
func Asked(operation string, body []byte, s Schema) ([]iam.Request, error) {
	switch operation {
	case "GetItem", "DeleteItem", "UpdateItem", "PutItem", "Query", "Scan":
		var i item
		if err := json.Unmarshal(body, &i); err != nil {
			return nil, fmt.Errorf("read a request: %w", err)
		}
		return s.single(operation, i)
	case "TransactWriteItems", "TransactGetItems":
		return s.transaction(body)
	case "BatchGetItem":
		var b struct {
			RequestItems map[string]struct{ Keys []attributes }
		}
		return s.batch(operation, json.Unmarshal(body, &b), func(each func(string, attributes)) {
			for table, keys := range b.RequestItems {
				for _, k := range keys.Keys {
					each(table, k)
				}
			}
		})
	case "BatchWriteItem":
		var b struct {
			RequestItems map[string][]struct {
				PutRequest    struct{ Item attributes }
				DeleteRequest struct{ Key attributes }
			}
		}
		return s.batch(operation, json.Unmarshal(body, &b), func(each func(string, attributes)) {
			for table, writes := range b.RequestItems {
				for _, w := range writes {
					each(table, either(w.PutRequest.Item, w.DeleteRequest.Key))
				}
			}
		})
	}
	// What speaks of tables, PartiQL, backups and all else names no key. It is of the table that is named, or of all.
	var i item
	if err := json.Unmarshal(body, &i); err != nil {
		return nil, fmt.Errorf("read a request: %w", err)
	}
	return []iam.Request{s.request(operation, cmp.Or(i.TableName, "*"), "", nil)}, nil
}

func either(a, b attributes) attributes {
	if a != nil {
		return a
	}
	return b
}

func (s Schema) request(action, table, index string, keys []string) iam.Request {
	resource := s.ARN(table)
	if index != "" {
		resource += "/index/" + index
	}
	return iam.Request{Action: "dynamodb:" + action, Resource: resource, Context: map[string][]string{LeadingKeys: keys}}
}

// single is a request about one item, or one partition.
func (s Schema) single(operation string, i item) ([]iam.Request, error) {
	if operation == "Scan" {
		return []iam.Request{s.request(operation, i.TableName, i.IndexName, nil)}, nil
	}
	var key string
	var err error
	if operation == "Query" {
		key, err = s.queried(i)
	} else {
		key, err = s.key(i.TableName, either(i.Key, i.Item))
	}
	if err != nil {
		return nil, err
	}
	return []iam.Request{s.request(operation, i.TableName, i.IndexName, []string{key})}, nil
}

// transaction asks for each of its items by itself.
func (s Schema) transaction(body []byte) ([]iam.Request, error) {
	var t struct{ TransactItems []map[string]item }
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, fmt.Errorf("read a transaction: %w", err)
	}
	actions := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem", "ConditionCheck": "ConditionCheckItem"}
	var asked []iam.Request
	for _, parts := range t.TransactItems {
		for kind, i := range parts {
			action, known := actions[kind]
			if !known {
				return nil, fmt.Errorf("a transaction has no %q", kind)
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
func (s Schema) batch(operation string, err error, items func(each func(table string, a attributes))) ([]iam.Request, error) {
	if err != nil {
		return nil, fmt.Errorf("read a batch: %w", err)
	}
	keys, failed := map[string][]string{}, error(nil)
	items(func(table string, a attributes) {
		key, err := s.key(table, a)
		failed = cmp.Or(failed, err)
		keys[table] = append(keys[table], key)
	})
	if failed != nil {
		return nil, failed
	}
	var asked []iam.Request
	for table, named := range keys {
		asked = append(asked, s.request(operation, table, "", named))
	}
	return asked, nil
}

// key is an item's partition key.
func (s Schema) key(table string, a attributes) (string, error) {
	name := s.Hash(table, "")
	value, found := a[name]
	if name == "" || !found {
		return "", fmt.Errorf("the item has no partition key of table %q", table)
	}
	return scalar(value)
}

// scalar is a key's value as text.
func scalar(value map[string]any) (string, error) {
	for _, kind := range [...]string{"S", "N", "B"} {
		if text, ok := value[kind].(string); ok && len(value) == 1 {
			return text, nil
		}
	}
	return "", errors.New("a partition key is neither text, number nor binary")
}

// queried is the partition key that a query's condition names: name = :value, alone or in a conjunction.
func (s Schema) queried(i item) (string, error) {
	hash := s.Hash(i.TableName, i.IndexName)
	words := strings.Fields(strings.NewReplacer("=", " = ", "(", " ", ")", " ").Replace(i.KeyConditionExpression))
	for n := 0; n+2 < len(words) && hash != ""; n++ {
		name := cmp.Or(i.ExpressionAttributeNames[words[n]], words[n])
		if words[n+1] != "=" || name != hash {
			continue
		}
		value, found := i.ExpressionAttributeValues[words[n+2]]
		if !found {
			break
		}
		return scalar(value)
	}
	return "", fmt.Errorf("the query names no partition key of table %q, index %q", i.TableName, i.IndexName)
}

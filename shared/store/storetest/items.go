package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat/chattest"
)

// items returns all items of the table.
func (w *World) items() (all []map[string]types.AttributeValue) {
	w.T.Helper()
	pages := dynamodb.NewScanPaginator(w.DB, &dynamodb.ScanInput{TableName: &w.Name, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.T.Context())
		if err != nil {
			w.T.Fatal(err)
		}
		all = append(all, page.Items...)
	}
	return all
}

// divide reads the table and returns the items of subject and all other items.
func (w *World) divide(subject string) (own, foreign []map[string]types.AttributeValue) {
	w.T.Helper()
	key := chattest.User(w.T, subject).Key()
	for _, item := range w.items() {
		pk, owner := stringOf(item["pk"]), stringOf(item["user"])
		if pk == "U#"+key || strings.HasPrefix(pk, "U#"+key+"#") || strings.HasPrefix(pk, "C#") && owner == key {
			own = append(own, item)
		} else {
			foreign = append(foreign, item)
		}
	}
	return own, foreign
}

// foreign returns every item that does not belong to the caller, as text by key.
func (c caller) foreign() map[string]string {
	c.T.Helper()
	_, foreign := c.divide(c.as)
	items := map[string]string{}
	for _, i := range foreign {
		items[stringOf(i["pk"])+" "+stringOf(i["sk"])] = textOf(i)
	}
	if len(items) == 0 {
		c.T.Fatal("the other user has no items")
	}
	return items
}

// set writes one attribute of an item directly to the table, without the store.
func (w *World) set(k map[string]types.AttributeValue, name string, v types.AttributeValue) {
	w.T.Helper()
	_, err := w.DB.UpdateItem(w.T.Context(), &dynamodb.UpdateItemInput{
		TableName: &w.Name, Key: k, UpdateExpression: aws.String("SET #a = :v"),
		ExpressionAttributeNames:  map[string]string{"#a": name},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": v},
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// item returns the key of an item.
func item(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk},
	}
}

// plant stores an item of string attributes directly in the table.
func (w *World) plant(item map[string]string) {
	w.T.Helper()
	in := map[string]types.AttributeValue{}
	for name, v := range item {
		in[name] = &types.AttributeValueMemberS{Value: v}
	}
	if _, err := w.DB.PutItem(w.T.Context(), &dynamodb.PutItemInput{TableName: &w.Name, Item: in}); err != nil {
		w.T.Fatal(err)
	}
}

// change updates one item directly in the table, to simulate a defect. The value to is stored as a number if it
// consists of digits.
func (w *World) change(pk, sk, change string, names map[string]string, to string) {
	w.T.Helper()
	var v types.AttributeValue = &types.AttributeValueMemberS{Value: to}
	if strings.Trim(to, "0123456789") == "" {
		v = &types.AttributeValueMemberN{Value: to}
	}
	_, err := w.DB.UpdateItem(w.T.Context(), &dynamodb.UpdateItemInput{
		TableName: &w.Name, UpdateExpression: &change, ExpressionAttributeNames: names,
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk},
			"sk": &types.AttributeValueMemberS{Value: sk}},
		ExpressionAttributeValues: map[string]types.AttributeValue{":t": v},
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// erase deletes one item directly from the table.
func (w *World) erase(pk, sk string) {
	w.T.Helper()
	_, err := w.DB.DeleteItem(w.T.Context(), &dynamodb.DeleteItemInput{
		TableName: &w.Name,
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk},
			"sk": &types.AttributeValueMemberS{Value: sk}},
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func stringOf(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func numberOf(v types.AttributeValue) (n int64) {
	if v, ok := v.(*types.AttributeValueMemberN); ok {
		n, _ = strconv.ParseInt(v.Value, 10, 64)
	}
	return n
}

// textOf returns an item as text. Equal items give equal texts.
func textOf(item map[string]types.AttributeValue) string {
	parts := []string{}
	for name, v := range item {
		parts = append(parts, name+"="+valueText(v))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func valueText(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberM:
		return "{" + textOf(v.Value) + "}"
	case *types.AttributeValueMemberL:
		all := []string{}
		for _, e := range v.Value {
			all = append(all, valueText(e))
		}
		return fmt.Sprint(all)
	default:
		return fmt.Sprintf("%#v", v)
	}
}

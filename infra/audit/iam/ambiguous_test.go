package iam_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/store/storetest"
)

// ambiguousRequests returns requests that could be read as requests for bob's item, and that are for alice's item or
// for none. T stands for the table.
func ambiguousRequests() [][2]string {
	const alice, bob = `{"pk":{"S":"U#alice"},"sk":{"S":"x"}}`, `{"pk":{"S":"U#bob"},"sk":{"S":"x"}}`
	var all [][2]string
	for operation, bodies := range map[string]string{
		"GetItem": `{"TableName":"T","Key":ALICE}
			{"TableName":"T","Key":ALICE,"key":BOB}
			{"TableName":"T","Key":ALICE,"Key":BOB}
			{"TableName":"T","Key":BOB,"Key":ALICE}
			{"TableName":"T","Key":ALICE,"Item":BOB}
			{"TableName":"T","Key":{"pk":{"S":"U#alice"},"PK":{"S":"U#bob"},"sk":{"S":"x"}}}
			{"TableName":"T","Key":{"pk":{"S":"U#alice"},"pk":{"S":"U#bob"},"sk":{"S":"y"}}}
			{"TableName":"T","Key":{"pk":{"S":"U#bob"},"pk":{"S":"U#alice"},"sk":{"S":"x"}}}
			{"TableName":"T","Key":{"pk":{"S":"U#alice","S":"U#bob"},"sk":{"S":"x"}}}
			{"TableName":"T","Key":{"pk":{"S":"U#bob","S":"U#alice"},"sk":{"S":"x"}}}`,
		"PutItem": `{"TableName":"T","Item":ALICE,"Key":BOB}
			{"TableName":"T","Item":ALICE,"item":BOB}`,
		"DeleteItem": `{"TableName":"T","Key":ALICE,"Item":BOB}`,
		"BatchGetItem": `{"RequestItems":{"T":{"Keys":[ALICE],"keys":[BOB]}}}
			{"RequestItems":{"T":{"Keys":[BOB,ALICE]}}}
			{"RequestItems":{"T":{"Keys":[ALICE]}},"requestItems":{"T":{"Keys":[]}}}
			{"RequestItems":{"T":{"Keys":[ALICE]},"T":{"Keys":[]}}}
			{"RequestItems":{}}`,
		"BatchWriteItem": `{"RequestItems":{"T":[{"PutRequest":{"Item":BOB},"DeleteRequest":{"Key":ALICE}}]}}
			{"RequestItems":{"T":[{"PutRequest":{"Item":ALICE,"item":BOB}}]}}
			{"RequestItems":{"T":[{"PutRequest":{"Item":ALICE},"putRequest":{"Item":BOB}}]}}`,
		"TransactWriteItems": `{"TransactItems":[{"Put":{"TableName":"T","Item":ALICE,"Key":BOB}}]}
			{"TransactItems":[{"Put":{"TableName":"T","Item":BOB},"Delete":{"TableName":"T","Key":ALICE}}]}
			{"TransactItems":[{"Delete":{"TableName":"T","Key":ALICE}}],"transactItems":[]}`,
		"Query": `{"TableName":"T","KeyConditionExpression":"pk=:b","KeyConditionExpression":"pk=:a","ExpressionAttributeValues":{":b":{"S":"U#bob"},":a":{"S":"U#alice"}}}
			{"TableName":"T","KeyConditionExpression":"pk=:a","keyConditionExpression":"pk=:b","ExpressionAttributeValues":{":b":{"S":"U#bob"},":a":{"S":"U#alice"}}}
			{"TableName":"T","KeyConditionExpression":"pk=:b","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"U#alice"}]}},"ExpressionAttributeValues":{":b":{"S":"U#bob"}}}
			{"TableName":"T","KeyConditionExpression":"#p=:b","ExpressionAttributeNames":{"#p":"sk","#P":"pk"},"ExpressionAttributeValues":{":b":{"S":"U#bob"}}}
			{"TableName":"T","KeyConditionExpression":"pk=:b","ExpressionAttributeValues":{":b":{"S":"U#alice"},":B":{"S":"U#bob"}}}
			{"TableName":"T","KeyConditionExpression":"sk=:x or pk=:b","ExpressionAttributeValues":{":b":{"S":"U#bob"},":x":{"S":"x"}}}`,
	} {
		for body := range strings.SplitSeq(strings.NewReplacer("ALICE", alice, "BOB", bob).Replace(bodies), "\n") {
			all = append(all, [2]string{operation, strings.TrimSpace(body)})
		}
	}
	return all
}

// The guard decides about the same request that the engine carries out. The requests are sent without the SDK, as
// broken code could send them.
func TestIAM_AmbiguousRequest(t *testing.T) {
	t.Attr("row", "B3: requests that bypass the SDK and can be parsed in two ways")
	m := newMatrix(t)
	table := m.template.Tables[0].Name
	if err := storetest.CreateTable(t.Context(), m.db(), table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := m.db().DeleteTable(context.WithoutCancel(t.Context()),
			&sdk.DeleteTableInput{TableName: &table}); err != nil {
			t.Error(err)
		}
	})
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	key := map[string]types.AttributeValue{"pk": text("U#alice"), "sk": text("x")}
	row := map[string]types.AttributeValue{"pk": text("U#alice"), "sk": text("x"), "v": text("of alice")}
	if status, answer := m.raw("PutItem",
		`{"TableName":"`+table+`","Item":{"pk":{"S":"U#bob"},"sk":{"S":"x"}}}`); status != http.StatusOK {
		t.Fatalf("bob's own item: %d %s", status, answer)
	}
	requests := ambiguousRequests()
	for _, c := range requests {
		if _, err := m.db().PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: row}); err != nil {
			t.Fatal(err)
		}
		status, answer := m.raw(c[0], strings.ReplaceAll(c[1], `"T"`, `"`+table+`"`))
		now, err := m.db().GetItem(t.Context(), &sdk.GetItemInput{TableName: &table, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(answer, "alice\"") || !reflect.DeepEqual(now.Item, row) {
			t.Errorf("%s %s as bob: %d %s; alice's item is %v", c[0], c[1], status, answer, now.Item)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d requests of bob with a second meaning: none reached alice's item", len(requests)))
}

// raw sends a request as bob, without the SDK, and returns the response.
func (m *matrix) raw(operation, body string) (int, string) {
	m.Helper()
	bob, err := m.as("bob").Retrieve(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	r, err := http.NewRequestWithContext(m.Context(), http.MethodPost, m.proxy.URL(), strings.NewReader(body))
	if err != nil {
		m.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(m.Context(), bob, r, hex.EncodeToString(sum[:]), "dynamodb", "us-east-1",
		time.Now()); err != nil {
		m.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		m.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		m.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

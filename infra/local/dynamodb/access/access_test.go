package access_test

import (
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/dynamodb/access"
)

func schema() access.Schema {
	return access.Schema{
		ARN: func(table string) string { return table },
		Hash: func(table, index string) string {
			return map[string]string{"T": "pk", "T/live": "live"}[strings.TrimSuffix(table+"/"+index, "/")]
		},
	}
}

const bobsKey = `"Key":{"sk":{"S":"x"},"pk":{"S":"U#bob"}}`

// permissionCase is a request and the permissions it needs, or a part of the error.
type permissionCase struct{ operation, body, want string }

// checkPermissions compares the permissions of each request, as "action resource keys…", with the expected ones.
func checkPermissions(t *testing.T, cases []permissionCase) {
	t.Helper()
	for _, c := range cases {
		permissions, err := access.Permissions(c.operation, []byte(c.body), schema())
		var got []string
		for _, r := range permissions {
			action := strings.TrimPrefix(r.Action, "dynamodb:")
			parts := slices.Concat([]string{action, r.Resource}, r.Context[access.LeadingKeys])
			got = append(got, strings.Join(parts, " "))
		}
		text := strings.Join(got, ", ")
		if err != nil {
			text = err.Error()
		}
		if text != c.want && !(err != nil && strings.Contains(text, c.want)) {
			t.Errorf("%s: %s, want %s", c.operation, text, c.want)
		}
	}
}

// Each request needs these actions on these resources, with these partition keys.
func TestPermissions(t *testing.T) {
	checkPermissions(t, []permissionCase{
		{"GetItem", `{"TableName":"T",` + bobsKey + `}`, "GetItem T U#bob"},
		{"UpdateItem", `{"TableName":"T",` + bobsKey + `}`, "UpdateItem T U#bob"},
		{"DeleteItem", `{"TableName":"T",` + bobsKey + `}`, "DeleteItem T U#bob"},
		{"PutItem", `{"TableName":"T","Item":{"pk":{"S":"U#a"},"sk":{"S":"pk"},"n":{"M":{"pk":{"S":"U#b"}}}}}`,
			"PutItem T U#a"},
		{"Query",
			`{"TableName":"T","KeyConditionExpression":"#pk = :pk AND #sk BETWEEN :l AND ` +
				`:h","ExpressionAttributeNames":{"#pk":"pk","#sk":"sk"},` +
				`"ExpressionAttributeValues":{":pk":{"S":"U#bob"},":l":{"S":"a"},":h":{"S":"b"}}}`, "Query T U#bob"},
		{"Query",
			`{"TableName":"T","KeyConditionExpression":"sk=:x and ` +
				`(pk=:p)","ExpressionAttributeValues":{":p":{"S":"U#bob"},":x":{"S":"U#al"}}}`, "Query T U#bob"},
		{"Query",
			`{"TableName":"T","IndexName":"live","KeyConditionExpression":"#live = ` +
				`:s","ExpressionAttributeNames":{"#live":"live"},` +
				`"ExpressionAttributeValues":{":s":{"S":"L#01"}}}`, "Query T/index/live L#01"},
		{"Scan", `{"TableName":"T"}`, "Scan T"},
		{"Scan", `{"TableName":"T","IndexName":"live"}`, "Scan T/index/live"},
		{"TransactWriteItems",
			`{"TransactItems":[{"Put":{"TableName":"T","Item":{"pk":{"S":"a"}}}},{"Update":{"TableName":"T",` +
				`"Key":{"pk":{"S":"b"}}}},` +
				`{"Delete":{"TableName":"T","Key":{"pk":{"S":"c"}}}},{"ConditionCheck":{"TableName":"T",` +
				`"Key":{"pk":{"S":"d"}}}}]}`,
			"PutItem T a, UpdateItem T b, DeleteItem T c, ConditionCheckItem T d"},
		{"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"T","Key":{"pk":{"S":"a"}}}}]}`, "GetItem T a"},
		{"BatchGetItem", `{"RequestItems":{"T":{"Keys":[{"pk":{"S":"a"}},{"pk":{"S":"b"}}]}}}`, "BatchGetItem T a b"},
		{"BatchWriteItem",
			`{"RequestItems":{"T":[{"PutRequest":{"Item":{"pk":{"S":"a"}}}},` +
				`{"DeleteRequest":{"Key":{"pk":{"S":"b"}}}}]}}`, "BatchWriteItem T a b"},
		{"DeleteTable", `{"TableName":"T"}`, "DeleteTable T"},
		{"ListTables", `{}`, "ListTables *"},
		{"ExecuteStatement", `{"Statement":"SELECT * FROM T"}`, "ExecuteStatement *"},
	})
}

// A request that cannot be understood gives an error, not an empty list of permissions.
func TestPermissions_Errors(t *testing.T) {
	checkPermissions(t, []permissionCase{
		{"GetItem", `{"TableName":"T","Key":{"sk":{"S":"x"}}}`, "no partition key"},
		{"GetItem", `{"TableName":"other","Key":{"pk":{"S":"x"}}}`, "no partition key"},
		{"GetItem", `{"TableName":"T","Key":{"pk":{"M":{}}}}`, "neither text"},
		{"GetItem", `nonsense`, "decode the request"},
		{"Query",
			`{"TableName":"T","KeyConditionExpression":"sk = :x","ExpressionAttributeValues":{":x":{"S":"U#bob"}}}`,
			"names no partition key"},
		{"Query",
			`{"TableName":"T","IndexName":"none","KeyConditionExpression":"pk = ` +
				`:x","ExpressionAttributeValues":{":x":{"S":"U#bob"}}}`, "names no partition key"},
		{"TransactWriteItems", `{"TransactItems":[{"Steal":{"TableName":"T"}}]}`, `"Steal" is not an action`},
		{"BatchGetItem", `{"RequestItems":{"T":{"Keys":[{"pk":{"S":"a"}},{"sk":{"S":"b"}}]}}}`, "no partition key"},
	})
}

package storetest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func isolation(t *testing.T, db *dynamodb.Client) { _ = db }

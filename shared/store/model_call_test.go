package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// call is one request to DynamoDB.
type call struct {
	op   string
	body []byte
}

func readCall(req *http.Request) (c call, err error) {
	_, c.op, _ = strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	c.body, err = io.ReadAll(req.Body)
	return c, err
}

func (c call) writes() bool {
	return c.op != "GetItem" && c.op != "BatchGetItem" && c.op != "Query"
}

// consistent reports whether a read sees every earlier write. A query of the index, which never can, counts as
// consistent.
func (c call) consistent() bool {
	return bytes.Contains(c.body, []byte(`"ConsistentRead":true`)) || bytes.Contains(c.body, []byte(`"IndexName"`))
}

// forgetToken changes the client token, so that the engine treats the request as a new one, as DynamoDB does after ten
// minutes.
func (c *call) forgetToken() {
	c.body = regexp.MustCompile(`"ClientRequestToken":"[^"]`).ReplaceAll(c.body, []byte(`"ClientRequestToken":"~`))
}

// batchGet is the body of a BatchGetItem: keys by table.
type batchGet struct {
	RequestItems map[string]struct {
		ConsistentRead bool
		Keys           []json.RawMessage
	}
}

// parts returns a BatchGetItem as one call for each key, and nil for other calls.
func (c call) parts() (parts []call, err error) {
	if c.op != "BatchGetItem" {
		return nil, nil
	}
	var all batchGet
	if err := json.Unmarshal(c.body, &all); err != nil {
		return nil, err
	}
	for table, asked := range all.RequestItems {
		keys := asked.Keys
		slices.SortFunc(keys, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
		for _, key := range keys {
			one := asked
			one.Keys = []json.RawMessage{key}
			all.RequestItems[table] = one
			body, err := json.Marshal(all)
			if err != nil {
				return nil, err
			}
			parts = append(parts, call{op: c.op, body: body})
		}
	}
	return parts, nil
}

// answers holds the responses to the parts of a BatchGetItem.
type answers struct{ Responses map[string][]json.RawMessage }

func (as *answers) add(res *http.Response) error {
	var one answers
	if err := errors.Join(json.NewDecoder(res.Body).Decode(&one), res.Body.Close()); err != nil {
		return err
	}
	if as.Responses == nil {
		as.Responses = map[string][]json.RawMessage{}
	}
	for table, items := range one.Responses {
		as.Responses[table] = append(as.Responses[table], items...)
	}
	return nil
}

func (as *answers) response(req *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"Responses": as.Responses, "UnprocessedKeys": struct{}{}})
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}, err
}

// request gives the transport a body that it may still read after the SDK has closed its own: see shared/awsenv.
func (c call) request(req *http.Request) *http.Request {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
	return req
}

// String returns the operation and its keys.
func (c call) String() string {
	var keys []string
	for _, name := range []string{`"sk":{"S":"`, `":low":{"S":"`} {
		for _, part := range strings.Split(string(c.body), name)[1:] {
			key, _, _ := strings.Cut(part, `"`)
			keys = append(keys, key)
		}
	}
	return c.op + " " + strings.Join(keys, " ")
}

func outcome(status int) string {
	if status == http.StatusOK {
		return ""
	}
	return "→ rejected"
}

// modelClient returns a client without timeouts, because a frozen process must not time out. It retries at once.
func modelClient(url string, transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.RateLimiter = ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}, func(o *dynamodb.Options) { o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled })
}

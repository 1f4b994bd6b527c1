// Command gateway runs the API Gateway of the local stack alone, in a process of its own, for benchmarks. Its functions
// are Go functions of this process that accept every connection and do nothing.
//
// It prints one line of JSON with its addresses and the access key for @connections. Then it answers each line of its
// standard input with the bytes of memory that it holds after a garbage collection, and ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/meters"
)

// The access key that may call @connections. It is not a secret: the server listens on this machine only and holds
// nothing.
const (
	keyID  = "AKIABENCH"
	secret = "the secret of the benchmark"
)

func main() {
	if err := serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	g, err := apigateway.Start(ctx, apigateway.Config{
		Addr: "127.0.0.1:0", APIID: "bench", Stage: "v1", Region: "us-east-1", Account: "000000000000",
		Routes:     map[string]string{"$connect": "connect", "$disconnect": "disconnect"},
		Authorizer: "authorize", Invoker: functions{}, Meter: meter{meters.New(nil)},
		AccessKeys: func(id string) (string, bool) { return secret, id == keyID },
	})
	if err != nil {
		return err
	}
	defer g.Close()
	address, err := json.Marshal(map[string]string{"websocket": g.URL(),
		"connections": g.Management() + "/@connections", "keyId": keyID, "secret": secret})
	if err != nil {
		return err
	}
	fmt.Println(string(address))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		debug.FreeOSMemory()
		resident, err := resident()
		if err != nil {
			return err
		}
		fmt.Println(resident)
	}
	return lines.Err()
}

// resident returns the bytes of this process that are in memory.
func resident() (int, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * os.Getpagesize(), nil
}

// functions are the functions of the API.
type functions struct{}

// Invoke implements apigateway.Invoker.
func (functions) Invoke(_ context.Context, function string, _ []byte) ([]byte, string, error) {
	if function == "authorize" {
		return []byte(`{"principalId":"bench","policyDocument":{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]},"context":{"user":"bench"}}`), "", nil
	}
	return []byte(`{"statusCode":200}`), "", nil
}

// meter counts what AWS would bill, as the meter of the local stack does.
type meter struct{ *meters.Meters }

// Posted implements apigateway.Meter.
func (m meter) Posted(session string, bytes int, taken bool) {
	u := meters.Use{Posts: 1}
	if taken {
		u.Sent = meters.Messages(bytes)
	}
	m.Add(meters.For{Function: session}, u)
}

// Received implements apigateway.Meter.
func (m meter) Received(function string, message []byte) {
	m.Add(meters.For{Function: function}, meters.Use{Received: meters.Messages(len(message))})
}

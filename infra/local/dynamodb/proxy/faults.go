package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Faults are probabilities, from 0 to 1, of random faults. Each applies to the requests that can have the fault.
// Together they are at most 1. The zero value injects none.
type Faults struct {
	Seed     uint64        // determines which requests fail; 0 means a random seed, which is logged
	Conflict float64       // another transaction works on the item: for writes and transactions
	Throttle float64       // the table or partition is at its limit: for all reads and writes
	Error    float64       // an internal error without an effect: for all reads and writes
	Lose     float64       // an effect, but no response or an internal error: for all reads and writes
	IndexLag time.Duration // maximum age of an index's response on arrival: for queries and scans of indexes
}

// SetFaults replaces the random faults from the next request on. It returns an error if a probability or their sum is
// not between 0 and 1.
func (p *Proxy) SetFaults(f Faults) error {
	sum := f.Conflict + f.Throttle + f.Error + f.Lose
	for _, share := range [...]float64{f.Conflict, f.Throttle, f.Error, f.Lose, sum} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("the faults of DynamoDB: the probabilities and their sum must be from 0 to 1: %+v", f)
		}
	}
	if f.IndexLag < 0 {
		return errors.New("the faults of DynamoDB: IndexLag must not be negative")
	}
	if f.Seed == 0 {
		f.Seed = rand.Uint64()
	}
	p.mu.Lock()
	p.faults, p.random = f, rand.New(rand.NewPCG(f.Seed, 0))
	p.mu.Unlock()
	if f != (Faults{Seed: f.Seed}) {
		p.c.Log(fmt.Sprintf("dynamodb: faults with seed %d: %+v", f.Seed, f))
	}
	return nil
}

// kind is the kind of a fault.
type kind string

const (
	none     kind = ""
	conflict kind = "conflict"
	throttle kind = "throttle"
	broken   kind = "error"
	lost     kind = "lost"
)

// injection is the fault that is injected into one request.
type injection struct {
	kind   kind
	silent bool // selects the first of the two forms of a fault
	part   int  // selects the part of a transaction that fails
	lag    time.Duration
}

// choose chooses the fault of a request at random. Requests about tables have no faults.
func (p *Proxy) choose(c *call) injection {
	write := writes(c.operation)
	if !write && !reads(c.operation) {
		return injection{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.faults
	if f == (Faults{Seed: f.Seed}) {
		return injection{}
	}
	// Each request draws the same number of random values, so the fault of the nth request depends on the seed alone.
	chance, silent, part, lag := p.random.Float64(), p.random.IntN(2) == 0, p.random.IntN(100), p.random.Float64()
	out := injection{silent: silent, part: part}
	if f.IndexLag > 0 && bytes.Contains(c.body, []byte(`"IndexName"`)) {
		out.lag = time.Duration(lag * float64(f.IndexLag))
	}
	conflicts := f.Conflict
	if !write && c.operation != "TransactGetItems" || c.operation == "BatchWriteItem" {
		conflicts = 0
	}
	switch {
	case chance < conflicts:
		out.kind = conflict
	case chance < conflicts+f.Throttle:
		out.kind = throttle
	case chance < conflicts+f.Throttle+f.Error:
		out.kind = broken
	case chance < conflicts+f.Throttle+f.Error+f.Lose:
		out.kind = lost
	}
	return out
}

// delayIndex delays the response of an index. The index was read before the delay, so its data is as old as the delay.
func (c *call) delayIndex(ctx context.Context) {
	if c.injection.lag == 0 {
		return
	}
	timer := time.NewTimer(c.injection.lag)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// faultResponse returns the response of a fault that has no effect, or nil if the request goes to the engine.
func (c *call) faultResponse() *answer {
	transaction := strings.HasPrefix(c.operation, "Transact")
	var a answer
	switch {
	case c.injection.kind == conflict && transaction:
		a = c.cancelled("TransactionConflict", "Transaction is ongoing for the item")
	case c.injection.kind == conflict:
		a = failure(http.StatusBadRequest, "TransactionConflictException", "Transaction is ongoing for the item")
	case c.injection.kind == throttle && c.operation == "BatchGetItem" && c.injection.silent:
		return nil // splitBatch throttles a part of it
	case c.injection.kind == throttle && transaction && c.injection.silent:
		a = c.cancelled("ThrottlingError", "Throughput exceeds the current capacity of your table or index")
	case c.injection.kind == throttle && c.injection.silent:
		a = failure(http.StatusBadRequest, "ThrottlingException",
			"Throughput exceeds the current capacity of your table or index")
	case c.injection.kind == throttle:
		a = failure(http.StatusBadRequest, "ProvisionedThroughputExceededException",
			"The level of configured provisioned throughput for the table was exceeded")
	case c.injection.kind == broken:
		a = failure(http.StatusInternalServerError, "InternalServerError", "Internal server error")
	default:
		return nil
	}
	return &a
}

// cancelled returns the response of a transaction in which one part failed.
func (c *call) cancelled(code, message string) answer {
	type reason struct {
		Code    string
		Message string `json:",omitempty"`
	}
	var request struct{ TransactItems []json.RawMessage }
	if json.Unmarshal(c.body, &request) != nil || len(request.TransactItems) == 0 {
		return failure(http.StatusBadRequest, "SerializationException", "the transaction has no items")
	}
	reasons, codes := make([]reason, len(request.TransactItems)), make([]string, len(request.TransactItems))
	for i := range reasons {
		reasons[i] = reason{Code: "None"}
		if i == c.injection.part%len(reasons) {
			reasons[i] = reason{code, message}
		}
		codes[i] = reasons[i].Code
	}
	return errorAnswer(http.StatusBadRequest, map[string]any{
		"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
		"Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [" +
			strings.Join(codes, ", ") + "]",
		"CancellationReasons": reasons,
	})
}

func failure(status int, kind, message string) answer {
	return errorAnswer(status, map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + kind, "message": message})
}

func errorAnswer(status int, fields map[string]any) answer {
	body, _ := json.Marshal(fields) // cannot fail: all values are strings
	return answer{status, http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, body}
}

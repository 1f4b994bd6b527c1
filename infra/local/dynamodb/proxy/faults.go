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

// Faults says what is to go wrong. Shares are from 0 to 1 and are taken of the requests that can meet the fault;
// together they are at most 1. The zero value is a good day.
type Faults struct {
	Seed     uint64        // of all chances; 0: a random one, which the log tells
	Conflict float64       // another transaction is at work on the item: writes and transactions
	Throttle float64       // the table or the partition is at its limit: all reads and writes
	Error    float64       // an internal error, and nothing was done: all reads and writes
	Lose     float64       // it was done, and the caller is told nothing, or of an internal error: all reads and writes
	IndexLag time.Duration // what an index tells is up to so old when it arrives: queries and scans of indexes
}

// SetFaults has other faults, or none, from the next request on. It fails if the shares are no shares.
func (p *Proxy) SetFaults(f Faults) error {
	for _, share := range [...]float64{f.Conflict, f.Throttle, f.Error, f.Lose, f.Conflict + f.Throttle + f.Error +
		f.Lose} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("the faults of DynamoDB: the shares and their sum must be from 0 to 1: %+v", f)
		}
	}
	if f.IndexLag < 0 {
		return errors.New("the faults of DynamoDB: IndexLag must not be negative")
	}
	if f.Seed == 0 {
		f.Seed = rand.Uint64()
	}
	p.mu.Lock()
	p.faults, p.dice = f, rand.New(rand.NewPCG(f.Seed, 0))
	p.mu.Unlock()
	if f != (Faults{Seed: f.Seed}) {
		p.c.Log(fmt.Sprintf("dynamodb: faults with seed %d: %+v", f.Seed, f))
	}
	return nil
}

// kind is a kind of fault.
type kind string

const (
	none     kind = ""
	conflict kind = "conflict"
	throttle kind = "throttle"
	broken   kind = "error"
	lost     kind = "lost"
)

// fate is what happens to one request.
type fate struct {
	kind   kind
	silent bool // of two forms that a fault has, the first
	part   int  // of a transaction, that is to blame
	lag    time.Duration
}

// decide throws the dice for a request. Requests of tables themselves meet nothing.
func (p *Proxy) decide(c *call) fate {
	write := writes(c.operation)
	if !write && !reads(c.operation) {
		return fate{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.faults
	if f == (Faults{Seed: f.Seed}) {
		return fate{}
	}
	// Each request draws the same numbers, whatever comes of it: the nth request's are then the seed's alone.
	chance, silent, part, lag := p.dice.Float64(), p.dice.IntN(2) == 0, p.dice.IntN(100), p.dice.Float64()
	out := fate{silent: silent, part: part}
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

// wait holds an index's answer back: it was read before, so it is as old as it was held.
func (c *call) wait(ctx context.Context) {
	if c.fate.lag == 0 {
		return
	}
	timer := time.NewTimer(c.fate.lag)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// refusal is the answer of a fault that comes before anything is done; nil if the request goes on.
func (c *call) refusal() *answer {
	transaction := strings.HasPrefix(c.operation, "Transact")
	var a answer
	switch {
	case c.fate.kind == conflict && transaction:
		a = c.cancelled("TransactionConflict", "Transaction is ongoing for the item")
	case c.fate.kind == conflict:
		a = failure(http.StatusBadRequest, "TransactionConflictException", "Transaction is ongoing for the item")
	case c.fate.kind == throttle && c.operation == "BatchGetItem" && c.fate.silent:
		return nil // a part of it: see splitBatch
	case c.fate.kind == throttle && transaction && c.fate.silent:
		a = c.cancelled("ThrottlingError", "Throughput exceeds the current capacity of your table or index")
	case c.fate.kind == throttle && c.fate.silent:
		a = failure(http.StatusBadRequest, "ThrottlingException",
			"Throughput exceeds the current capacity of your table or index")
	case c.fate.kind == throttle:
		a = failure(http.StatusBadRequest, "ProvisionedThroughputExceededException",
			"The level of configured provisioned throughput for the table was exceeded")
	case c.fate.kind == broken:
		a = failure(http.StatusInternalServerError, "InternalServerError", "Internal server error")
	default:
		return nil
	}
	return &a
}

// cancelled is a transaction that one of its parts ends.
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
		if i == c.fate.part%len(reasons) {
			reasons[i] = reason{code, message}
		}
		codes[i] = reasons[i].Code
	}
	return asError(http.StatusBadRequest, map[string]any{
		"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
		"Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [" +
			strings.Join(codes, ", ") + "]",
		"CancellationReasons": reasons,
	})
}

func failure(status int, kind, message string) answer {
	return asError(status, map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + kind, "message": message})
}

func asError(status int, told map[string]any) answer {
	body, _ := json.Marshal(told) // strings cannot fail
	return answer{status, http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, body}
}

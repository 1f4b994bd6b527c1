package proxy

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Usage is what one caller has requested since the proxy started.
type Usage struct {
	Caller      string         `json:"caller"`
	Connections int            `json:"connections"` // TCP connections that its requests came from
	Requests    int            `json:"requests"`
	ReadUnits   float64        `json:"readUnits"`
	WriteUnits  float64        `json:"writeUnits"`
	Operations  map[string]int `json:"operations"` // requests by operation
	Faults      map[string]int `json:"faults"`     // injected faults by kind: conflict, throttle, error, lost
}

// Usage returns the usage of each caller, sorted by name. The result is a copy.
func (p *Proxy) Usage() []Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Usage
	for _, name := range slices.Sorted(maps.Keys(p.usage)) {
		u := *p.usage[name]
		u.Operations, u.Faults = maps.Clone(u.Operations), maps.Clone(u.Faults)
		all = append(all, u)
	}
	return all
}

// Metered describes one counted request.
type Metered struct {
	Caller, Session       string // the caller's name and its session token, if it has one
	Operation             string
	ReadUnits, WriteUnits float64
}

func (p *Proxy) count(c *call, a *answer) {
	n := units(c, a)
	if p.c.Meter != nil {
		m := Metered{Caller: c.caller, Session: c.header.Get("X-Amz-Security-Token"), Operation: c.operation,
			ReadUnits: n}
		if writes(c.operation) {
			m.ReadUnits, m.WriteUnits = 0, n
		}
		p.c.Meter(m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.usage[c.caller]
	if u == nil {
		u = &Usage{Caller: c.caller, Operations: map[string]int{}, Faults: map[string]int{}}
		p.usage[c.caller] = u
	}
	if key := c.caller + " " + c.from; !p.dialed[key] {
		p.dialed[key] = true
		u.Connections++
	}
	u.Requests++
	u.Operations[c.operation]++
	if c.injection.kind != none {
		u.Faults[string(c.injection.kind)]++
	}
	if writes(c.operation) {
		u.WriteUnits += n
	} else {
		u.ReadUnits += n
	}
}

// writes reports whether an operation consumes write units.
func writes(operation string) bool {
	switch operation {
	case "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems":
		return true
	}
	return false
}

// reads reports whether an operation consumes read units.
func reads(operation string) bool {
	switch operation {
	case "GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan":
		return true
	}
	return false
}

// withConsumedCapacity returns the request's body with the option that makes the engine report the consumed capacity.
func withConsumedCapacity(c *call) []byte {
	const member = `"ReturnConsumedCapacity"`
	rest, isObject := bytes.CutPrefix(bytes.TrimSpace(c.body), []byte("{"))
	if !isObject || !reads(c.operation) && !writes(c.operation) || bytes.Contains(c.body, []byte(member)) {
		return c.body
	}
	comma := ","
	if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		comma = ""
	}
	return slices.Concat([]byte(`{`+member+`:"TOTAL"`+comma), rest)
}

// units returns the cost of a request: the engine's figure, or the minimum that AWS bills for a failed condition.
func units(c *call, a *answer) float64 {
	if a.status != http.StatusOK {
		return failedUnits(c, a.body)
	}
	at := bytes.LastIndex(a.body, []byte(`"ConsumedCapacity":`))
	if at < 0 {
		return 0
	}
	type consumed struct{ CapacityUnits float64 }
	text := a.body[at+len(`"ConsumedCapacity":`):]
	var many []consumed
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(&many)
	} else {
		many = make([]consumed, 1)
		err = json.NewDecoder(bytes.NewReader(text)).Decode(&many[0])
	}
	total := 0.0
	for _, one := range many {
		total += one.CapacityUnits
	}
	if err != nil {
		return 0 // the match was an attribute of an item, and the response reports no capacity
	}
	return total
}

func failedUnits(c *call, body []byte) float64 {
	var failure struct {
		Type    string            `json:"__type"`
		Reasons []json.RawMessage `json:"CancellationReasons"`
	}
	if json.Unmarshal(body, &failure) != nil {
		return 0
	}
	switch {
	case strings.HasSuffix(failure.Type, "#ConditionalCheckFailedException"):
		return 1
	case strings.HasSuffix(failure.Type, "#TransactionCanceledException") && c.injection.kind == none:
		return 2 * float64(len(failure.Reasons)) // a transaction costs double, even if it is cancelled
	}
	return 0
}

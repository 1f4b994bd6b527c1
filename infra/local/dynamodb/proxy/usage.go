package proxy

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Usage is what one caller has asked for since the proxy began.
type Usage struct {
	Caller      string         `json:"caller"`
	Connections int            `json:"connections"` // TCP's, that its requests came by
	Requests    int            `json:"requests"`
	ReadUnits   float64        `json:"readUnits"`
	WriteUnits  float64        `json:"writeUnits"`
	Operations  map[string]int `json:"operations"` // requests by operation
	Faults      map[string]int `json:"faults"`     // that were injected, by kind: conflict, throttle, error, lost
}

// Usage tells what each caller has asked for, by name. The answer is the caller's own copy.
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

// Metered is one request.
type Metered struct {
	Caller, Session       string // the caller's name, and its session token if it has one
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
	if c.fate.kind != none {
		u.Faults[string(c.fate.kind)]++
	}
	if writes(c.operation) {
		u.WriteUnits += n
	} else {
		u.ReadUnits += n
	}
}

// writes tells whether an operation's units are write units.
func writes(operation string) bool {
	switch operation {
	case "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems":
		return true
	}
	return false
}

// reads tells whether an operation's units are read units.
func reads(operation string) bool {
	switch operation {
	case "GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan":
		return true
	}
	return false
}

// measured is the request with the wish to be told what it consumed.
func measured(c *call) []byte {
	const wish = `"ReturnConsumedCapacity"`
	rest, isObject := bytes.CutPrefix(bytes.TrimSpace(c.body), []byte("{"))
	if !isObject || !reads(c.operation) && !writes(c.operation) || bytes.Contains(c.body, []byte(wish)) {
		return c.body
	}
	comma := ","
	if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		comma = ""
	}
	return slices.Concat([]byte(`{`+wish+`:"TOTAL"`+comma), rest)
}

// units is what a request cost: what the engine says, or for one that a condition refused the least that AWS bills.
func units(c *call, a *answer) float64 {
	if a.status != http.StatusOK {
		return refusedUnits(c, a.body)
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
		return 0 // an item has an attribute of that name and nothing was told
	}
	return total
}

func refusedUnits(c *call, body []byte) float64 {
	var told struct {
		Type    string            `json:"__type"`
		Reasons []json.RawMessage `json:"CancellationReasons"`
	}
	if json.Unmarshal(body, &told) != nil {
		return 0
	}
	switch {
	case strings.HasSuffix(told.Type, "#ConditionalCheckFailedException"):
		return 1
	case strings.HasSuffix(told.Type, "#TransactionCanceledException") && c.fate.kind == none:
		return 2 * float64(len(told.Reasons)) // a transaction costs double, cancelled too
	}
	return 0
}

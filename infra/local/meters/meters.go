// Package meters sums up what AWS would bill, by function and by run. It implements AWS's rounding rules and list
// prices. The parts of the stack report each use and the function and run that it is for.
package meters

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// maxRuns is the number of newest runs that are kept. Functions are kept without limit.
const maxRuns = 1000

// unit is the size in bytes of one billed message of API Gateway.
const unit = 32 << 10

// Use is the amount of each billed service that was used. Its numbers only grow.
type Use struct {
	Invocations int     `json:"invocations"` // including each attempt of asynchronous invocations
	GBSeconds   float64 `json:"gbSeconds"`   // rounded as billed
	Requests    int     `json:"requests"`    // to DynamoDB
	ReadUnits   float64 `json:"readUnits"`
	WriteUnits  float64 `json:"writeUnits"`
	Posts       int     `json:"posts"`    // calls of POST @connections, with any result
	Sent        int     `json:"sent"`     // messages to clients, in units of 32 KB
	Received    int     `json:"received"` // messages from clients, in units of 32 KB
}

// add adds another use.
func (u *Use) add(other Use) {
	u.Invocations += other.Invocations
	u.GBSeconds += other.GBSeconds
	u.Requests += other.Requests
	u.ReadUnits += other.ReadUnits
	u.WriteUnits += other.WriteUnits
	u.Posts += other.Posts
	u.Sent += other.Sent
	u.Received += other.Received
}

// Dollars returns the list price: us-east-1, arm64, on demand, without the free tier and without connection minutes.
func (u Use) Dollars() float64 {
	return (float64(u.Sent+u.Received)*1.00 + float64(u.Invocations)*0.20 + u.WriteUnits*0.625 + u.ReadUnits*0.125 +
		u.GBSeconds*13.3334) / 1e6
}

// MinuteDollars returns the list price of a number of connection minutes.
func MinuteDollars(minutes float64) float64 { return minutes * 0.25 / 1e6 }

// Messages returns the number of messages that API Gateway bills for one message of this size.
func Messages(bytes int) int { return max(1, (bytes+unit-1)/unit) }

// GBSeconds returns what Lambda bills for an invocation with this memory and duration, rounded up to a millisecond.
func GBSeconds(memoryMB int, took time.Duration) float64 {
	return float64(memoryMB) / 1024 * math.Ceil(float64(took)/float64(time.Millisecond)) / 1000
}

// For names the function and run that a use is charged to. Run is "" if no run, or no known run, caused the use.
type For struct{ Function, Run string }

// Meters holds the sums. Its methods are safe for concurrent use.
type Meters struct {
	now func() time.Time

	mu        sync.Mutex
	functions map[string]*Use
	runs      map[string]*Use
	order     []string             // run ids, oldest first
	open      map[string]time.Time // open connections and when they opened
	minutes   float64              // of closed connections
	opened    int
}

// New returns meters at zero. now is the clock for connections; nil means time.Now.
func New(now func() time.Time) *Meters {
	if now == nil {
		now = time.Now
	}
	return &Meters{now: now, functions: map[string]*Use{}, runs: map[string]*Use{}, open: map[string]time.Time{}}
}

// Add adds a use.
func (m *Meters) Add(to For, u Use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.functions[to.Function] == nil {
		m.functions[to.Function] = &Use{}
	}
	m.functions[to.Function].add(u)
	if to.Run == "" {
		return
	}
	if m.runs[to.Run] == nil {
		m.runs[to.Run] = &Use{}
		m.order = append(m.order, to.Run)
	}
	m.runs[to.Run].add(u)
	if len(m.order) > maxRuns {
		delete(m.runs, m.order[0])
		m.order = slices.Delete(m.order, 0, 1)
	}
}

// Opened reports that a connection opened.
func (m *Meters) Opened(connection string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[connection] = m.now()
	m.opened++
}

// Closed reports that a connection closed.
func (m *Meters) Closed(connection string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.open[connection]; ok {
		m.minutes += m.now().Sub(at).Minutes()
		delete(m.open, connection)
	}
}

// Run returns what a run has used so far.
func (m *Meters) Run(id string) Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.runs[id]; u != nil {
		return *u
	}
	return Use{}
}

// Reading is a snapshot of the meters.
type Reading struct {
	Functions   map[string]Use `json:"functions"`
	Runs        []Run          `json:"runs"`  // newest first
	Total       Use            `json:"total"` // of all functions
	Connections Connections    `json:"connections"`
	Dollars     float64        `json:"dollars"` // list price of everything
}

// Run is the use of one run.
type Run struct {
	ID string `json:"id"`
	Use
	Dollars float64 `json:"dollars"`
}

// Connections is the use of sockets. The minutes are not rounded, because AWS does not document how it rounds the last
// minute of a connection.
type Connections struct {
	Opened  int     `json:"opened"`
	Open    int     `json:"open"`
	Minutes float64 `json:"minutes"`
}

// Read returns a snapshot. It is a copy.
func (m *Meters) Read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Reading{Functions: map[string]Use{}, Runs: []Run{}, Connections: Connections{m.opened, len(m.open), m.minutes}}
	for name, u := range m.functions {
		r.Functions[name] = *u
		r.Total.add(*u)
	}
	for _, id := range slices.Backward(m.order) {
		u := *m.runs[id]
		r.Runs = append(r.Runs, Run{id, u, u.Dollars()})
	}
	now := m.now()
	for at := range maps.Values(m.open) {
		r.Connections.Minutes += now.Sub(at).Minutes()
	}
	r.Dollars = r.Total.Dollars() + MinuteDollars(r.Connections.Minutes)
	return r
}

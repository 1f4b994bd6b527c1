// Package meters adds up what AWS would bill for, by function and by run. It knows AWS's rules of rounding and its list
// prices, and nothing of who does the work: the parts of the stack tell it what happened, and for whom.
package meters

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// maxRuns is how many runs are kept, the newest. Functions keep everything.
const maxRuns = 1000

// unit is what one message of API Gateway is billed in.
const unit = 32 << 10

// Use is what was used. Its numbers only grow.
type Use struct {
	Invocations int     `json:"invocations"` // tries of asynchronous ones, too
	GBSeconds   float64 `json:"gbSeconds"`   // billed
	Requests    int     `json:"requests"`    // of DynamoDB
	ReadUnits   float64 `json:"readUnits"`
	WriteUnits  float64 `json:"writeUnits"`
	Posts       int     `json:"posts"`    // calls of POST @connections, whatever came of them
	Sent        int     `json:"sent"`     // messages to clients, in units of 32 KB
	Received    int     `json:"received"` // messages from clients, in units of 32 KB
}

// add adds other to u.
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

// Dollars is the list price: us-east-1, arm64, on demand, without the free tier. Minutes of connections are not in it.
func (u Use) Dollars() float64 {
	return (float64(u.Sent+u.Received)*1.00 + float64(u.Invocations)*0.20 + u.WriteUnits*0.625 + u.ReadUnits*0.125 +
		u.GBSeconds*13.3334) / 1e6
}

// MinuteDollars is the list price of so many minutes of one connection.
func MinuteDollars(minutes float64) float64 { return minutes * 0.25 / 1e6 }

// Messages is how many messages API Gateway bills for one of so many bytes.
func Messages(bytes int) int { return max(1, (bytes+unit-1)/unit) }

// GBSeconds is what Lambda bills for a function of so many MB that took so long: its milliseconds are rounded up.
func GBSeconds(memoryMB int, took time.Duration) float64 {
	return float64(memoryMB) / 1024 * math.Ceil(float64(took)/float64(time.Millisecond)) / 1000
}

// For says for whom something was done. Run is empty if it was for no run, or for none that is known.
type For struct{ Function, Run string }

// Meters adds up. Its methods may be called concurrently.
type Meters struct {
	now func() time.Time

	mu        sync.Mutex
	functions map[string]*Use
	runs      map[string]*Use
	order     []string             // of runs, oldest first
	open      map[string]time.Time // connections, since when
	minutes   float64              // of those that are closed
	opened    int
}

// New makes meters that stand at zero. now is the clock of connections; nil: time.Now.
func New(now func() time.Time) *Meters {
	if now == nil {
		now = time.Now
	}
	return &Meters{now: now, functions: map[string]*Use{}, runs: map[string]*Use{}, open: map[string]time.Time{}}
}

// Add counts a use.
func (m *Meters) Add(who For, u Use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.functions[who.Function] == nil {
		m.functions[who.Function] = &Use{}
	}
	m.functions[who.Function].add(u)
	if who.Run == "" {
		return
	}
	if m.runs[who.Run] == nil {
		m.runs[who.Run] = &Use{}
		m.order = append(m.order, who.Run)
	}
	m.runs[who.Run].add(u)
	if len(m.order) > maxRuns {
		delete(m.runs, m.order[0])
		m.order = slices.Delete(m.order, 0, 1)
	}
}

// Opened counts a connection from now on.
func (m *Meters) Opened(connection string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[connection] = m.now()
	m.opened++
}

// Closed ends the count of a connection.
func (m *Meters) Closed(connection string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.open[connection]; ok {
		m.minutes += m.now().Sub(at).Minutes()
		delete(m.open, connection)
	}
}

// Run is what one run has used so far.
func (m *Meters) Run(id string) Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.runs[id]; u != nil {
		return *u
	}
	return Use{}
}

// Reading is what the meters say at one moment.
type Reading struct {
	Functions   map[string]Use `json:"functions"`
	Runs        []Run          `json:"runs"`  // the newest first
	Total       Use            `json:"total"` // of all functions
	Connections Connections    `json:"connections"`
	Dollars     float64        `json:"dollars"` // the list price of all of it
}

// Run is what a run has used.
type Run struct {
	ID string `json:"id"`
	Use
	Dollars float64 `json:"dollars"`
}

// Connections is how long there were sockets. AWS does not say how it rounds a connection's last minute: these are not
// rounded.
type Connections struct {
	Opened  int     `json:"opened"`
	Open    int     `json:"open"`
	Minutes float64 `json:"minutes"`
}

// Read reads the meters. The answer is the caller's own.
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

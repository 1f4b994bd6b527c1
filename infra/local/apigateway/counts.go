package apigateway

// Counts are statistics of a gateway since it started.
type Counts struct {
	Open     int   `json:"open"`     // open sockets
	Opened   int64 `json:"opened"`   // sockets opened
	Received int64 `json:"received"` // messages of clients that were handed to a function
	Posted   int64 `json:"posted"`   // messages to clients by @connections
}

// Counts returns the current statistics.
func (g *Gateway) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Counts{len(g.sockets), int64(g.opened), g.received.Load(), g.posted.Load()}
}

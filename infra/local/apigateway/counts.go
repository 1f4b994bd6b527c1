package apigateway

// Counts are a gateway's since it began.
type Counts struct {
	Open     int   `json:"open"`     // sockets, now
	Opened   int64 `json:"opened"`   // sockets
	Received int64 `json:"received"` // messages of clients that were handed to a function
	Posted   int64 `json:"posted"`   // messages to clients by @connections
}

// Counts tells them, as of now.
func (g *Gateway) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Counts{len(g.sockets), int64(g.opened), g.received.Load(), g.posted.Load()}
}

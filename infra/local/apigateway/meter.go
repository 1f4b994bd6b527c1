package apigateway

import "net/http"

// Meter is notified of everything that AWS bills. It is called concurrently and must not call the gateway.
type Meter interface {
	// Posted reports a POST to @connections by a caller with this session token. taken reports whether the message was
	// accepted for the client.
	Posted(session string, bytes int, taken bool)
	// Received reports a client's message and the function of its route, or "" if the route has none.
	Received(function string, message []byte)
	// Opened and Closed report the begin and end of a connection.
	Opened(connection string)
	Closed(connection string)
}

// meterPost reports a correctly signed call of @connections to the meter, if it is a POST.
func (g *Gateway) meterPost(r *http.Request, bytes int, taken bool) {
	if g.c.Meter != nil && r.Method == http.MethodPost {
		g.c.Meter.Posted(r.Header.Get("X-Amz-Security-Token"), bytes, taken)
	}
}

func (g *Gateway) meterMessage(function string, message []byte) {
	if g.c.Meter != nil {
		g.c.Meter.Received(function, message)
	}
}

func (g *Gateway) meterOpen(connection string) {
	if g.c.Meter != nil {
		g.c.Meter.Opened(connection)
	}
}

func (g *Gateway) meterClose(connection string) {
	if g.c.Meter != nil {
		g.c.Meter.Closed(connection)
	}
}

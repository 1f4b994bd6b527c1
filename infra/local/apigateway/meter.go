package apigateway

import "net/http"

// Meter is told of what AWS bills. It is called concurrently and must not call the gateway.
type Meter interface {
	// Posted tells of a call of POST @connections by a caller whose credentials have this session token; taken says
	// that the message was taken for the client.
	Posted(session string, bytes int, taken bool)
	// Received tells of a message of a client, and of the function that its route has; "" if it has none.
	Received(function string, message []byte)
	// Opened and Closed tell of the life of a connection.
	Opened(connection string)
	Closed(connection string)
}

// meterPost tells the meter of a call of @connections that was made with a right signature.
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

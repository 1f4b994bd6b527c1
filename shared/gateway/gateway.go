// Package gateway is the edge: API Gateway and Lambda events in, as a User and a frame; posts and invocations out. It
// and store's owner file are the only places that turn something from outside into a chat.User.
package gateway

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/shared/chat"
)

// Verify verifies an access token: token.Verifier's method.
type Verify func(ctx context.Context, token string) (chat.Claims, error)

// Authorizer answers API Gateway's $connect authorizer event (REQUEST type). The token is the subprotocol
// "bearer.<token>" or the Authorization header, never the query string. On success the answer's context carries user,
// expires and grants (user and grants as strings, expires in epoch seconds), which every later event of the connection
// brings along. On failure it logs why and returns ErrUnauthorized, which is 401.
type Authorizer struct {
	Verify Verify
	Logf   func(reason string, err error)
}

// Handle is the Lambda handler.
func (a *Authorizer) Handle(ctx context.Context, event json.RawMessage) (json.RawMessage, error) {
	panic("not built")
}

// Inbound is one event of a connection whose authorizer's context was read.
type Inbound struct {
	User         chat.User
	Connection   chat.ConnectionID
	Grants       []string
	TokenExpires time.Time
	ConnectedAt  time.Time
	Body         []byte            // MESSAGE
	Headers      map[string]string // CONNECT; lower-case names
	RequestID    string
}

// ParseConnect, ParseMessage and ParseDisconnect read the three kinds of event. An event without an authorizer's
// context gives chat.ErrNoUser (and, for a disconnect, the connection all the same).
func ParseConnect(event json.RawMessage) (Inbound, error) { panic("not built") }

// ParseMessage reads a MESSAGE event.
func ParseMessage(event json.RawMessage) (Inbound, error) { panic("not built") }

// ParseDisconnect reads a DISCONNECT event.
func ParseDisconnect(event json.RawMessage) (Inbound, error) { panic("not built") }

// TurnEvent is what message asks of turn. The user is not in it: the tenant id of the invocation is turn's only source.
type TurnEvent struct {
	Run    chat.RunID `json:"run"`
	Reason string     `json:"reason"` // run
}

// ParseTurn reads turn's event and the tenant id of its invocation. No tenant id gives chat.ErrNoUser.
func ParseTurn(ctx context.Context, event json.RawMessage) (chat.User, TurnEvent, error) {
	panic("not built")
}

// SweepEvent is why sweep was invoked: the schedule (Failed is nil) or a failed turn.
type SweepEvent struct {
	Failed *TurnEvent
}

// ParseSweep reads a scheduled event or turn's failure record.
func ParseSweep(event json.RawMessage) (SweepEvent, error) { panic("not built") }

// Poster posts to connections through the management API. It is shared by all requests.
type Poster struct{}

// NewPoster makes a poster for the API's stage endpoint.
func NewPoster(c aws.Config, endpoint string) *Poster { panic("not built") }

// Post posts one message, with a deadline of its own. It fails with chat.ErrGone (410, told by type or by status) and
// chat.ErrSlow (429).
func (p *Poster) Post(ctx context.Context, id chat.ConnectionID, message []byte) error {
	panic("not built")
}

// Close closes a connection. One that is gone already is fine.
func (p *Poster) Close(ctx context.Context, id chat.ConnectionID) error { panic("not built") }

// Invoker invokes turn.
type Invoker struct{}

// NewInvoker makes an invoker of the function of that name.
func NewInvoker(c aws.Config, function string) *Invoker { panic("not built") }

// Turn invokes turn asynchronously for a run of this user, whose key is the invocation's tenant id. It returns once
// Lambda has queued the event.
func (i *Invoker) Turn(ctx context.Context, u chat.User, run chat.RunID) error { panic("not built") }

// Package gateway is the edge: API Gateway's and Lambda's events in, as a User and a frame's bytes; posts and
// invocations out. It and store's owner file are the only places that turn something from outside into a chat.User.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat"
	"carrel/shared/internal/principal"
)

// Inbound is one event of a connection, with what its authorizer said at the connect.
type Inbound struct {
	User         chat.User
	Connection   chat.ConnectionID
	Grants       []string
	TokenExpires time.Time
	SignIn       chat.SignIn
	ConnectedAt  time.Time
	Body         []byte   // of a MESSAGE
	Subprotocols []string // that a CONNECT offered
	RequestID    string
}

// ParseInbound reads a CONNECT, MESSAGE or DISCONNECT event. Without a sound authorizer's context it fails with
// chat.ErrNoUser; the connection's id is set all the same, if there is one: a DISCONNECT may lack the context.
func ParseInbound(event json.RawMessage) (Inbound, error) {
	var e events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return Inbound{}, fmt.Errorf("gateway: decoding the event: %w", err)
	}
	in := Inbound{
		Connection:   chat.ConnectionID(e.RequestContext.ConnectionID),
		ConnectedAt:  time.UnixMilli(e.RequestContext.ConnectedAt),
		Body:         []byte(e.Body),
		Subprotocols: subprotocols(e.Headers),
		RequestID:    e.RequestContext.RequestID,
	}
	if in.Connection == "" {
		return in, errors.New("gateway: the event has no connectionId")
	}
	if e.IsBase64Encoded {
		return in, errors.New("gateway: a binary message reached the function; the API must refuse it")
	}
	if err := in.identify(e.RequestContext.Authorizer); err != nil {
		return in, fmt.Errorf("gateway: the authorizer's context: %w", err)
	}
	return in, nil
}

// identify reads what Authorizer put into its answer's context. Values may come back as strings.
func (in *Inbound) identify(authorizer any) error {
	c, ok := authorizer.(map[string]any)
	if !ok {
		return fmt.Errorf("%w: there is none", chat.ErrNoUser)
	}
	key, _ := c[contextUser].(string)
	if id, ok := c["principalId"].(string); ok && id != key {
		return fmt.Errorf("%w: principalId and user differ", chat.ErrNoUser)
	}
	u, err := principal.FromKey(key)
	if err != nil {
		return fmt.Errorf("%w: %w", chat.ErrNoUser, err)
	}
	expires, err := seconds(c, contextExpires)
	if err != nil {
		return err
	}
	signIn, err := signIn(c)
	if err != nil {
		return err
	}
	grants, _ := c[contextGrants].(string)
	in.User, in.TokenExpires, in.SignIn, in.Grants = u, expires, signIn, strings.Fields(grants)
	return nil
}

// signIn reads when the user signed in and which claim says so.
func signIn(c map[string]any) (chat.SignIn, error) {
	at, err := seconds(c, contextSignedIn)
	if err != nil {
		return chat.SignIn{}, err
	}
	by, _ := c[contextSignedInBy].(string)
	if by != byAuthTime && by != byIssuedAt {
		return chat.SignIn{}, fmt.Errorf("%w: %s is %q, not %s or %s", chat.ErrNoUser, contextSignedInBy, by,
			byAuthTime, byIssuedAt)
	}
	return chat.SignIn{At: at, Proven: by == byAuthTime}, nil
}

// seconds reads a time: seconds since 1970, as text.
func seconds(c map[string]any, name string) (time.Time, error) {
	text, _ := c[name].(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, fmt.Errorf("%w: %s is not a number of seconds since 1970", chat.ErrNoUser, name)
	}
	return time.Unix(n, 0), nil
}

// Answer is what a function returns to API Gateway for a WebSocket event.
type Answer = events.APIGatewayProxyResponse

// OK answers an event with 200. For a CONNECT, subprotocol is the chosen one, which the browser insists on; "" for
// none.
func OK(subprotocol string) Answer {
	a := Answer{StatusCode: 200}
	if subprotocol != "" {
		a.Headers = map[string]string{"Sec-WebSocket-Protocol": subprotocol}
	}
	return a
}

// RequestID is the id of the Lambda invocation that ctx is of; "" if it is of none.
func RequestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// TurnEvent is what is asked of turn. The user is not in it: Tenancy says where that stands.
type TurnEvent struct {
	// OwnerHash is the hash of the user. The failure record of an event repeats the event, but not the tenant id:
	// without this nobody could tell whose turn failed.
	OwnerHash string        `json:"ownerHash,omitempty"`
	Run       chat.RunID    `json:"run,omitempty"`
	Reason    Reason        `json:"reason"`
	Thread    chat.ThreadID `json:"thread,omitempty"` // to be erased
	Epoch     chat.Epoch    `json:"epoch,omitempty"`  // of that thread
}

// Reason is why turn is invoked.
type Reason string

// The reasons.
const (
	ReasonRun         Reason = "run"         // to do a run, or what is left of it
	ReasonEraseThread Reason = "eraseThread" // to erase what is left of a deleted thread
	// ReasonEraseUser is to erase everything of a user who asked for it.
	ReasonEraseUser Reason = "eraseUser"
)

// Tenancy says where turn learns whose run it does. The zero Tenancy is PerTenant.
type Tenancy int

const (
	// PerTenant is Lambda's tenant isolation: the tenant id of the invocation is the one source, and an event that
	// names a user is refused.
	PerTenant Tenancy = iota
	// Shared is without it: the event names the user. Who may invoke turn may say either, so this trusts nobody more;
	// but one user's runs may find what another's left in memory.
	Shared
)

// ParseTenancy reads the template's parameter TenantIsolation. Nothing is PerTenant: where that is wrong, Lambda
// refuses the invocation.
func ParseTenancy(isolation string) (Tenancy, error) {
	switch isolation {
	case "", "on":
		return PerTenant, nil
	case "off":
		return Shared, nil
	}
	return PerTenant, fmt.Errorf("the tenant isolation is %q; it must be on or off", isolation)
}

// turnPayload is the event as it is sent. Its user is the edge's own: nobody else reads it.
type turnPayload struct {
	TurnEvent
	User string `json:"user,omitempty"`
}

// TwoUsersError is an event of turn that names another user than the one whose it is: an isolation violation. It is a
// chat.ErrNoUser too.
type TwoUsersError struct {
	User chat.User // whose it is, for the record alone
}

// Error names neither.
func (e *TwoUsersError) Error() string {
	return "the event names another user than the one whose run it is to do"
}

// Unwrap makes it a chat.ErrNoUser.
func (e *TwoUsersError) Unwrap() error { return chat.ErrNoUser }

// ParseTurn reads turn's event and whose run it is: see Tenancy. Without a user it fails with chat.ErrNoUser, and with
// a *TwoUsersError if two meet in it.
func ParseTurn(ctx context.Context, event json.RawMessage, tenancy Tenancy) (chat.User, TurnEvent, error) {
	t, err := decodeTurn(event)
	if err != nil {
		return chat.User{}, t.TurnEvent, err
	}
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return chat.User{}, t.TurnEvent, fmt.Errorf("gateway: %w: not invoked by Lambda", chat.ErrNoUser)
	}
	key, other := lc.TenantID, t.User
	if tenancy == Shared {
		key, other = other, key
	}
	u, err := principal.FromKey(key)
	second, bad := principal.FromKey(other)
	if err == nil && (bad == nil && second != u || t.OwnerHash != "" && t.OwnerHash != u.Hash()) {
		return chat.User{}, t.TurnEvent, fmt.Errorf("gateway: %w", &TwoUsersError{u})
	}
	if other != "" {
		return chat.User{}, t.TurnEvent,
			fmt.Errorf("gateway: %w: the user stands where TENANT_ISOLATION says that it does not",
				chat.ErrNoUser)
	}
	if err != nil {
		return chat.User{}, t.TurnEvent, fmt.Errorf("gateway: %w: whose run it is: %w", chat.ErrNoUser, err)
	}
	return u, t.TurnEvent, nil
}

func decodeTurn(event json.RawMessage) (turnPayload, error) {
	var t turnPayload
	if err := json.Unmarshal(event, &t); err != nil {
		return t, fmt.Errorf("gateway: decoding turn's event: %w", err)
	}
	var err error
	switch t.Reason {
	case ReasonRun:
		err = chat.CheckID(string(t.Run))
	case ReasonEraseThread:
		err = errors.Join(chat.CheckID(string(t.Thread)), chat.CheckID(string(t.Epoch)))
	case ReasonEraseUser:
	default:
		return t, fmt.Errorf("gateway: turn's event has the unknown reason %q", t.Reason)
	}
	if err != nil {
		return t, fmt.Errorf("gateway: what turn's event names: %w", err)
	}
	return t, nil
}

// SweepEvent is why sweep was invoked.
type SweepEvent struct {
	Failed *FailedTurn // nil: the schedule
}

// FailedTurn is the failure record of an event of turn, which Lambda does not try again.
type FailedTurn struct {
	TurnEvent
	// the id of the invocation, which all tries and duplicates of the event have; "": the record has none
	Request string
	// Invoked reports whether the function was invoked, and failed. If it is false, Lambda gave the event up: there was
	// no capacity until the event was too old.
	Invoked bool
}

// ParseSweep reads a scheduled event or the failure record of a turn.
func ParseSweep(event json.RawMessage) (SweepEvent, error) {
	var e struct {
		DetailType     string          `json:"detail-type"`
		RequestPayload json.RawMessage `json:"requestPayload"`
		RequestContext struct {
			RequestID string `json:"requestId"`
		} `json:"requestContext"`
		ResponseContext struct {
			FunctionError string `json:"functionError"`
		} `json:"responseContext"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return SweepEvent{}, fmt.Errorf("gateway: decoding sweep's event: %w", err)
	}
	switch {
	case e.RequestPayload != nil:
		t, err := decodeTurn(e.RequestPayload)
		return SweepEvent{Failed: &FailedTurn{
			TurnEvent: t.TurnEvent, Request: e.RequestContext.RequestID, Invoked: e.ResponseContext.FunctionError != "",
		}}, err
	case e.DetailType == "Scheduled Event":
		return SweepEvent{}, nil
	}
	return SweepEvent{}, errors.New("gateway: sweep's event is neither a schedule's nor a failure record")
}

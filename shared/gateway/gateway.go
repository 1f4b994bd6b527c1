// Package gateway connects the functions to API Gateway and Lambda. It parses their events into a User and the bytes of
// a frame, and encodes the event that invokes turn. It and shared/store/owner.go are the only places that make a
// chat.User from outside data. Its subpackages post and invoke call the APIs.
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

// Inbound is one event of a connection, with what the authorizer found at the connect.
type Inbound struct {
	User         chat.User
	Connection   chat.ConnectionID
	Grants       []string
	TokenExpires time.Time
	SignIn       chat.SignIn
	ConnectedAt  time.Time
	Body         []byte   // only of a MESSAGE
	Subprotocols []string // offered by a CONNECT
	RequestID    string
}

// ParseInbound reads a CONNECT, MESSAGE or DISCONNECT event. If the context of the authorizer is missing or invalid, it
// fails with chat.ErrNoUser, and still returns the id of the connection: a DISCONNECT may lack the context.
func ParseInbound(event json.RawMessage) (Inbound, error) {
	var e events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return Inbound{}, fmt.Errorf("gateway: decode the event: %w", err)
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
		return in, fmt.Errorf("gateway: read the authorizer's context: %w", err)
	}
	return in, nil
}

// identify reads the context that Authorizer put into its answer. API Gateway may return its values as strings.
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

// signIn reads when the user signed in, and which claim proves it.
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

// seconds reads a time from a text in seconds since 1970.
func seconds(c map[string]any, name string) (time.Time, error) {
	text, _ := c[name].(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, fmt.Errorf("%w: %s is not a number of seconds since 1970", chat.ErrNoUser, name)
	}
	return time.Unix(n, 0), nil
}

// Answer is the answer of a function to API Gateway for a WebSocket event.
type Answer = events.APIGatewayProxyResponse

// OK answers an event with 200. For a CONNECT, subprotocol is the chosen one, which browsers require; "" for none.
func OK(subprotocol string) Answer {
	a := Answer{StatusCode: 200}
	if subprotocol != "" {
		a.Headers = map[string]string{"Sec-WebSocket-Protocol": subprotocol}
	}
	return a
}

// RequestID returns the id of the Lambda invocation of ctx, and "" if ctx has none.
func RequestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// TurnEvent is the event that invokes turn. It does not hold the user: see Tenancy.
type TurnEvent struct {
	// OwnerHash is the hash of the user. The failure record of an event repeats the event but not its tenant id, so the
	// hash is the only sign of whose turn failed.
	OwnerHash string        `json:"ownerHash,omitempty"`
	Run       chat.RunID    `json:"run,omitempty"`
	Reason    Reason        `json:"reason"`
	Thread    chat.ThreadID `json:"thread,omitempty"` // the thread to erase
	Epoch     chat.Epoch    `json:"epoch,omitempty"`  // the epoch of that thread
}

// Reason says why turn is invoked.
type Reason string

// The reasons.
const (
	ReasonRun         Reason = "run"         // do a run, or continue it
	ReasonEraseThread Reason = "eraseThread" // erase the rest of a deleted thread
	// ReasonEraseUser requests the erasure of all data of a user.
	ReasonEraseUser Reason = "eraseUser"
)

// Tenancy says where turn learns the user of an invocation. The zero Tenancy is PerTenant.
type Tenancy int

const (
	// PerTenant uses Lambda's tenant isolation: the tenant id of the invocation is the only source of the user, and an
	// event that names a user is refused.
	PerTenant Tenancy = iota
	// Shared uses no tenant isolation: the event names the user. A caller that may invoke turn could name any tenant as
	// well, so this trusts no caller more. But a run may find data that another user's run left in memory.
	Shared
)

// ParseTenancy reads the parameter TenantIsolation. An empty value is PerTenant: if that is wrong, Lambda refuses the
// invocation.
func ParseTenancy(isolation string) (Tenancy, error) {
	switch isolation {
	case "", "on":
		return PerTenant, nil
	case "off":
		return Shared, nil
	}
	return PerTenant, fmt.Errorf("the tenant isolation is %q; it must be on or off", isolation)
}

// turnPayload is the event as it is sent. Only this package reads its user.
type turnPayload struct {
	TurnEvent
	User string `json:"user,omitempty"`
}

// EncodeTurn returns the event that invokes turn for a user, and the tenant of that invocation, which is "" with
// Shared. ParseTurn reads both. For the zero User it fails with chat.ErrNoUser.
func EncodeTurn(u chat.User, e TurnEvent, tenancy Tenancy) (event []byte, tenant string, err error) {
	if u.IsZero() {
		return nil, "", fmt.Errorf("gateway: encode turn's event: %w", chat.ErrNoUser)
	}
	e.OwnerHash = u.Hash()
	t := turnPayload{TurnEvent: e}
	if tenancy == Shared {
		t.User = u.Key()
	} else {
		tenant = u.Key()
	}
	if event, err = json.Marshal(t); err != nil {
		return nil, "", fmt.Errorf("gateway: encode turn's event: %w", err)
	}
	return event, tenant, nil
}

// TwoUsersError is the error of an event of turn that names another user than its tenant. It is an isolation violation,
// and wraps chat.ErrNoUser.
type TwoUsersError struct {
	User chat.User // the user of the invocation, for the record of the violation only
}

// Error names neither user.
func (e *TwoUsersError) Error() string {
	return "the event names another user than the one whose run it is to do"
}

// Unwrap returns chat.ErrNoUser.
func (e *TwoUsersError) Unwrap() error { return chat.ErrNoUser }

// ParseTurn reads the event of turn and its user: see Tenancy. Without a user it fails with chat.ErrNoUser, and with a
// *TwoUsersError if the event names two users.
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
			fmt.Errorf("gateway: %w: the event names the user in the place that TENANT_ISOLATION excludes",
				chat.ErrNoUser)
	}
	if err != nil {
		return chat.User{}, t.TurnEvent, fmt.Errorf("gateway: %w: read the user: %w", chat.ErrNoUser, err)
	}
	return u, t.TurnEvent, nil
}

func decodeTurn(event json.RawMessage) (turnPayload, error) {
	var t turnPayload
	if err := json.Unmarshal(event, &t); err != nil {
		return t, fmt.Errorf("gateway: decode turn's event: %w", err)
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
		return t, fmt.Errorf("gateway: check the ids in turn's event: %w", err)
	}
	return t, nil
}

// SweepEvent says why sweep was invoked.
type SweepEvent struct {
	Failed *FailedTurn // nil: a scheduled event
}

// FailedTurn is the failure record of an event of turn. Lambda does not try the event again.
type FailedTurn struct {
	TurnEvent
	// the id of the invocation, shared by all tries and duplicates of the event; "": the record has none
	Request string
	// Invoked reports whether the function was invoked and failed. If it is false, Lambda discarded the event, because it
	// had no capacity until the event was too old.
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
		return SweepEvent{}, fmt.Errorf("gateway: decode sweep's event: %w", err)
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
	return SweepEvent{}, errors.New("gateway: sweep's event is neither a scheduled event nor a failure record")
}

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/aws/aws-lambda-go/events"

	"carrel/shared/chat"
	"carrel/shared/internal/principal"
	"carrel/shared/wire"
)

// The keys of the authorizer's context. It holds at most 8 KB, and only strings, numbers and bools.
const (
	contextUser       = "user"
	contextExpires    = "expires"
	contextSignedIn   = "signedIn"
	contextSignedInBy = "signedInBy" // the claim that contextSignedIn was read from: one of the next two
	contextGrants     = "grants"
	maxGrants         = 4 << 10
)

// The claims that say when a user signed in.
const (
	byAuthTime = "auth_time"
	byIssuedAt = "iat"
)

// ErrUnauthorized makes API Gateway refuse the socket with 401. API Gateway requires exactly this word.
var ErrUnauthorized = errors.New("Unauthorized")

// Verify verifies an access token. Its error is the reason of the refusal. token.Verifier has a method of this type.
type Verify func(ctx context.Context, token string) (chat.Claims, error)

// Authorizer answers API Gateway's REQUEST authorizer event, which comes once per socket. The token is in the
// subprotocol "bearer.<token>" or in the Authorization header. It is never in the query string, which is logged. API
// Gateway adds the answer's context to every later event of the connection, as requestContext.authorizer.
type Authorizer struct {
	Verify  Verify
	Origins []Origin // the origins of the pages that may connect; terminal clients send no origin
	Log     *slog.Logger
}

const originHeader = "Origin"

// Handle is the Lambda handler. Whatever is wrong with the token, the client receives ErrUnauthorized, and the log has
// the reason.
func (a *Authorizer) Handle(ctx context.Context, event json.RawMessage) (events.APIGatewayCustomAuthorizerResponse,
	error) {
	answer, err := a.answer(ctx, event)
	if err != nil {
		a.Log.WarnContext(ctx, "connect refused", "err", err)
		return answer, ErrUnauthorized
	}
	return answer, nil
}

func (a *Authorizer) answer(ctx context.Context, event json.RawMessage) (r events.APIGatewayCustomAuthorizerResponse,
	err error) {
	var e struct {
		MethodArn string              `json:"methodArn"`
		Headers   map[string]string   `json:"headers"`
		Lines     map[string][]string `json:"multiValueHeaders"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return r, fmt.Errorf("decode the event: %w", err)
	}
	if err := errors.Join(once(e.Headers, e.Lines), a.allowed(e.Headers)); err != nil {
		return r, err
	}
	raw, err := bearer(e.Headers)
	if err != nil {
		return r, err
	}
	c, err := a.Verify(ctx, raw)
	if err != nil {
		return r, err
	}
	u, err := principal.New(c.Issuer, c.Subject)
	if err != nil {
		return r, err
	}
	grants := joined(c.Grants)
	if len(grants) > maxGrants {
		return r, fmt.Errorf("the token's grants are %d bytes, more than the %d that fit", len(grants), maxGrants)
	}
	r.PrincipalID = u.Key()
	r.PolicyDocument = events.APIGatewayCustomAuthorizerPolicy{
		Version: "2012-10-17",
		Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: "Allow",
			Resource: []string{e.MethodArn}}},
	}
	r.Context = map[string]any{
		contextUser:       u.Key(),
		contextExpires:    strconv.FormatInt(c.Expires.Unix(), 10),
		contextSignedIn:   strconv.FormatInt(c.SignIn.At.Unix(), 10),
		contextSignedInBy: signedInBy(c.SignIn),
		contextGrants:     grants,
	}
	return r, nil
}

func signedInBy(s chat.SignIn) string {
	if s.Proven {
		return byAuthTime
	}
	return byIssuedAt
}

// joined joins grants to one text, which ParseInbound splits again. A grant with white space would become two grants,
// so it is left out.
func joined(grants []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(grants), func(g string) bool {
		return strings.ContainsFunc(g, unicode.IsSpace)
	}), " ")
}

// bearer finds the one token of a connect. Two tokens are refused, because a proxy in between may have checked the
// other one.
func bearer(headers map[string]string) (string, error) {
	var found []string
	for _, p := range subprotocols(headers) {
		if t, ok := strings.CutPrefix(p, wire.BearerPrefix); ok {
			found = append(found, t)
		}
	}
	authorization, _ := header(headers, "Authorization")
	if scheme, t, _ := strings.Cut(authorization, " "); strings.EqualFold(scheme, "Bearer") {
		found = append(found, strings.TrimSpace(t))
	}
	switch {
	case len(found) == 0:
		return "", errors.New("no token: neither a bearer subprotocol nor an Authorization header")
	case len(found) > 1:
		return "", errors.New("more than one token")
	}
	return found[0], nil
}

// once refuses two lines of a header that decides about the connect. The event's headers have only the last of them,
// and a proxy in between may have checked the other one.
func once(headers map[string]string, lines map[string][]string) error {
	for _, name := range []string{"Authorization", "Sec-WebSocket-Protocol", originHeader} {
		n, names := 0, 0
		for k, v := range lines {
			if strings.EqualFold(k, name) {
				n += len(v)
			}
		}
		for k := range headers {
			if strings.EqualFold(k, name) {
				names++
			}
		}
		if max(n, names) > 1 {
			return fmt.Errorf("the header %s was sent %d times", name, max(n, names))
		}
	}
	return nil
}

// subprotocols returns the subprotocols that the client offered, in its order.
func subprotocols(headers map[string]string) []string {
	var all []string
	offered, _ := header(headers, "Sec-WebSocket-Protocol")
	for p := range strings.SplitSeq(offered, ",") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

// header returns a header, whose name may be in any case, and whether it was sent.
func header(headers map[string]string, name string) (string, bool) {
	for k, v := range headers {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

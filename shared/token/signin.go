package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"carrel/shared/chat"
)

// skew is how far the clocks of the issuer's servers may be apart.
const skew = time.Minute

// signIn returns when the user signed in: auth_time, which a refresh does not change, or iat where a token has no auth_time.
// Ending sessions and erasing an account stand on it, so an auth_time that cannot be read is an error and never an iat.
func signIn(t *oidc.IDToken, authTime any) (chat.SignIn, error) {
	if t.IssuedAt.Unix() <= 0 {
		return chat.SignIn{}, errors.New("token: it has no iat, the time of its issue")
	}
	switch at := authTime.(type) {
	case nil:
		return chat.SignIn{At: t.IssuedAt}, nil
	case float64:
		if at == 0 { // some issuers write 0 for a sign-in that they do not know
			return chat.SignIn{At: t.IssuedAt}, nil
		}
		return provenSignIn(t, time.Unix(int64(at), 0))
	case string:
		parsed, err := time.Parse(time.RFC3339, at) // as AD FS writes it
		if err != nil {
			return chat.SignIn{}, fmt.Errorf("token: auth_time is no time: %w", err)
		}
		return provenSignIn(t, parsed)
	}
	return chat.SignIn{}, fmt.Errorf("token: auth_time is a %T, not a number of seconds", authTime)
}

// provenSignIn refuses a sign-in after the token's issue: it would outlive every end of the user's sessions.
func provenSignIn(t *oidc.IDToken, at time.Time) (chat.SignIn, error) {
	if at.Unix() <= 0 || at.After(t.IssuedAt.Add(skew)) {
		return chat.SignIn{}, errors.New("token: auth_time is not a time before iat")
	}
	return chat.SignIn{At: at, Proven: true}, nil
}

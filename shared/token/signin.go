package token

import (
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
)

// skew bounds the difference between the clocks of two servers.
const skew = 5 * time.Minute

// maxLife bounds a token's life, from its issue to its expiry.
const maxLife = 24 * time.Hour

// issued returns the time at which the token was issued. It refuses a token that is valid for longer than maxLife.
func issued(c claims, now, expires time.Time) (time.Time, error) {
	iat, err := c.time("iat")
	switch {
	case err != nil:
		return iat, err
	case iat.Unix() <= 0:
		return iat, errors.New("token: no iat, the time of issue")
	case iat.After(now.Add(skew)):
		return iat, errors.New("token: iat is in the future")
	case expires.Sub(iat) > maxLife:
		return iat, fmt.Errorf("token: valid for %v, more than %v", expires.Sub(iat), maxLife)
	}
	return iat, nil
}

// signIn returns the time at which the user signed in: auth_time, which a refresh does not change, or iat if the token
// has no auth_time. Ending sessions and erasing an account rely on this time. An unreadable auth_time is therefore an
// error, and iat does not replace it.
func signIn(c claims, iat time.Time) (chat.SignIn, error) {
	at, err := authTime(c)
	if err != nil {
		return chat.SignIn{}, err
	}
	switch {
	case at.IsZero() || at.Unix() == 0: // some issuers write 0 for an unknown time
		return chat.SignIn{At: iat}, nil
	case at.Unix() < 0 || at.After(iat.Add(skew)): // such a token would remain valid after every sign-out
		return chat.SignIn{}, errors.New("token: auth_time is negative or after iat")
	}
	return chat.SignIn{At: at, Proven: true}, nil
}

// authTime returns auth_time, which is a number of seconds or, as AD FS writes it, a date.
func authTime(c claims) (time.Time, error) {
	if text, err := c.text("auth_time"); err == nil && text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return at, errors.New("token: auth_time is neither a number of seconds nor a date")
		}
		return at.Truncate(time.Second), nil
	}
	return c.time("auth_time")
}

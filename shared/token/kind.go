package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is a rule that tells an issuer's access tokens from its other tokens, which it signs with the same keys.
type Kind string

// The kinds.
const (
	// KindAudience needs an aud that names the audience. The page's client id must be another: an ID token's aud names that.
	KindAudience Kind = "audience"
	// KindTyp needs the header typ at+jwt (RFC 9068).
	KindTyp Kind = "typ"
	// KindTokenUse needs the claim token_use to be access, as Cognito writes it.
	KindTokenUse Kind = "token_use"
)

// accessType is the typ of access tokens by RFC 9068, without the prefix application/.
const accessType = "at+jwt"

// access returns an error unless this is an access token that its bearer alone may use.
func (k Kind) access(h, c claims) error {
	typ, err := h.text("typ")
	if err != nil {
		return err
	}
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/") // a media type, so in any case (RFC 7515)
	use, err := c.text("token_use")
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"", "jwt", accessType}, typ):
		return fmt.Errorf("token: the header's typ is %q, which is not an access token's", typ)
	case k == KindTyp && typ != accessType:
		return fmt.Errorf("token: the header's typ is %q, and TokenKind typ needs at+jwt", typ)
	case use != "access" && (use != "" || k == KindTokenUse):
		return fmt.Errorf("token: token_use is %q, an access token is wanted", use)
	case c.has("cnf"):
		return errors.New("token: it is bound to its sender's key (cnf), which a handshake cannot prove")
	case k == KindAudience && !c.has("aud"):
		return errors.New("token: it has no audience: aud is missing, and TokenKind audience needs it")
	}
	if err := bodyType(c); err != nil {
		return err
	}
	if typ == accessType {
		return nil
	}
	return unmarked(c)
}

// bodyType refuses the other kinds of token of an issuer that writes the kind into the claim typ, as Keycloak does: ID,
// Refresh, Logout and the types of its action links.
func bodyType(c claims) error {
	typ, err := c.text("typ")
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "bearer", "jwt", accessType}, strings.ToLower(typ)) {
		return fmt.Errorf("token: the claim typ is %q, which is not an access token's", typ)
	}
	return nil
}

// unmarked refuses a token with a claim that only ID tokens and logout tokens need. It is not for tokens with the typ of
// RFC 9068.
func unmarked(c claims) error {
	for name, kind := range map[string]string{
		"nonce": "an ID token", "at_hash": "an ID token", "c_hash": "an ID token", "s_hash": "an ID token", "events": "a logout token",
	} {
		if c.has(name) {
			return fmt.Errorf("token: the claim %s marks %s", name, kind)
		}
	}
	return nil
}

package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is a rule that distinguishes the access tokens of an issuer from its other tokens, which have the same keys.
type Kind string

// The kinds.
const (
	// KindAudience requires an aud that contains the audience. The client id of the page must differ from the audience,
	// because an ID token has the client id as its aud.
	KindAudience Kind = "audience"
	// KindTyp requires the header typ at+jwt (RFC 9068).
	KindTyp Kind = "typ"
	// KindTokenUse requires the claim token_use to be access, as in Cognito's tokens.
	KindTokenUse Kind = "token_use"
)

// accessType is the typ of access tokens by RFC 9068, without the prefix application/.
const accessType = "at+jwt"

// access returns an error unless this is an access token that is not bound to a key.
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
		return fmt.Errorf("token: token_use is %q, want access", use)
	case c.has("cnf"):
		return errors.New("token: bound to a key of its sender (cnf), which a handshake cannot prove")
	case k == KindAudience && !c.has("aud"):
		return errors.New("token: no audience: aud is missing, and TokenKind audience requires it")
	}
	if err := bodyType(c); err != nil {
		return err
	}
	if typ == accessType {
		return nil
	}
	return unmarked(c)
}

// bodyType refuses tokens whose claim typ names another kind of token. Keycloak writes the kind there: ID, Refresh,
// Logout and the types of its action links.
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

// unmarked refuses a token with a claim that only ID tokens and logout tokens have. Tokens with the typ of RFC 9068
// need not pass it.
func unmarked(c claims) error {
	for name, kind := range map[string]string{
		"nonce": "an ID token", "at_hash": "an ID token", "c_hash": "an ID token", "s_hash": "an ID token",
		"events": "a logout token",
	} {
		if c.has(name) {
			return fmt.Errorf("token: the claim %s marks %s", name, kind)
		}
	}
	return nil
}

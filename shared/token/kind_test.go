package token_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/token"
)

// typed returns a valid token with this typ in its header and these changes of its claims.
func (i *issuer) typed(t *testing.T, typ any, changes jwt.MapClaims) string {
	t.Helper()
	j := jwt.NewWithClaims(jwt.SigningMethodES256, i.claims(changes))
	j.Header["kid"] = "ec1"
	j.Header["typ"] = typ
	if typ == nil {
		delete(j.Header, "typ")
	}
	s, err := j.SignedString(i.ec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An issuer signs all of its tokens with the same keys. Only access tokens that are not bound to a key are accepted.
func TestVerify_OtherKindsOfToken(t *testing.T) {
	i := newIssuer(t)
	api := jwt.MapClaims{"aud": "page", "client_id": nil, "token_use": nil} // as most issuers write them
	with := func(more jwt.MapClaims) jwt.MapClaims {
		all := maps.Clone(api)
		maps.Copy(all, more)
		return all
	}
	logout := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	for name, c := range map[string]struct {
		kind   token.Kind
		typ    any
		claims jwt.MapClaims
		reason string // "" if the token is accepted
	}{
		"typ at+jwt":               {token.KindTyp, "at+jwt", api, ""},
		"typ application/at+jwt":   {token.KindTyp, "application/AT+JWT", api, ""},
		"typ JWT, at+jwt required": {token.KindTyp, "JWT", api, "at+jwt"},
		"no typ, at+jwt required":  {token.KindTyp, nil, api, "at+jwt"},
		"typ, a list":              {token.KindAudience, []string{"at+jwt"}, api, "typ"},
		"no typ":                   {token.KindAudience, nil, api, ""},
		"typ JWT":                  {token.KindAudience, "JWT", api, ""},
		"typ application/jwt":      {token.KindAudience, "application/jwt", api, ""},
		"typ logout+jwt":           {token.KindAudience, "logout+jwt", api, "logout+jwt"},
		"typ secevent+jwt":         {token.KindAudience, "application/secevent+jwt", api, "secevent+jwt"},
		"typ dpop+jwt":             {token.KindTokenUse, "dpop+jwt", nil, "dpop+jwt"},
		"Cognito's":                {token.KindTokenUse, nil, nil, ""},
		"no token_use, required":   {token.KindTokenUse, "at+jwt", api, "token_use"},
		"token_use id":             {token.KindAudience, nil, with(jwt.MapClaims{"token_use": "id"}), "token_use"},
		"token_use, a list": {token.KindAudience, nil, with(jwt.MapClaims{"token_use": []string{"access"}}),
			"token_use"},
		"client_id for an aud":  {token.KindAudience, nil, nil, "audience"},
		"ID token, nonce":       {token.KindAudience, nil, with(jwt.MapClaims{"nonce": "n"}), "ID token"},
		"ID token, at_hash":     {token.KindAudience, "JWT", with(jwt.MapClaims{"at_hash": "h"}), "ID token"},
		"ID token, c_hash":      {token.KindTokenUse, nil, jwt.MapClaims{"c_hash": "h"}, "ID token"},
		"nonce, but typ at+jwt": {token.KindAudience, "at+jwt", with(jwt.MapClaims{"nonce": "n"}), ""},
		"nonce, null":           {token.KindAudience, nil, with(jwt.MapClaims{"nonce": jwt.MapClaims(nil)}), ""},
		"logout token, events": {token.KindAudience, nil,
			with(jwt.MapClaims{"events": logout}), "logout token"},
		"bound to a key": {token.KindAudience, nil,
			with(jwt.MapClaims{"cnf": map[string]string{"jkt": "x"}}), "cnf"},
		"bound to a key, typ at+jwt": {token.KindTyp, "at+jwt",
			with(jwt.MapClaims{"cnf": map[string]string{"x5t#S256": "x"}}), "cnf"},
		"Keycloak, Bearer":  {token.KindAudience, "JWT", with(jwt.MapClaims{"typ": "Bearer"}), ""},
		"Keycloak, ID":      {token.KindAudience, "JWT", with(jwt.MapClaims{"typ": "ID"}), "claim typ"},
		"Keycloak, Refresh": {token.KindAudience, "JWT", with(jwt.MapClaims{"typ": "Refresh"}), "claim typ"},
		"Keycloak, Offline": {token.KindTyp, "at+jwt", with(jwt.MapClaims{"typ": "Offline"}), "claim typ"},
		"Keycloak, Logout":  {token.KindAudience, "JWT", with(jwt.MapClaims{"typ": "Logout"}), "claim typ"},
		"Keycloak, an action's link": {token.KindAudience, "JWT", with(jwt.MapClaims{"typ": "verify-email"}),
			"claim typ"},
	} {
		_, err := i.verifier(t, token.Config{Kind: c.kind, PageClient: "app"}).Verify(t.Context(),
			i.typed(t, c.typ, c.claims))
		if c.reason == "" && err != nil || c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.reason)
		}
	}
}

// Grants come from the configured claim, in each form that issuers write.
func TestGrants(t *testing.T) {
	i := newIssuer(t)
	both := []string{"clock", "notes"}
	for name, c := range map[string]struct {
		claim, prefix string
		claims        jwt.MapClaims
		want          []string
	}{
		"scope, a text":        {"scope", "", jwt.MapClaims{"scope": "clock notes"}, both},
		"scope, a list":        {"scope", "", jwt.MapClaims{"scope": both}, both},
		"scope, none":          {"scope", "", jwt.MapClaims{"scope": nil}, nil},
		"scope, empty":         {"scope", "", jwt.MapClaims{"scope": ""}, nil},
		"scp, a text":          {"scp", "", jwt.MapClaims{"scp": "clock notes"}, both},
		"scp, a list":          {"scp", "", jwt.MapClaims{"scp": both}, both},
		"permissions, a list":  {"permissions", "", jwt.MapClaims{"permissions": both}, both},
		"permissions, a text":  {"permissions", "", jwt.MapClaims{"permissions": "clock notes"}, both},
		"roles, a list":        {"roles", "", jwt.MapClaims{"roles": both}, both},
		"roles, the only one":  {"roles", "", jwt.MapClaims{"roles": "no notes"}, []string{"no notes"}},
		"groups, a list":       {"groups", "", jwt.MapClaims{"groups": both}, both},
		"groups, the only one": {"groups", "", jwt.MapClaims{"groups": "clock"}, []string{"clock"}},
		"Cognito's groups":     {"cognito:groups", "", jwt.MapClaims{"cognito:groups": both}, both},
		"Keycloak's realm roles": {"realm_access.roles", "",
			jwt.MapClaims{"realm_access": map[string]any{"roles": both}}, both},
		"no realm roles": {"realm_access.roles", "", nil, nil},
		"a prefix": {"scope", "carrel/",
			jwt.MapClaims{"scope": "openid notes carrel/clock carrel/ x/carrel/notes carrel/notes"}, both},
		"another case": {"scope", "", jwt.MapClaims{"scope": nil, "Scope": "clock"}, nil},
	} {
		raw := sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(c.claims))
		got, err := i.verifier(t, token.Config{GrantsClaim: c.claim, GrantsPrefix: c.prefix}).Verify(t.Context(), raw)
		if err != nil || !slices.Equal(got.Grants, c.want) {
			t.Errorf("%s: granted %q, %v; want %q", name, got.Grants, err, c.want)
		}
	}
}

// An unused claim may have any type. A token whose configured claim has an unknown type is refused.
func TestUnusedClaims(t *testing.T) {
	i := newIssuer(t)
	odd := []any{"text", "", 5, -1.5, true, []any{1, "a", nil}, map[string]any{"a": []int{1}}, []any{},
		map[string]any{}}
	names := []string{"scope", "scp", "permissions", "roles", "groups", "cognito:groups", "realm_access",
		"resource_access",
		"username", "azp", "sid", "jti", "acr", "amr", "act", "client_id", "version", "AUD", "Scope"}
	for _, used := range []string{"scope", "permissions", "cognito:groups"} {
		v := i.verifier(t, token.Config{GrantsClaim: used, Kind: token.KindTyp})
		for _, name := range names {
			for _, value := range odd {
				if name == used || name == "AUD" && value != "text" { // the library takes AUD for aud, and wants texts
					continue
				}
				raw := i.typed(t, "at+jwt", jwt.MapClaims{"aud": "page", used: "clock", name: value})
				if got, err := v.Verify(t.Context(), raw); err != nil || len(got.Grants) != 1 {
					t.Errorf("%s is used and %s is %v: granted %q, %v", used, name, value, got.Grants, err)
				}
			}
		}
	}
	for _, value := range []any{5, true, map[string]any{"a": 1}, []any{"clock", 1}, []any{"clock", nil}} {
		raw := sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(jwt.MapClaims{"scope": value}))
		if got, err := i.verifier(t, token.Config{}).Verify(t.Context(), raw); err == nil ||
			!strings.Contains(err.Error(), "scope") {
			t.Errorf("the scope is %v: granted %q, %v; want an error that names it", value, got.Grants, err)
		}
	}
}

// A token in the JSON serialization has members that its signature does not cover, so it is refused.
func TestVerify_JSONForm(t *testing.T) {
	i := newIssuer(t)
	parts := strings.Split(i.typed(t, nil, jwt.MapClaims{"iat": time.Now().Unix()}), ".")
	raw := `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] +
		`","header":{"typ":"at+jwt"}}`
	if _, err := i.verifier(t, token.Config{}).Verify(t.Context(), raw); err == nil ||
		!strings.Contains(err.Error(), "compact") {
		t.Errorf("error %v, want it to contain compact", err)
	}
}

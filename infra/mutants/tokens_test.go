package mutants

// signInGuards check tokens.
func signInGuards() []guard {
	return []guard{
		{
			name: "attacker: a token for another API is rejected", file: "shared/token/token.go",
			test: "./shared/token TestVerify_InvalidTokens",
			from: `	if c.has("aud") {`, to: `	if c.has("aud") && !c.has("client_id") {`,
		},
		{
			name: "attacker: the scheme of a token ignores case", file: "shared/gateway/authorizer.go",
			test: "./shared/gateway TestAuthorizer_BearerInAnyCase",
			from: `strings.EqualFold(scheme, "Bearer")`, to: `scheme == "Bearer"`,
		},
		{
			name: "attacker: a grant is one word", file: "shared/gateway/authorizer.go",
			test: "./shared/gateway TestAuthorizer_GrantWithSpaces",
			from: `strings.ContainsFunc(g, unicode.IsSpace)`, to: `strings.ContainsFunc(g, unicode.IsControl)`,
		},
		{
			name: "tokens: auth_time is the sign-in, not iat", file: "shared/token/signin.go",
			test: "./shared/token TestSignIn",
			from: `chat.SignIn{At: at, Proven: true}`, to: `chat.SignIn{At: iat, Proven: true}`,
		},
		{
			name: "tokens: only auth_time proves a sign-in", file: "shared/token/signin.go",
			test: "./shared/token TestSignIn",
			from: `chat.SignIn{At: iat}`, to: `chat.SignIn{At: iat, Proven: true}`,
		},
		{
			name: "tokens: a sign-in after the token's issue is rejected", file: "shared/token/signin.go",
			test: "./shared/token TestVerify_InvalidTokens",
			from: ` || at.After(iat.Add(skew))`, to: ``,
		},
		{
			name: "tokens: an event says which claim is the sign-in", file: "shared/gateway/gateway.go",
			test: "./shared/gateway TestParseInbound_InvalidUser",
			from: `if by != byAuthTime && by != byIssuedAt {`, to: `if by == "none" {`,
		},
		{
			name: "tokens: an event without a sign-in is rejected", file: "shared/gateway/gateway.go",
			test: "./shared/gateway TestParseInbound_InvalidUser",
			from: `if err != nil || n <= 0 {`, to: `if err != nil && name == contextExpires {`,
		},
	}
}

// inPackage completes guards of one package: it prefixes their names and adds the package to their files and tests.
func inPackage(prefix, pkg string, all []guard) []guard {
	for n := range all {
		g := &all[n]
		g.name, g.file, g.test = prefix+g.name, pkg+"/"+g.file, "./"+pkg+" "+g.test
	}
	return all
}

// kindGuards distinguish an access token from the other tokens of its issuer.
func kindGuards() []guard {
	return inPackage("tokens: ", "shared/token", []guard{
		{name: "a logout token is rejected by its header", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `case !slices.Contains([]string{"", "jwt", accessType}, typ):`, to: `case typ == "none":`},
		{name: "TokenKind typ needs at+jwt", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `case k == KindTyp && typ != accessType:`, to: `case k == KindTyp && typ == "none":`},
		{name: "TokenKind token_use needs token_use", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `(use != "" || k == KindTokenUse)`, to: `use != ""`},
		{name: "an ID token is rejected by its token_use", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `case use != "access" && (use`, to: `case use == "none" && (use`},
		{name: "TokenKind audience needs an aud", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `case k == KindAudience && !c.has("aud"):`, to: `case k == KindAudience && !c.has("iss"):`},
		{name: "a token that is bound to a key needs its proof", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `case c.has("cnf"):`, to: `case c.has("cnf") && typ == "":`},
		{name: "a token with another kind in its body is rejected", file: "kind.go",
			test: "TestVerify_OtherKindsOfToken", from: `"bearer", "jwt", accessType}, strings`,
			to: `"bearer", "jwt", "id", "refresh", "offline", accessType}, strings`},
		{name: "an ID token is rejected by its claims", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `"nonce": "an ID token", `, to: ``},
		{name: "a logout token is rejected by its claim", file: "kind.go", test: "TestVerify_OtherKindsOfToken",
			from: `"events": "a logout token",`, to: ``},
	})
}

// accessGuards check the claims of an access token, its key and the configuration.
func accessGuards() []guard {
	return inPackage("tokens: ", "shared/token", []guard{
		{name: "only the compact form", file: "claims.go", test: "TestVerify_JSONForm", from: `if len(parts) != 3 {`,
			to: `if len(parts) == 0 {`},
		{name: "a grant is a text", file: "claims.go", test: "TestUnusedClaims", from: `if entry == nil {`,
			to: `if entry == nil && false {`},
		{name: "the issuer is https", file: "token.go", test: "TestNew_WrongConfig",
			from: `err != nil || !private(issuer) {`, to: `err != nil || issuer.Host == "" {`},
		{name: "the page is not the audience", file: "token.go", test: "TestNew_WrongConfig",
			from: `if c.Kind == KindAudience && (`, to: `if c.Kind == "none" && (`},
		{name: "the keys' address is https", file: "guard.go", test: "TestVerify_KeysWithoutTLS",
			from: `if !private(r.URL) {`, to: `if r.URL.Host == "" {`},
		{name: "RSA keys have 2048 bits", file: "token.go", test: "TestVerify_InvalidTokens", from: `minRSA = 2048 / 8`,
			to: `minRSA = 1024 / 8`},
		{name: "a token lives for a day at most", file: "signin.go", test: "TestVerify_InvalidTokens",
			from: `case expires.Sub(iat) > maxLife:`, to: `case expires.Sub(iat) > 99*maxLife:`},
		{name: "a token from the future is rejected", file: "signin.go", test: "TestVerify_InvalidTokens",
			from: `case iat.After(now.Add(skew)):`, to: `case iat.After(now.Add(99*skew)):`},
		{name: "the subject is sub, in small letters", file: "token.go", test: "TestVerify_InvalidTokens",
			from: `case subject == "":`, to: `case subject == "none":`},
		{name: "the issuer is iss, in small letters", file: "token.go", test: "TestVerify_InvalidTokens",
			from: `case issuer != v.config.Issuer:`, to: `case issuer == "none":`},
		{name: "the expiry is exp, in small letters", file: "token.go", test: "TestVerify_InvalidTokens",
			from: `case expires.Before(now):`, to: `case expires.Before(time.Time{}):`},
	})
}

// originGuards check the Origin of a handshake.
func originGuards() []guard {
	return inPackage("origin: ", "shared/gateway", []guard{
		{name: "the page's origin is allowed", file: "origin.go", test: "TestOrigin",
			from: `if !slices.Contains(a.Origins, o) {`,
			to:   `if !slices.ContainsFunc(a.Origins, func(p Origin) bool { return p.host == o.host }) {`},
		{name: "the origin null is rejected", file: "origin.go", test: "TestOrigin", from: `	if !sent {
`, to: `	if !sent || text == "null" || text == "" {
`},
		{name: "an origin is whole", file: "origin.go", test: "TestOrigin",
			from: `if strings.ToLower(text) != scheme+"://"+strings.ToLower(u.Host) {`, to: `if text == "" {`},
		{name: "two lines of it are refused", file: "authorizer.go", test: "TestAuthorizer_TwoOrigins",
			from: `"Sec-WebSocket-Protocol", originHeader} {`, to: `"Sec-WebSocket-Protocol"} {`},
		{name: "two cases of it are refused", file: "authorizer.go", test: "TestOrigin", from: `max(n, names) > 1`,
			to: `n > 1`},
	})
}

// issuerGuards make the local issuer behave like a real one.
func issuerGuards() []guard {
	return inPackage("issuer: ", "infra/local/oidc", []guard{
		{name: "a refresh keeps the time of the sign-in", file: "token.go", test: "TestRefresh_KeepsAuthTime",
			from: `SignedIn: g.signedIn}`, to: `}`},
		{name: "max_age asks for a new sign-in", file: "session.go", test: "TestSession_AuthTime",
			from: `Sub(s.signedIn) <= a.within`, to: `Sub(s.signedIn) <= sessionLife`},
		{name: "a revoked session ends", file: "token.go", test: "TestRevoke", from: ` || i.isRevoked(c.Family) {`,
			to: ` {`},
		{name: "a sign-out needs logout_uri", file: "authorize.go", test: "TestEndSession",
			from: `target := q.Get("logout_uri")`,
			to:   `target := cmp.Or(q.Get("logout_uri"), q.Get("post_logout_redirect_uri"))`,
			also: []edit{{file: "infra/local/oidc/authorize.go", from: "import (\n", to: "import (\n\t\"cmp\"\n"}}},
	})
}

// eraseGuards protect a user from an unwanted erasure of everything.
func eraseGuards() []guard {
	return inPackage("erasing: ", "functions/message", []guard{
		{name: "the sign-in is recent", file: "erase.go", test: "TestErase_NeedsARecentSignIn",
			from: `r.now().Sub(signIn.At) <= recentSignIn`, to: `r.now().Sub(signIn.At) <= 99*recentSignIn`},
		{name: "the token says when the user signed in", file: "erase.go", test: "TestErase_NeedsARecentSignIn",
			from: `case signIn.Proven && r.now()`, to: `case r.now()`},
		{name: "no token without it, unless the operator says so", file: "erase.go",
			test: "TestErase_NeedsARecentSignIn", from: `case r.eraseAuth == eraseByConfirm:`,
			to: `case r.eraseAuth != "none":`},
		{name: "a repeat needs no new sign-in", file: "erase.go", test: "TestErase_RepeatWithAnOldSignIn",
			from: `case !errors.Is(err, chat.ErrErasing):`, to: `case errors.Is(err, chat.ErrErasing):`},
	})
}

package mutants

// signInGuards are what a token meets.
func signInGuards() []guard {
	return []guard{
		{
			name: "attacker: a token for another API is none", file: "shared/token/token.go", test: "./shared/token TestBadTokensAreRefusedWithTheReason",
			from: `	if len(t.Audience) > 0 {`, to: `	if len(t.Audience) > 0 && c.ClientID == "" {`,
		},
		{
			name: "attacker: a token's scheme is one in any case", file: "shared/gateway/authorizer.go", test: "./shared/gateway TestTheSchemeIsBearerInAnyCase",
			from: `strings.EqualFold(scheme, "Bearer")`, to: `scheme == "Bearer"`,
		},
		{
			name: "attacker: a grant is one word", file: "shared/gateway/authorizer.go", test: "./shared/gateway TestNoGrantComesOfAnothersWords",
			from: `strings.ContainsFunc(g, unicode.IsSpace)`, to: `strings.ContainsFunc(g, unicode.IsControl)`,
		},
		{
			name: "tokens: auth_time is the sign-in, not iat", file: "shared/token/signin.go", test: "./shared/token TestSignIn",
			from: `chat.SignIn{At: at, Proven: true}`, to: `chat.SignIn{At: t.IssuedAt, Proven: true}`,
		},
		{
			name: "tokens: only auth_time proves a sign-in", file: "shared/token/signin.go", test: "./shared/token TestSignIn",
			from: "case nil:\n\t\treturn chat.SignIn{At: t.IssuedAt}", to: "case nil:\n\t\treturn chat.SignIn{At: t.IssuedAt, Proven: true}",
		},
		{
			name: "tokens: no sign-in after the token's issue", file: "shared/token/signin.go", test: "./shared/token TestBadTokensAreRefusedWithTheReason",
			from: ` || at.After(t.IssuedAt.Add(skew))`, to: ``,
		},
		{
			name: "tokens: an event says which claim is the sign-in", file: "shared/gateway/gateway.go", test: "./shared/gateway TestInboundWithoutASoundUserIsRefused",
			from: `if by != byAuthTime && by != byIssuedAt {`, to: `if by == "none" {`,
		},
		{
			name: "tokens: an event without a sign-in is nobody's", file: "shared/gateway/gateway.go", test: "./shared/gateway TestInboundWithoutASoundUserIsRefused",
			from: `if err != nil || n <= 0 {`, to: `if err != nil && name == contextExpires {`,
		},
	}
}

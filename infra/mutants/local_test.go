package mutants

import "slices"

// localGuards keep web pages and other users of the machine out of the local stack: docs/local.md.
func localGuards() []guard { return slices.Concat(pageGuards(), signedGuards()) }

// pageGuards keep web pages out.
func pageGuards() []guard {
	return []guard{
		{
			name: "local: a foreign host is refused", file: "infra/local/loopback/guard.go",
			from: `if !ownName(r.Host) {`, to: `if r.Host == "" {`,
			test: "./infra/local/stack TestListeners_WebPage",
		},
		{
			name: "local: a foreign origin is refused", file: "infra/local/loopback/guard.go",
			from: `!slices.Contains(g.c.Origins, origins[0]) {`, to: `slices.Contains(g.c.Origins, origins[0]) {`,
			test: "./infra/local/stack TestListeners_WebPage",
		},
		{
			name: "local: a page of another site is refused", file: "infra/local/loopback/guard.go",
			from: `if site != "same-origin" && site != "none" {`, to: `if site == "" {`,
			test: "./infra/local/stack TestListeners_WebPage",
		},
		{
			name: "local: another site can open only the page and the sign-in", file: "infra/local/stack/page.go",
			from: `case path == "/ops" || strings.HasPrefix(path, "/issuer/"):`, to: `case path == "":`,
			test: "./infra/local/stack TestListeners_SignInNavigates",
		},
		{
			name: "local: a head over 10,240 bytes is refused", file: "infra/local/loopback/guard.go",
			from: `if g.c.MaxHead > 0 && headSize(r) > g.c.MaxHead {`,
			to:   `if g.c.MaxHead < 0 && headSize(r) > g.c.MaxHead {`,
			test: "./infra/local/apigateway TestHandshake_HeadSizeLimit",
		},
		{
			name: "local: as many invocations run at once as an account allows", file: "infra/local/lambda/function.go",
			from: `const accountConcurrency = 1000`, to: `const accountConcurrency = 100`,
			test: "./infra/local/stack TestStack_ManySocketsClose",
		},
		{
			name: "local: the engine's address cannot be guessed", file: "infra/local/dynamodb/dynamodb.go",
			from: `cmp.Or(c.Addr, hiddenAddr())`, to: `cmp.Or(c.Addr, "127.0.0.1:"+hiddenAddr()[len(hiddenAddr())-5:])`,
			test: "./infra/local/dynamodb TestEngine_HiddenAddress",
		},
	}
}

// signedGuards keep other programs and users out.
func signedGuards() []guard {
	return []guard{
		{
			name: "local: DynamoDB answers signed requests only", file: "infra/local/dynamodb/proxy/proxy.go",
			from: `if p.c.Signed != nil {`, to: `if p.c.Signed == nil {`,
			test: "./infra/local/stack TestListeners_Unsigned",
		},
		{
			name: "local: Lambda answers signed and permitted requests only", file: "infra/local/lambda/api.go",
			from: `h.arn(h.bareName(r.PathValue("function")))); code != "" {`,
			to:   `h.arn(h.bareName(r.PathValue("function")))); code == "no" {`,
			test: "./infra/local/stack TestListeners_Unsigned",
		},
		{
			name: "local: STS answers signed requests only", file: "infra/local/sts/assume.go",
			from: `if err := s.signed(r, body); err != nil {`, to: `if err := s.signed(r, body); err == nil {`,
			test: "./infra/local/stack TestListeners_Unsigned",
		},
		{
			name: "local: a signature is compared", file: "infra/local/sigv4/sigv4.go",
			from: `[]byte(c.signature)) != 1 {`, to: `[]byte(c.signature)) > 1 {`,
			test: "./infra/local/stack TestListeners_Unsigned",
		},
		{
			name: "local: a signature covers the headers that the stack reads", file: "infra/local/sigv4/sigv4.go",
			from: `c.uncovered(r.Header); missing != "" {`, to: `c.uncovered(r.Header); missing == "none" {`,
			test: "./infra/local/sigv4 TestVerify_Uncovered",
		},
		{
			name: "local: /ops does not show the operator's secret", file: "infra/local/stack/ops.go",
			from: `s.endpoints.Public()`, to: `s.endpoints`,
			test: "./infra/local/stack TestListeners_Unsigned",
		},
		{
			name: "local: the state is this user's alone", file: "infra/local/stack/state.go",
			from: `os.Chmod(folder, 0o700)`, to: `os.Chmod(folder, 0o755)`,
			test: "./infra/local/stack TestState_Private",
		},
	}
}

// Command authorize is the API's authorizer: it verifies the access token of each new WebSocket. API Gateway attaches
// the result, the user, to every later event of that socket. It has no AWS client, which keeps its cold start short:
// the handshake waits for it.
package main

import (
	"strings"

	"carrel/shared/boot"
	"carrel/shared/gateway"
	"carrel/shared/token"
)

func main() {
	boot.Start("authorize", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *gateway.Authorizer {
	config := token.Config{
		Issuer:       env.RequireURL("ISSUER"),
		Audiences:    strings.Fields(env.Require("AUDIENCE")),
		Kind:         token.Kind(env.Require("TOKEN_KIND")),
		PageClient:   env.Require("PAGE_CLIENT"),
		GrantsClaim:  env.Require("GRANTS_CLAIM"),
		GrantsPrefix: env.Optional("GRANTS_PREFIX"),
	}
	origins := boot.Parse(env, "ORIGINS", gateway.ParseOrigins)
	verifier, err := token.New(config)
	env.Check(err, "ISSUER", "AUDIENCE", "PAGE_CLIENT", "TOKEN_KIND", "GRANTS_CLAIM")
	if err != nil {
		return nil
	}
	return &gateway.Authorizer{Verify: verifier.Verify, Origins: origins, Log: env.Log()}
}

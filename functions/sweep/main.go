// Command sweep looks after runs that are due: each minute, and at once as turn's failure destination. It asks
// for another attempt, or ends them where none is left. It also starts what waits and has been left, because whoever
// should have started it may have died, and says what it had to repair.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/boot"
	"carrel/shared/gateway"
	"carrel/shared/store"
	"carrel/shared/usercreds"
)

func main() {
	h := boot.Handler("sweep", build)
	lambda.Start(h.Handle)
}

func build(env *boot.Env) *handler {
	c, endpoint, limits, now, log := env.AWS(), env.RequireURL("ENDPOINT"), env.Limits(), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: limits, Now: now}
	tenancy := boot.Parse(env, "TENANT_ISOLATION", gateway.ParseTenancy)
	return &handler{
		live:    store.New(store.NewClient(c), config),
		tables:  usercreds.New(c, env.RequireRole("USER_ROLE"), config),
		poster:  gateway.NewPoster(c, endpoint),
		invoker: gateway.NewInvoker(c, env.Require("TURN_FUNCTION"), tenancy),
		limits:  limits,
		monitor: env.Monitor(log),
		log:     log,
		now:     now,
	}
}

// Command sweep repairs runs whose worker has died. It runs every minute, and at once as the failure destination of
// turn. For each due run it requests another attempt, or ends the run if no attempt is left. It also starts queued runs
// that another function should have started, and expires runs that were queued for too long. It reports each repair as
// a metric and a line in the log.
package main

import (
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
	"carrel/shared/gateway/post"
	"carrel/shared/store"
	"carrel/shared/usercreds"
)

func main() {
	boot.Start("sweep", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *handler {
	c, endpoint := boot.Read(env, awsenv.Config), env.RequireURL("ENDPOINT")
	limits, now, log := env.Limits(), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: limits, Now: now}
	tenancy := boot.Parse(env, "TENANT_ISOLATION", gateway.ParseTenancy)
	return &handler{
		live:    store.New(store.NewClient(c), config),
		tables:  usercreds.New(c, env.RequireRole("USER_ROLE"), config),
		poster:  post.New(c, endpoint),
		invoker: invoke.New(c, env.Require("TURN_FUNCTION"), tenancy),
		limits:  limits,
		monitor: env.Monitor(log),
		log:     log,
		now:     now,
	}
}

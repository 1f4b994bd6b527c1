// Command message answers one frame of a client: hello, run, cancel, threads, history, rename, delete, runs,
// erase, signOut, ping. Each type has its own file.
//
// Start here: Handle decodes a frame (handler.go), dispatch chooses its handler by type (dispatch.go), ownConnection
// checks whose connection it is (connection.go), and answer posts through package lasthop (answer.go). Command turn
// carries out runs.
package main

import (
	"math/rand/v2"
	"time"

	"carrel/agents"
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
	"carrel/shared/gateway/post"
	"carrel/shared/store"
)

func main() {
	boot.Start("message", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *handler {
	c, endpoint := boot.Read(env, awsenv.Config), env.RequireURL("ENDPOINT")
	limits, now, log := env.Limits(), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: limits, Now: now}
	tenancy := boot.Parse(env, "TENANT_ISOLATION", gateway.ParseTenancy)
	set, err := agents.Definitions()
	env.Check(err)
	return &handler{
		table:   store.New(store.NewClient(c), config),
		poster:  post.New(c, endpoint),
		invoker: invoke.New(c, env.Require("TURN_FUNCTION"), tenancy),
		agents:  set,
		limits:  limits,
		jitter:  func() time.Duration { return 5*time.Minute + rand.N(10*time.Minute) },
		monitor: env.Monitor(log),
		log:     log,
		now:     now,

		eraseAuth: boot.Parse(env, "ERASE_AUTH", parseEraseAuth),
		frames:    newFrameLimits(limits),
	}
}

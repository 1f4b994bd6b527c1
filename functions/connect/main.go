// Command connect answers $connect. It records the user of the new connection and gives the connection a new thread, so
// that every connection has a thread. The connection receives posts only after its first hello.
package main

import (
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/chat"
	"carrel/shared/gateway/post"
	"carrel/shared/store"
)

func main() {
	boot.Start("connect", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *handler {
	c, endpoint := boot.Read(env, awsenv.Config), env.RequireURL("ENDPOINT")
	now, log := env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: chat.DefaultLimits(), Now: now}
	return &handler{
		table:   store.New(store.NewClient(c), config),
		sender:  post.New(c, endpoint),
		monitor: env.Monitor(log),
		now:     now,
		log:     log,
	}
}

// Command disconnect answers $disconnect by deleting the record of the connection. API Gateway does not always send the
// event. The record is therefore also deleted when it expires, and when a post finds that the connection is closed.
package main

import (
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/chat"
	"carrel/shared/store"
)

func main() {
	boot.Start("disconnect", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *handler {
	c, now, log := boot.Read(env, awsenv.Config), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: chat.DefaultLimits(), Now: now}
	return &handler{
		table:   store.New(store.NewClient(c), config),
		monitor: env.Monitor(log),
		log:     log,
	}
}

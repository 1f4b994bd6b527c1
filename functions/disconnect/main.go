// Command disconnect answers $disconnect: it forgets the connection. API Gateway does not always send the event; records
// of connections also expire, and a post to one that is gone removes it.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/boot"
	"carrel/shared/chat"
	"carrel/shared/store"
)

func main() {
	h := boot.Handler("disconnect", build)
	lambda.Start(h.Handle)
}

func build(env *boot.Env) *handler {
	c, now, log := env.AWS(), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: chat.DefaultLimits(), Now: now}
	return &handler{
		table:   store.New(store.NewClient(c), config),
		monitor: env.Monitor(log),
		log:     log,
	}
}

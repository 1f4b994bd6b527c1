// Command turn is the Lambda function that executes runs. One invocation claims one run, builds a fresh user context,
// lets the engine work, ends the run, and starts the user's queued runs. The invocation's tenant id names the user, and
// Lambda never reuses the execution environment for another user. With the template's parameter TenantIsolation=off the
// payload names the user, and environments are shared.
package main

import (
	"fmt"
	"time"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/engine"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
	"carrel/shared/gateway/post"
	"carrel/shared/model/scripted"
	"carrel/shared/store"
	"carrel/shared/usercontext"
	"carrel/shared/usercreds"
)

func main() {
	boot.Start("turn", func(env *boot.Env) any { return build(env).Handle })
}

func build(env *boot.Env) *handler {
	c, endpoint := boot.Read(env, awsenv.Config), env.RequireURL("ENDPOINT")
	limits, now, log := env.Limits(), env.Clock(), env.Log()
	config := store.Config{Name: env.Require("TABLE"), Limits: limits, Now: now, Worker: gateway.RequestID}
	tenancy := boot.Parse(env, "TENANT_ISOLATION", gateway.ParseTenancy)
	self := env.Require("AWS_LAMBDA_FUNCTION_NAME")
	set, err := agents.Definitions()
	env.Check(err)
	registry, err := agent.NewRegistry(set, modelsOf)
	env.Check(err)
	tools, err := sharedTools(now)
	env.Check(err)
	return &handler{
		tables:  usercreds.New(c, env.RequireRole("USER_ROLE"), config),
		agents:  registry,
		tools:   tools,
		poster:  post.New(c, endpoint),
		invoker: invoke.New(c, self, tenancy),
		limits:  limits,
		monitor: env.Monitor(log),
		gauge:   &usercontext.Gauge{},
		log:     log,
		now:     now,
		after:   time.After,
		tenancy: tenancy,
	}
}

// modelsOf returns the models of an agent. The built-in model is the only one so far.
func modelsOf(d agent.Definition) ([]engine.Candidate, error) {
	for _, name := range d.Models {
		if name != agent.DefaultModel {
			return nil, fmt.Errorf("the model %q is unknown; the only one is %s", name, agent.DefaultModel)
		}
	}
	return []engine.Candidate{{Model: scripted.New(scripted.Config{})}}, nil
}

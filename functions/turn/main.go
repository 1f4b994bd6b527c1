// Command turn is the Lambda function that executes runs. One invocation claims one run, builds a fresh user context,
// lets the engine work, ends the run, and starts the user's queued runs. The invocation's tenant id names the user, and
// Lambda never reuses the execution environment for another user. With the template's parameter TenantIsolation=off the
// payload names the user, and environments are shared.
package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/awsenv"
	"carrel/shared/boot"
	"carrel/shared/engine"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
	"carrel/shared/gateway/post"
	"carrel/shared/model/models"
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
	registry, err := agent.NewRegistry(set, modelsOf(env, awsenv.Streaming(c), now, log))
	env.Check(err)
	tools, err := sharedTools(now, webOf(env))
	env.Check(err)
	tables := usercreds.New(c, env.RequireRole("USER_ROLE"), config)
	return &handler{
		tables:  tables,
		agents:  registry,
		tools:   tools,
		sources: sources(env, tables),
		poster:  post.New(c, endpoint),
		invoker: invoke.New(c, self, tenancy),
		limits:  limits,
		monitor: env.Monitor(log),
		gauge:   &usercontext.Gauge{},
		log:     log,
		now:     now,
		after:   time.After,
		tenancy: tenancy,
		works:   env.Invocation(),
	}
}

// modelsOf returns a function that makes the models of an agent.
func modelsOf(env *boot.Env, c aws.Config, now func() time.Time,
	log *slog.Logger) func(agent.Definition) ([]engine.Candidate, error) {
	all, err := models.New(models.Config{File: agents.Models(), Getenv: env.Optional, AWS: c, Now: now, Log: log})
	return func(d agent.Definition) ([]engine.Candidate, error) {
		if err != nil {
			return nil, err
		}
		candidates, err := all.Candidates(d.Models...)
		for i, c := range candidates {
			if c.Name == models.Scripted && d.Script != "" {
				err = errors.Join(err, scripted.Check(d.Script))
				candidates[i].Model = scripted.New(scripted.Config{Script: d.Script})
			}
		}
		return candidates, err
	}
}

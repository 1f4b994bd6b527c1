package main

import (
	"context"
	"strings"
	"sync"

	"carrel/agents"
	"carrel/shared/agui"
	"carrel/shared/boot"
	"carrel/shared/chat"
	"carrel/shared/tool"
	"carrel/shared/tool/mcp"
)

// sources makes the sources of tools that are known at run time only: the MCP servers of the deployment.
func sources(env *boot.Env, signer mcp.Signer) []tool.Source {
	file, lock := agents.MCP()
	servers, err := mcp.Parse(file)
	env.Check(err)
	pins, err := mcp.ParsePins(lock)
	env.Check(err)
	if len(servers) == 0 {
		return nil
	}
	source, err := mcp.New(mcp.Config{
		Servers: servers, Pins: pins, Credentials: mcp.CredentialsFrom(env.Optional, signer),
	})
	env.Check(err)
	return []tool.Source{source}
}

// sourced is the registry of a run and what went wrong with its sources.
type sourced struct {
	registry *tool.Registry
	err      error
	failures []error
}

// startRegistry begins to collect all tools of a run: the shared ones, those of the run's user, and those of the
// sources, if one of the agent's patterns names a source. It returns a function that waits for them.
func (t *turn) startRegistry(ctx context.Context, patterns []string) func() sourced {
	registry, err := t.ownRegistry()
	if err != nil || len(t.sources) == 0 || !strings.Contains(strings.Join(patterns, " "), "/") {
		return func() sourced { return sourced{registry: registry, err: err} }
	}
	result := make(chan sourced, 1)
	err = t.uc.Go("collect the tools of sources", func(context.Context) {
		var mu sync.Mutex
		var s sourced
		s.registry = registry.WithSources(ctx, t.uc, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			s.failures = append(s.failures, err)
		}, t.sources...)
		result <- s
	})
	if err != nil {
		return func() sourced { return sourced{registry: registry, err: err} }
	}
	return func() sourced { return <-result }
}

// reportSources reports the tools that are missing from the run: to the operator in the log, to the user in an event.
func (t *turn) reportSources(ctx context.Context, failures []error) error {
	for _, err := range failures {
		t.log.WarnContext(ctx, "list the tools of a source", "err", err)
		for _, missing := range mcp.Missing(err) {
			t.uc.Count(chat.RunStats{Events: 1})
			e := agui.CustomEvent(agui.SourceName, agui.Source{Server: missing.Server, State: missing.State})
			if err := t.emitter.Emit(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// dispatcherOf makes the run's dispatcher from its registry, and reports the failures of the sources.
func (t *turn) dispatcherOf(ctx context.Context, s start, all sourced, patterns []string) (*tool.Dispatcher, error) {
	if all.err != nil {
		return nil, all.err
	}
	if err := t.reportSources(ctx, all.failures); err != nil {
		return nil, err
	}
	return t.dispatcher(s, all.registry, patterns)
}

package main

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"carrel/agents"
	"carrel/agents/own"
	"carrel/shared/agui"
	"carrel/shared/model/facts"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/tool/ask"
	"carrel/shared/tool/calculator"
	"carrel/shared/tool/clock"
	"carrel/shared/tool/fetch"
	"carrel/shared/tool/notes"
)

// sharedTools makes the tools that hold no data of a user. All runs share them. Together with userTools they are the
// tools of agents.Grants, of which a deployment may lack fetch.
func sharedTools(now func() time.Time, web fetch.Config) (*tool.Registry, error) {
	calculate, err1 := calculator.New()
	tellTime, err2 := clock.New(now)
	question, err3 := ask.New()
	prices, err4 := facts.Parse(agents.Models())
	readPage, err5 := fetch.New(web)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	more, err := own.Tools(func(model string) (own.Price, bool) { return priceOf(prices, model) })
	if err != nil {
		return nil, err
	}
	if web.On {
		more = append(more, readPage)
	}
	return tool.NewRegistry(append(more, calculate, tellTime, question)...)
}

// priceOf returns the list price of a model in models.yaml, as the decimal numbers that the file has.
func priceOf(file *facts.File, model string) (own.Price, bool) {
	p := file.Model(facts.Endpoint{}, model).Price
	if p == nil {
		return own.Price{}, false
	}
	exact := func(usd float64) *big.Rat {
		n, _ := new(big.Rat).SetString(strconv.FormatFloat(usd, 'f', -1, 64)) // a decimal number always parses
		return n
	}
	price := own.Price{InputUSD: exact(p.Input), OutputUSD: exact(p.Output)}
	if p.CacheRead > 0 {
		price.CacheReadUSD = exact(p.CacheRead)
	}
	return price, true
}

// userTools makes the tools that work on one user's data, for one run. They reach that data through the run's store.
func userTools(s *store.Store) ([]tool.Tool, error) {
	return notes.New(s)
}

// registry returns all tools of a run: the shared ones, and those of the run's user.
func (h *handler) registry(s *store.Store) (*tool.Registry, error) {
	own, err := userTools(s)
	if err != nil {
		return nil, err
	}
	return h.tools.With(own...)
}

// ownRegistry returns the deployment's tools and those of the run's user.
func (t *turn) ownRegistry() (*tool.Registry, error) {
	return t.registry(t.store)
}

// dispatcher makes the run's dispatcher, its only way to the tools that the patterns select. It counts the calls of
// previous attempts.
func (t *turn) dispatcher(s start, registry *tool.Registry, patterns []string) (*tool.Dispatcher, error) {
	if _, on := registry.Grant(fetch.Name); !on { // the agent may name it, and the deployment decides
		patterns = slices.DeleteFunc(slices.Clone(patterns), func(name string) bool { return name == fetch.Name })
	}
	names, err := registry.Match(patterns...)
	if err != nil {
		return nil, err
	}
	d, err := tool.NewDispatcher(t.uc, registry, names)
	if err != nil {
		return nil, err
	}
	d.Record = t.recordDecision
	d.Logf = func(format string, args ...any) {
		t.log.WarnContext(t.uc.Context(), "call a tool", "err", fmt.Errorf(format, args...))
	}
	d.CountPrevious(s.events)
	for _, e := range s.first {
		if e.Type == agui.ToolCallResult { // the answer that made this call was cut off by the worker's death
			d.RecordSkipped(tool.Call{ID: e.ToolCallID, Name: nameOf(e.ToolCallID, s.events)}, tool.NotCalled)
		}
	}
	return d, nil
}

// nameOf returns the tool of a call, or "" if the events do not start the call.
func nameOf(call string, events []agui.Event) string {
	for _, e := range events {
		if e.Type == agui.ToolCallStart && e.ToolCallID == call {
			return e.ToolCallName
		}
	}
	return ""
}

// recordDecision writes the audit record of one tool call, allowed or not. It is one line of the log with the hash of
// the user and the run, and without content.
func (t *turn) recordDecision(d tool.Decision) {
	t.log.InfoContext(t.uc.Context(), "tool call", "call", d.Call, "tool", d.Tool, "grant", d.Grant,
		"outcome", string(d.Outcome), "ms", d.Took.Milliseconds(), "argumentBytes", d.ArgumentBytes, "edited", d.Edited,
		"cut", d.Cut)
	if d.Outcome == tool.Denied {
		t.monitor.Count(monitor.ToolCallsDenied, 1)
	}
}

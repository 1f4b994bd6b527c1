package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// HandoffPrefix begins the names of the tools that hand the conversation over to another agent. The result of such a
// call is the fact: it is in the log before the successor is asked, so a worker that continues the run finds it there.
const HandoffPrefix = "to_"

// maxHandoffs is how often a run may be handed over.
const maxHandoffs = 4

// noArguments is the JSON Schema of the arguments of a tool that hands the conversation over.
const noArguments = `{"type":"object","properties":{},"additionalProperties":false}`

// handoffSpecs returns the tools that hand the conversation over, one for each agent that the user may use. Only the
// agent that answers the person can hand over.
func (r *run) handoffSpecs() (all []tool.Spec) {
	if r.line != "" {
		return nil
	}
	for _, w := range r.c.Handoffs {
		if w.mayAsk(r.c.User) {
			all = append(all, tool.Spec{Name: HandoffPrefix + w.Name, Schema: json.RawMessage(noArguments),
				Description: "Lets another agent take over the conversation. " + w.Description})
		}
	}
	return all
}

// decideHandoffs gives the calls that hand the conversation over their results. Of several in one answer the first
// counts. The successor is asked when all calls of the answer have their results.
func (r *run) decideHandoffs(calls []PendingCall) []PendingCall {
	decided := false
	for i, p := range calls {
		name, ok := strings.CutPrefix(p.Call.Function.Name, HandoffPrefix)
		if !ok || p.Result != nil || r.line != "" {
			continue
		}
		if p.MayHaveRun && tookOver(r.log) { // by another call of the answer, before the worker died
			result := r.handoff(Colleague{Name: name}, true)
			calls[i].Result = &result
			continue
		}
		for _, w := range r.c.Handoffs {
			if w.Name == name {
				result := r.handoff(w, decided)
				decided = decided || result.Outcome == tool.OK
				calls[i].Result = &result
			}
		}
	}
	return calls
}

// handoff returns the result of a call that hands the conversation over. decided is true if another call of the same
// answer has done so.
func (r *run) handoff(w Colleague, decided bool) tool.Result {
	switch {
	case !w.mayAsk(r.c.User):
		return tool.Result{Outcome: tool.Denied,
			Content: fmt.Sprintf("This user is not permitted to use the agent %q.", w.Name)}
	case decided:
		return tool.Result{Outcome: tool.NotCalled,
			Content: "Another call of this answer has handed the conversation over. This one had no effect."}
	case r.handoffs >= maxHandoffs:
		return tool.Result{Outcome: tool.Limited, Content: fmt.Sprintf(
			"The conversation was handed over %d times in this run. Answer the person yourself.", maxHandoffs)}
	}
	return tool.Result{Outcome: tool.OK, Content: fmt.Sprintf("The agent %q has taken over.", w.Name)}
}

// succeed changes to the agent to which one of these results handed the conversation over, if one did. answers has the
// calls of the results.
func (r *run) succeed(answers, results []agui.Message) error {
	for _, m := range results {
		c, ok := callIn(answers, m.ToolCallID)
		name, is := strings.CutPrefix(c.Function.Name, HandoffPrefix)
		if !ok || !is || r.line != "" || agui.MarksOf(m.Metadata).Outcome != "" || !r.names(name) {
			continue
		}
		if err := r.handOver(&r.c, name); err != nil {
			return &failure{code: CodeInternal,
				message: "The agent that was to take over could not be started. Try again.",
				cause:   err}
		}
		r.model, r.counted, r.halved, r.most = 0, 0, false, 0
		return nil
	}
	return nil
}

// names reports whether the present agent may hand over to the named one.
func (r *run) names(name string) bool {
	for _, w := range r.c.Handoffs {
		if w.Name == name {
			return true
		}
	}
	return false
}

// handOver puts a successor in the place of the agent that answers the person.
func (s *common) handOver(c *Config, name string) error {
	if c.Successor == nil {
		return errors.New("hand over: Config.Successor is missing")
	}
	a, err := c.Successor(name)
	if err != nil {
		return fmt.Errorf("hand over to the agent %q: %w", name, err)
	}
	c.Agent = a
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent = a.Name
	s.handoffs++
	return nil
}

// agentName returns the name of the agent that answers the person.
func (s *common) agentName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agent
}

// tookOver reports whether a call of the last whole answer in a log has handed the conversation over.
func tookOver(log []agui.Event) bool {
	last := 0
	for i, e := range log {
		if _, ok := agui.AnswerOf(e); ok && e.SubagentRunID == "" {
			last = i
		}
	}
	return len(handoffsIn(log)) > len(handoffsIn(log[:last]))
}

// handoffsIn returns the agents to which a run was handed over, in order, by the results in its log.
func handoffsIn(log []agui.Event) (names []string) {
	calls := map[string]string{}
	for _, e := range log {
		name, is := strings.CutPrefix(e.ToolCallName, HandoffPrefix)
		switch {
		case e.SubagentRunID != "":
		case e.Type == agui.ToolCallStart && is:
			calls[e.ToolCallID] = name
		case e.Type == agui.ToolCallResult && calls[e.ToolCallID] != "" && agui.MarksOf(e.Metadata).Outcome == "":
			names = append(names, calls[e.ToolCallID])
		}
	}
	return names
}

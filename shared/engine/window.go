package engine

import (
	"cmp"
	"errors"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
)

// The window is the part of a conversation that a model is sent. Nothing is cut while the request fits.
const (
	defaultOutput = 4096
	bytesPerToken = 3       // an estimate that is rather too small
	cutResult     = 2 << 10 // the bytes that a cut result keeps
	recentRounds  = 2       // the results of so many answers with calls stay whole at first
)

// leftOut takes the place of the messages that a model is not sent.
const leftOut = "[Earlier messages of this conversation are left out here, because they do not fit.]"

// budget returns how many tokens of input the present model accepts, or 0 if that is not known.
func (r *run) budget() int {
	c := r.c.Models[r.model]
	if c.Context == 0 {
		return r.most
	}
	output := c.MaxOutput
	if output == 0 {
		output = defaultOutput
	}
	if most := r.c.Settings.MaxTokens; most > 0 {
		output = min(output, most)
	}
	budget := max(1, (c.Context-output)*9/10)
	if r.most > 0 {
		budget = min(budget, r.most)
	}
	return budget
}

// tokens estimates the input tokens of a request with these messages. Up to the messages of the last call it uses the
// number that the provider reported.
func (r *run) tokens(messages []agui.Message) int {
	if r.counted > 0 && len(messages) >= r.countedUpTo {
		return r.counted + bytesOf(messages[r.countedUpTo:])/bytesPerToken
	}
	bytes := bytesOf(messages)
	for _, p := range r.c.System {
		bytes += len(p.Text)
	}
	for _, k := range r.keep {
		bytes += len(k)
	}
	if r.c.Tools != nil {
		for _, s := range r.c.Tools.Specs() {
			bytes += len(s.Name) + len(s.Description) + len(s.Schema)
		}
	}
	return bytes / bytesPerToken
}

func bytesOf(messages []agui.Message) (n int) {
	for _, m := range messages {
		n += len(m.Content)
		for _, c := range m.ToolCalls {
			n += len(c.Function.Name) + len(c.Function.Arguments)
		}
	}
	return n
}

// window returns the messages of the next request. If they exceed the budget, it cuts the conversation down to 60 % of
// the budget at once, so that the provider's cache holds for the next calls. The cut stays for the rest of the run.
func (r *run) window() ([]agui.Message, error) {
	messages := cut(r.history, r.trimmed)
	budget := r.budget()
	if budget == 0 || r.tokens(messages) <= budget {
		return messages, nil
	}
	r.counted = 0
	goal := budget * 6 / 10
	for _, t := range r.cuts() {
		messages, r.trimmed, r.untold = cut(r.history, &t), &t, true
		if r.tokens(messages) <= goal {
			return messages, nil
		}
	}
	if r.tokens(messages) > budget {
		return nil, tooLong(errors.New("the last message does not fit the model"))
	}
	return messages, nil
}

// cuts returns the ways to cut the conversation, the smallest cut first. Each is at least as large as the present one.
func (r *run) cuts() (all []agui.Trimmed) {
	var now agui.Trimmed
	if r.trimmed != nil {
		now = *r.trimmed
	}
	from := max(0, slices.IndexFunc(r.history, func(m agui.Message) bool { return m.ID == now.From }))
	var turns []string // the ids of the messages of users that begin a turn, behind the first that is sent
	var results []string
	for i, m := range r.history[from:] {
		if i > 0 && m.Role == agui.RoleUser && r.history[from+i-1].Role != agui.RoleUser {
			turns = append(turns, m.ID)
		}
		if m.Role == agui.RoleTool {
			results = append(results, m.ID)
		}
	}
	if old := r.beforeRounds(); old != "" {
		now.Results = old
		all = append(all, now)
	}
	for _, id := range turns {
		now.From = id
		all = append(all, now)
	}
	if len(results) > 0 { // last of all, the results of the last rounds
		now.Results = results[len(results)-1]
		all = append(all, now)
	}
	return all
}

// beforeRounds returns the id of the last result before the last rounds, or "".
func (r *run) beforeRounds() string {
	rounds, inRound := 0, false
	for _, m := range slices.Backward(r.history) {
		switch {
		case m.Role == agui.RoleTool && rounds == recentRounds && !inRound:
			return m.ID
		case m.Role == agui.RoleTool && !inRound:
			inRound = true
			rounds++
		case m.Role != agui.RoleTool:
			inRound = false
		}
	}
	return ""
}

// cut returns a conversation without the parts that a model is not sent.
func cut(history []agui.Message, t *agui.Trimmed) []agui.Message {
	if t == nil {
		return slices.Clone(history)
	}
	var out []agui.Message
	if from := slices.IndexFunc(history, func(m agui.Message) bool { return m.ID == t.From }); from > 0 {
		out = append(out, agui.Message{ID: chat.ServerPrefix + "left-out", Role: agui.RoleUser, Content: leftOut})
		history = history[from:]
	}
	upTo := slices.IndexFunc(history, func(m agui.Message) bool { return m.ID == t.Results })
	for i, m := range history {
		if m.Role == agui.RoleTool && i <= upTo && len(m.Content) > cutResult {
			m.Content = chars.Head(m.Content, cutResult) + "\n[The rest of this result is left out here.]"
		}
		out = append(out, m)
	}
	return out
}

// trimmedIn returns the cut that the marks of a run record last, so that the next worker sends the same.
func trimmedIn(marks []agui.Answer) *agui.Trimmed {
	for _, m := range slices.Backward(marks) {
		if m.Trimmed != nil {
			return m.Trimmed
		}
	}
	return nil
}

// refusedAsTooLong halves the budget for the rest of the run, because the provider found a request too long. The second
// time the run ends.
func (r *run) refusedAsTooLong(e *ModelError, sent []agui.Message) error {
	if r.halved {
		return tooLong(e)
	}
	r.halved = true
	whole := r.tokens(sent)
	if b := r.budget(); b > 0 {
		whole = min(whole, b)
	}
	r.most = max(1, whole/2)
	return nil
}

// leastOutput is how many tokens an answer needs at least. With less left of the run's limit the run ends.
const leastOutput = 256

// output returns the most tokens that the next answer may have: the setting, or less if the run's limit of tokens
// leaves less. 0 is the model's default.
func (r *run) output() (int, error) {
	most := r.c.Settings.MaxTokens
	if r.limits.Tokens == 0 {
		return most, nil
	}
	left := r.limits.Tokens
	for _, u := range r.allUsage() {
		left -= u.InputTokens + u.OutputTokens
	}
	if left < leastOutput {
		return 0, limitReached(CodeTokens, "tokens", r.limits.Tokens)
	}
	if most == 0 {
		most = cmp.Or(r.c.Models[r.model].MaxOutput, defaultOutput)
	}
	return min(most, left), nil
}

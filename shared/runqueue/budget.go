package runqueue

import (
	"maps"
	"time"

	"carrel/shared/chat"
)

// Day returns the name of the UTC day of a time, such as 2026-03-01. Names order as their days do.
func Day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// checkBudget fails with a *chat.BudgetError, whose time is the next UTC midnight, if the runs that have ended today
// have used the day's tokens. A limit below 1 disables the check.
func (q Queue) checkBudget(p Policy) error {
	if p.Limits.DayTokens < 1 || q.Tokens[Day(p.Now)] < int64(p.Limits.DayTokens) {
		return nil
	}
	now := p.Now.UTC()
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC)
	return &chat.BudgetError{After: midnight.Sub(now)}
}

// recent returns the counts of yesterday and later. Earlier ones are of no use. Yesterday's is kept for a clock that is
// behind.
func (q Queue) recent(now time.Time) map[string]int64 {
	yesterday := Day(now.AddDate(0, 0, -1))
	counts := maps.Clone(q.Tokens)
	maps.DeleteFunc(counts, func(day string, _ int64) bool { return day < yesterday })
	return counts
}

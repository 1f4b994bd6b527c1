package wire

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Runs asks for a page of the user's runs, newest first, ended ones included. The first page has all that have not ended.
type Runs struct {
	Header
	Before chat.ListCursor `json:"before,omitempty"` // the Before of the page before; absent: the top
	Limit  int             `json:"limit,omitempty"`  // 1–100, default 20
}

// RunList answers Runs.
type RunList struct {
	Type      Type            `json:"type"`
	RequestID string          `json:"requestId,omitempty"`
	Runs      []RunInfo       `json:"runs"`
	More      bool            `json:"more"`
	Before    chat.ListCursor `json:"before,omitempty"` // with More: where the next page begins
}

// RunInfo is one row of a list of runs. Times are in ms since the epoch.
type RunInfo struct {
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"` // running from its admission on: never admitted
	Agent    string         `json:"agent,omitempty"`
	Created  int64          `json:"created"`
	Started  int64          `json:"started,omitempty"`
	Ended    int64          `json:"ended,omitempty"`
	Attempts int            `json:"attempts"` // workers that took it up; 0: none yet
	Stats    *chat.RunStats `json:"stats,omitempty"`
	Usage    []agui.Usage   `json:"usage,omitempty"`
}

// RunHeader says which messages of a Snapshot or a HistoryPage are a run's, when it began, who answered and what that used.
// The first header is about the first Messages messages, the next one about those behind them.
type RunHeader struct {
	RunID    chat.RunID `json:"runId"`
	Seq      chat.Seq   `json:"seq"`      // of its RUN_STARTED
	Messages int        `json:"messages"` // how many of the frame are its own
	agui.Header
}

// Erase deletes all that the user has, for ever. It is answered with Accepted (state erasing) once that is durable; all
// later requests are refused with CodeErasing, and a Done without a thread follows when everything is erased.
type Erase struct {
	Header
	Confirm bool `json:"confirm"` // true, or it is refused
}

package wire

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Runs requests a page of the user's runs, newest first, ended ones included. The first page has all runs that have not
// ended.
type Runs struct {
	Header
	Before chat.ListCursor `json:"before,omitempty"` // the Before of the previous page; absent: the first page
	Limit  int             `json:"limit,omitempty"`  // 1–100, default 20
}

func decodeRuns(o *object, h Header) *Runs {
	return &Runs{Header: h, Before: o.listCursor("before"), Limit: int(o.integer("limit", 1, maxLimit, optional))}
}

// RunList answers Runs.
type RunList struct {
	Kind
	RequestID string          `json:"requestId,omitempty"`
	Runs      []RunInfo       `json:"runs"`
	More      bool            `json:"more"`
	Before    chat.ListCursor `json:"before,omitempty"` // with More: where the next page begins
}

// RunInfo is one row of a list of runs. Times are in ms since the epoch.
type RunInfo struct {
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"` // running from the admission on: admitted is never sent
	Agent    string         `json:"agent,omitempty"`
	Created  int64          `json:"created"`
	Started  int64          `json:"started,omitempty"`
	Ended    int64          `json:"ended,omitempty"`
	Attempts int            `json:"attempts"` // how many workers have claimed the run
	Stats    *chat.RunStats `json:"stats,omitempty"`
	Usage    []agui.Usage   `json:"usage,omitempty"`
}

// RunHeader is the header of one run in a Snapshot or a HistoryPage: which messages belong to the run, when it began,
// the agent and the usage. The first header counts the frame's first messages, the next header the messages behind
// those.
type RunHeader struct {
	RunID    chat.RunID `json:"runId"`
	Seq      chat.Seq   `json:"seq"`      // of its RUN_STARTED
	Messages int        `json:"messages"` // how many of the frame's messages belong to the run
	agui.Header
}

package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/visible"
)

// Threads requests a page of the user's threads: pinned ones first and archived ones last, and each of these groups in
// the order of last use.
type Threads struct {
	Header
	Before chat.ListCursor `json:"before,omitempty"` // the Before of the previous page; absent: the first page
	Limit  int             `json:"limit,omitempty"`  // 1–100, default 50
}

func decodeThreads(o *object, h Header) *Threads {
	return &Threads{Header: h, Before: o.listCursor("before"), Limit: int(o.integer("limit", 1, maxLimit, optional))}
}

// ThreadList answers Threads.
type ThreadList struct {
	Kind
	RequestID string          `json:"requestId,omitempty"`
	Threads   []ThreadInfo    `json:"threads"`
	More      bool            `json:"more"`
	Before    chat.ListCursor `json:"before,omitempty"` // with More: where the next page begins
}

// ThreadInfo is one row of a thread list.
type ThreadInfo struct {
	ThreadID chat.ThreadID     `json:"threadId"`
	Title    string            `json:"title"`
	Status   chat.ThreadStatus `json:"status"`
	Created  int64             `json:"created"`        // ms since the epoch
	Updated  int64             `json:"updated"`        // ms since the epoch
	Used     int64             `json:"used,omitempty"` // ms: the last admission of a run; absent with Deleted
	Head     chat.Seq          `json:"head"`
	Pinned   bool              `json:"pinned,omitempty"`
	Archived bool              `json:"archived,omitempty"`
	Deleted  bool              `json:"deleted,omitempty"` // the client removes the row; never true in lists

	Interrupted bool `json:"interrupted,omitempty"` // the thread awaits input from a person: interrupts are open
}

// Thread sends the current row of a thread to all of the user's connections. A client drops a row with a lower Updated
// than the row it shows: every change of the thread or of its place in the run queue raises Updated.
type Thread struct {
	Kind
	ThreadInfo
}

// History requests a page of a thread's transcript, older than Before.
type History struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
	Before   chat.Seq      `json:"before,omitempty"` // absent: the newest messages
	Limit    int           `json:"limit,omitempty"`  // about so many messages: 1–100, default 50
}

// Named returns the thread.
func (f *History) Named() Named { return Named{Thread: f.ThreadID} }

func decodeHistory(o *object, h Header) *History {
	return &History{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required)),
		Before: chat.Seq(o.integer("before", 1, maxSeq, optional)),
		Limit:  int(o.integer("limit", 1, maxLimit, optional))}
}

// HistoryPage answers History, oldest message first.
type HistoryPage struct {
	Kind
	RequestID string         `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID  `json:"threadId"`
	Epoch     chat.Epoch     `json:"epoch,omitempty"`
	Messages  []agui.Message `json:"messages"`
	Runs      []RunHeader    `json:"runs"` // of Messages, in order
	More      bool           `json:"more"`
	Before    chat.Seq       `json:"before,omitempty"` // of the request for the next page
}

// Rename gives a thread a title of the user's own, which no later run changes. Done answers it.
type Rename struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
	Title    string        `json:"title"` // 1–200 characters, trimmed, none of them hidden (package visible)
}

// Named returns the thread.
func (f *Rename) Named() Named { return Named{Thread: f.ThreadID} }

func decodeRename(o *object, h Header) *Rename {
	return &Rename{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required)), Title: o.title("title")}
}

// title reads the title of a thread: one line, without white space around it.
func (o *object) title(name string) string {
	s := strings.TrimSpace(o.text(name, required))
	n := utf8.RuneCountInString(s)
	unseen, hides := visible.Hidden(s)
	switch {
	case o.err != nil:
	case chars.Blank(s):
		o.fail(name, "The title is empty; write something.")
	case n > MaxTitle:
		o.fail(name, fmt.Sprintf("The title is %d characters long; send at most %d.", n, MaxTitle))
	case hides:
		o.fail(name,
			fmt.Sprintf("The title has the character U+%04X, which cannot be seen or does not stay in its line; "+
				"leave it out.", unseen))
	}
	return s
}

// Delete deletes a thread. The thread is invisible at once, its runs are cancelled, and its content is erased soon
// after. Done answers it, and answers a repeat within 24 hours too.
type Delete struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
}

// Named returns the thread.
func (f *Delete) Named() Named { return Named{Thread: f.ThreadID} }

func decodeDelete(o *object, h Header) *Delete {
	return &Delete{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required))}
}

// Done answers Rename and Delete: the change is durable. A Done without a thread goes to all of a user's connections
// after an Erase: everything of the user is erased, and the server closes the connections next.
type Done struct {
	Kind
	RequestID string        `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID `json:"threadId,omitempty"`
}

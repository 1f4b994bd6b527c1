package wire

import "carrel/shared/chat"

// MaxTitle is the longest title of a thread, in characters.
const MaxTitle = 200

// Threads asks for a page of the user's threads: pinned ones first and archived ones last, and of each the one used last
// first.
type Threads struct {
	Header
	Before chat.ListCursor `json:"before,omitempty"` // the Before of the page before; absent: the top
	Limit  int             `json:"limit,omitempty"`  // 1–100, default 50
}

// Rename gives a thread the user's own title, which stays for ever. It is answered with Done.
type Rename struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
	Title    string        `json:"title"` // 1–200 characters, trimmed, none of them hidden (package visible)
}

// Delete takes a thread away: it is invisible at once, its runs are cancelled, and its content is erased soon. It is
// answered with Done, a repeat within 24 hours too.
type Delete struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
}

// Thread tells every window of a user how a thread stands now. One that is older (Updated) than what is shown is
// dropped: Updated grows with every change of the row, of the desk too.
type Thread struct {
	Type Type `json:"type"`
	ThreadInfo
}

// ThreadInfo is one row of a thread list.
type ThreadInfo struct {
	ThreadID chat.ThreadID     `json:"threadId"`
	Title    string            `json:"title"`
	Status   chat.ThreadStatus `json:"status"`
	Created  int64             `json:"created"`        // ms since the epoch
	Updated  int64             `json:"updated"`        // ms since the epoch
	Used     int64             `json:"used,omitempty"` // ms since the epoch: the last admission of a run; absent with Deleted
	Head     chat.Seq          `json:"head"`
	Pinned   bool              `json:"pinned,omitempty"`
	Archived bool              `json:"archived,omitempty"`
	Deleted  bool              `json:"deleted,omitempty"` // the row is to go; never true in lists

	Interrupted bool `json:"interrupted,omitempty"` // it waits for a person: interrupts are open
}

// ThreadList answers Threads.
type ThreadList struct {
	Type      Type            `json:"type"`
	RequestID string          `json:"requestId,omitempty"`
	Threads   []ThreadInfo    `json:"threads"`
	More      bool            `json:"more"`
	Before    chat.ListCursor `json:"before,omitempty"` // with More: where the next page begins
}

// Done answers Rename and Delete: the change is durable. Without a thread it goes to all of a user's connections, after
// an Erase: all that the user had is erased, and the connections are closed next.
type Done struct {
	Type      Type          `json:"type"`
	RequestID string        `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID `json:"threadId,omitempty"`
}

package wire

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Hello names the thread that this connection watches, and the last event that the client has applied.
type Hello struct {
	Header
	N        int64         `json:"n"`                  // counts this connection's hellos and runs from 1
	ThreadID chat.ThreadID `json:"threadId,omitempty"` // absent: the thread that the connect allocated
	Cursor   *chat.Cursor  `json:"cursor,omitempty"`
}

// Named returns the thread.
func (f *Hello) Named() Named { return Named{Thread: f.ThreadID} }

func decodeHello(o *object, h Header) *Hello {
	return &Hello{Header: h, N: o.integer("n", 1, maxN, required),
		ThreadID: chat.ThreadID(o.id("threadId", optional)), Cursor: o.cursor("cursor")}
}

// Ready answers a Hello.
type Ready struct {
	Kind
	RequestID    string            `json:"requestId,omitempty"`
	N            int64             `json:"n"`
	ConnectionID chat.ConnectionID `json:"connectionId"`
	ThreadID     chat.ThreadID     `json:"threadId"`
	Epoch        chat.Epoch        `json:"epoch,omitempty"` // absent: the thread does not exist
	Head         chat.Seq          `json:"head"`            // the last event in the log; a lower cursor has a gap
	Recovered    bool              `json:"recovered"`       // the cursor was usable: no snapshot follows
	Active       *RunState         `json:"active,omitempty"`
	Queued       []RunState        `json:"queued"`     // this thread's, in order, with their messages
	Interrupts   []agui.Interrupt  `json:"interrupts"` // the open ones, as of Head
	Limits       Limits            `json:"limits"`
	// Agents are the agents that the user may choose, the default first. They are absent if there is only one.
	Agents []Agent `json:"agents,omitempty"`
	// ReconnectInMs is the time from this frame until the client opens its next socket. It is a duration and not a time
	// of day, because a device's clock may be wrong.
	ReconnectInMs int64 `json:"reconnectInMs"`
}

// Agent is an agent that a run may name.
type Agent struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Limits are the limits for a client's frames and runs.
type Limits struct {
	FrameBytes  int `json:"frameBytes"`
	TextBytes   int `json:"textBytes"`
	Messages    int `json:"messages"`
	Runs        int `json:"runs"`
	Queued      int `json:"queued"`
	Connections int `json:"connections"`
}

// RunState is the state of one run in the user's run queue. Only the queued runs of a Ready have Messages.
type RunState struct {
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"`
	Messages []agui.Message `json:"messages,omitempty"`
}

// Snapshot restates the messages of the runs that have ended. Events follow from Seq + 1.
type Snapshot struct {
	Kind
	N          int64            `json:"n"`
	ThreadID   chat.ThreadID    `json:"threadId"`
	Epoch      chat.Epoch       `json:"epoch"`
	Seq        chat.Seq         `json:"seq"`
	Messages   []agui.Message   `json:"messages"`
	Runs       []RunHeader      `json:"runs"`       // of Messages, in order
	Interrupts []agui.Interrupt `json:"interrupts"` // the open ones, as of Seq
	More       bool             `json:"more"`       // older messages exist: request a History with Before
	Before     chat.Seq         `json:"before,omitempty"`
}

// Ping asks whether the client has missed anything.
type Ping struct {
	Header
	ThreadID chat.ThreadID `json:"threadId,omitempty"`
	Cursor   *chat.Cursor  `json:"cursor,omitempty"`
}

// Named returns the thread.
func (f *Ping) Named() Named { return Named{Thread: f.ThreadID} }

func decodePing(o *object, h Header) *Ping {
	return &Ping{Header: h, ThreadID: chat.ThreadID(o.id("threadId", optional)), Cursor: o.cursor("cursor")}
}

// Pong answers a Ping.
type Pong struct {
	Kind
	RequestID string        `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID `json:"threadId,omitempty"`
	Epoch     chat.Epoch    `json:"epoch,omitempty"`
	Head      chat.Seq      `json:"head,omitempty"`
	Runs      []RunState    `json:"runs"` // all of the user's, running ones first

	Interrupted bool `json:"interrupted,omitempty"` // the thread awaits input from a person
}

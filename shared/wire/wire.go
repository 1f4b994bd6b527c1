// Package wire is the protocol carrel.v1: the JSON frames that a client and the server exchange over one WebSocket.
// docs/protocol.md is its manual. A client's frame is decoded strictly (DecodeClient), a server's leniently
// (DecodeServer), because a newer server may say more than an older client knows.
package wire

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Subprotocol is the WebSocket subprotocol; BearerPrefix begins the one that carries a browser's access token.
const (
	Subprotocol  = "carrel.v1"
	BearerPrefix = "bearer."
)

// Sizes in bytes. MaxFrame is API Gateway's: a longer inbound frame closes the socket, a longer outbound one leaves
// as Parts.
const (
	MaxFrame    = 32 << 10
	MaxText     = 24 << 10 // one message's content; an escaped one must still fit in a frame
	MaxMessages = 8        // new messages of one run
	MaxAnswers  = 20       // to interrupts, of one run
	MaxPayload  = 8 << 10  // of one answer, as JSON without white space
	MaxMetadata = 1 << 10  // of one message, as JSON without white space
	partData    = 22 << 10
)

// Type is the type field of a frame.
type Type string

// The frames of a client.
const (
	TypeHello   Type = "hello"
	TypeRun     Type = "run"
	TypeCancel  Type = "cancel"
	TypeThreads Type = "threads" // also its answer's type
	TypeHistory Type = "history" // also its answer's type
	TypeRename  Type = "rename"
	TypeDelete  Type = "delete"
	TypeRuns    Type = "runs" // also its answer's type
	TypeErase   Type = "erase"
	TypeSignOut Type = "signOut"
	TypePing    Type = "ping"
)

// ClientTypes are the frames of a client, for who must have a case for each.
func ClientTypes() []Type {
	return []Type{TypeHello, TypeRun, TypeCancel, TypeThreads, TypeHistory, TypeRename, TypeDelete, TypeRuns, TypeErase, TypeSignOut, TypePing}
}

// The frames of the server.
const (
	TypeReady    Type = "ready"
	TypeSnapshot Type = "snapshot"
	TypePong     Type = "pong"
	TypeEvents   Type = "events"
	TypeAccepted Type = "accepted"
	TypeRejected Type = "rejected"
	TypeEnded    Type = "ended"
	TypeThread   Type = "thread"
	TypeDone     Type = "done"
	TypeError    Type = "error"
	TypePart     Type = "part"
)

// ClientFrame is one frame of a client: a pointer to Hello, Run, Cancel, Threads, History, Rename, Delete, Runs, Erase,
// SignOut or Ping.
type ClientFrame interface{ Request() Header }

// Header is what every client frame carries.
type Header struct {
	Type      Type   `json:"type"`
	RequestID string `json:"requestId,omitempty"` // 1–128 of an id's characters; repeated in the answer and the error
}

// Request returns the header itself, so that every frame that embeds one is a ClientFrame.
func (h Header) Request() Header { return h }

// Hello says which thread this connection watches and what it has of it.
type Hello struct {
	Header
	N        int64         `json:"n"`                  // counts this connection's hellos and runs from 1
	ThreadID chat.ThreadID `json:"threadId,omitempty"` // absent: the thread that the connect allocated
	Cursor   *chat.Cursor  `json:"cursor,omitempty"`
}

// Run asks for a run. Its thread is created if the user has none of that id.
type Run struct {
	Header
	N        int64          `json:"n"`
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Messages []agui.Message `json:"messages"` // 1–8 new ones, role user: id, role, content, metadata; may be none with Resume
	Agent    string         `json:"agent,omitempty"`
	WhenBusy chat.WhenBusy  `json:"whenBusy,omitempty"`
	Resume   []agui.Resume  `json:"resume,omitempty"` // an answer to each of the thread's open interrupts, 1–20
}

// Cancel ends a run.
type Cancel struct {
	Header
	RunID chat.RunID `json:"runId"`
}

// History asks for a page of a thread's transcript, older than Before.
type History struct {
	Header
	ThreadID chat.ThreadID `json:"threadId"`
	Before   chat.Seq      `json:"before,omitempty"` // absent: the end
	Limit    int           `json:"limit,omitempty"`  // messages, about; 1–100, default 50
}

// Ping asks whether anything was missed.
type Ping struct {
	Header
	ThreadID chat.ThreadID `json:"threadId,omitempty"`
	Cursor   *chat.Cursor  `json:"cursor,omitempty"`
}

// ServerFrame is one frame of the server: a pointer to one of the types below.
type ServerFrame interface{ frame() Type }

// Ready answers a Hello.
type Ready struct {
	Type         Type              `json:"type"`
	RequestID    string            `json:"requestId,omitempty"`
	N            int64             `json:"n"`
	ConnectionID chat.ConnectionID `json:"connectionId"`
	ThreadID     chat.ThreadID     `json:"threadId"`
	Epoch        chat.Epoch        `json:"epoch,omitempty"` // absent: the thread does not exist
	Head         chat.Seq          `json:"head"`            // the last event there is; a cursor short of it has a gap
	Recovered    bool              `json:"recovered"`       // the cursor was usable: no snapshot follows
	Active       *RunState         `json:"active,omitempty"`
	Queued       []RunState        `json:"queued"`     // this thread's, in order, with their messages
	Interrupts   []agui.Interrupt  `json:"interrupts"` // open ones, as of Head
	Limits       Limits            `json:"limits"`
	// ReconnectInMs is how long after this frame the client opens its next socket. It is a duration and no time of day,
	// because a device's clock may be wrong.
	ReconnectInMs int64 `json:"reconnectInMs"`
}

// Limits tells a client what it may send.
type Limits struct {
	FrameBytes  int `json:"frameBytes"`
	TextBytes   int `json:"textBytes"`
	Messages    int `json:"messages"`
	Runs        int `json:"runs"`
	Queued      int `json:"queued"`
	Connections int `json:"connections"`
}

// RunState is one run as the desk sees it. Messages are there only for waiting runs in Ready.
type RunState struct {
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"`
	Messages []agui.Message `json:"messages,omitempty"`
}

// Snapshot restates the messages of the runs that have ended; events follow from Seq + 1.
type Snapshot struct {
	Type       Type             `json:"type"`
	N          int64            `json:"n"`
	ThreadID   chat.ThreadID    `json:"threadId"`
	Epoch      chat.Epoch       `json:"epoch"`
	Seq        chat.Seq         `json:"seq"`
	Messages   []agui.Message   `json:"messages"`
	Runs       []RunHeader      `json:"runs"`       // of Messages, in order
	Interrupts []agui.Interrupt `json:"interrupts"` // open ones, as of Seq
	More       bool             `json:"more"`       // older messages exist: History with Before
	Before     chat.Seq         `json:"before,omitempty"`
}

// Pong answers a Ping.
type Pong struct {
	Type      Type          `json:"type"`
	RequestID string        `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID `json:"threadId,omitempty"`
	Epoch     chat.Epoch    `json:"epoch,omitempty"`
	Head      chat.Seq      `json:"head,omitempty"`
	Runs      []RunState    `json:"runs"` // all of the user's, running first

	Interrupted bool `json:"interrupted,omitempty"` // the thread waits for a person
}

// Events are consecutive events of one run: one log record.
type Events struct {
	Type     Type          `json:"type"`
	ThreadID chat.ThreadID `json:"threadId"`
	Epoch    chat.Epoch    `json:"epoch"`
	Seq      chat.Seq      `json:"seq"` // of the first
	RunID    chat.RunID    `json:"runId"`
	Events   []agui.Event  `json:"events"`
}

// Accepted says that a run, its cancellation or an Erase is durable.
type Accepted struct {
	Type      Type          `json:"type"`
	RequestID string        `json:"requestId,omitempty"`
	RunID     chat.RunID    `json:"runId,omitempty"`    // absent for an Erase
	ThreadID  chat.ThreadID `json:"threadId,omitempty"` // absent for the cancel of an unknown run
	State     string        `json:"state"`              // running, queued; ended for a repeat of a run that has ended; erasing for an Erase
	Position  int           `json:"position,omitempty"` // 1 is the next of the queued runs
}

// Rejected says that a run was not accepted; nothing was stored.
type Rejected struct {
	Type         Type             `json:"type"`
	RequestID    string           `json:"requestId,omitempty"`
	RunID        chat.RunID       `json:"runId"`
	Code         Code             `json:"code"`
	Message      string           `json:"message"`
	Field        string           `json:"field,omitempty"`        // with CodeInterrupted: the wrong part of an answer
	RetryAfterMS int64            `json:"retryAfterMs,omitempty"` // with CodeRateLimited
	Interrupts   []agui.Interrupt `json:"interrupts,omitempty"`   // with CodeInterrupted: those that are open; absent: none is
}

// Ended says that a run ended that never began: it has no events.
type Ended struct {
	Type     Type           `json:"type"`
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"`
}

// HistoryPage answers History, oldest message first.
type HistoryPage struct {
	Type      Type           `json:"type"`
	RequestID string         `json:"requestId,omitempty"`
	ThreadID  chat.ThreadID  `json:"threadId"`
	Epoch     chat.Epoch     `json:"epoch,omitempty"`
	Messages  []agui.Message `json:"messages"`
	Runs      []RunHeader    `json:"runs"` // of Messages, in order
	More      bool           `json:"more"`
	Before    chat.Seq       `json:"before,omitempty"` // what to ask for next
}

// Error refuses a frame; the socket lives on.
type Error struct {
	Type         Type   `json:"type"`
	RequestID    string `json:"requestId,omitempty"`
	Code         Code   `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"` // of the refused frame, as in messages[0].content
	RetryAfterMS int64  `json:"retryAfterMs,omitempty"`
}

// Part is a piece of a frame that is longer than MaxFrame.
type Part struct {
	Type Type   `json:"type"`
	ID   string `json:"id"`
	N    int    `json:"n"`  // from 1
	Of   int    `json:"of"` // how many there are
	Data []byte `json:"data"`
}

// Code is why something was refused.
type Code string

// The codes of Error and Rejected.
const (
	CodeBadFrame     Code = "bad_frame"
	CodeTooLarge     Code = "too_large"
	CodeUnauthorized Code = "unauthorized"
	CodeTokenExpired Code = "token_expired"
	CodeReplaced     Code = "replaced"
	CodeSignedOut    Code = "signed_out" // the session was ended, here or elsewhere
	CodeNotFound     Code = "not_found"
	CodeBusy         Code = "busy"
	CodeInterrupted  Code = "interrupted"
	CodeTooManyRuns  Code = "too_many_runs"
	CodeRateLimited  Code = "rate_limited"
	CodeUnknownAgent Code = "unknown_agent"
	CodeDenied       Code = "denied"
	// CodeReauthenticate refuses an erase: the user must have signed in within the last minutes.
	CodeReauthenticate Code = "reauthenticate"
	CodeErasing        Code = "erasing" // all that the user has is being erased
	CodeInternal       Code = "internal"
)

func (*Ready) frame() Type       { return TypeReady }
func (*Snapshot) frame() Type    { return TypeSnapshot }
func (*Pong) frame() Type        { return TypePong }
func (*Events) frame() Type      { return TypeEvents }
func (*Accepted) frame() Type    { return TypeAccepted }
func (*Rejected) frame() Type    { return TypeRejected }
func (*Ended) frame() Type       { return TypeEnded }
func (*Thread) frame() Type      { return TypeThread }
func (*Done) frame() Type        { return TypeDone }
func (*ThreadList) frame() Type  { return TypeThreads }
func (*HistoryPage) frame() Type { return TypeHistory }
func (*RunList) frame() Type     { return TypeRuns }
func (*Error) frame() Type       { return TypeError }
func (*Part) frame() Type        { return TypePart }

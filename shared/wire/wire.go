// Package wire is the protocol carrel.v1: the JSON frames that a client and the server exchange over one WebSocket.
// docs/protocol.md is its reference. DecodeClient is strict. DecodeServer is lenient, because a newer server may send
// more than an older client knows.
//
// Start with table.go, which has a row for each frame.
package wire

import "carrel/shared/chat"

// Subprotocol is the WebSocket subprotocol. BearerPrefix begins the subprotocol that carries a browser's access token.
const (
	Subprotocol  = "carrel.v1"
	BearerPrefix = "bearer."
)

// Sizes in bytes, and numbers of list entries. MaxFrame is API Gateway's limit: it closes the socket on a longer frame
// of a client, and a longer frame of the server is sent as Parts.
const (
	MaxFrame     = 32 << 10
	MaxText      = 24 << 10 // the content of one message; it must fit in a frame when it is escaped
	MaxMessages  = 8        // new messages of one run
	MaxResponses = 20       // to interrupts, in one run
	MaxPayload   = 8 << 10  // of one response, as JSON without white space
	MaxMetadata  = 1 << 10  // of one message, as JSON without white space
	MaxTitle     = 200      // of a thread, in characters
)

// Type is the type field of a frame.
type Type string

// ClientFrame is one frame of a client: a pointer to a struct that embeds Header and has a row in clientTable.
type ClientFrame interface {
	// Request returns the frame's header.
	Request() Header
	// Named returns the ids in the frame.
	Named() Named
	setType(Type)
}

// Header is the part that all frames of a client have.
type Header struct {
	Type      Type   `json:"type"`
	RequestID string `json:"requestId,omitempty"` // 1–128 characters of an id; the answer or error repeats it
}

// Request returns the header itself, so that every frame that embeds one is a ClientFrame.
func (h Header) Request() Header { return h }

// Named returns nothing: a frame with ids has its own method.
func (h Header) Named() Named { return Named{} }

func (h *Header) setType(t Type) { h.Type = t }

// Named holds the ids in a client's frame, empty where the frame has none. They are correlation ids inside the sender's
// own data, never authority. Records of isolation violations contain their hashes.
type Named struct {
	Thread chat.ThreadID
	Run    chat.RunID
}

// ServerFrame is one frame of the server: a pointer to a struct that embeds Kind and has a row in serverTable.
type ServerFrame interface{ setType(Type) }

// Kind is the type of a server's frame. Encode sets it.
type Kind struct {
	Type Type `json:"type"`
}

func (k *Kind) setType(t Type) { k.Type = t }

// Error refuses a frame. The socket stays open.
type Error struct {
	Kind
	RequestID    string `json:"requestId,omitempty"`
	Code         Code   `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"` // of the refused frame, such as messages[0].content
	RetryAfterMS int64  `json:"retryAfterMs,omitempty"`
}

// Code is the reason for a refusal.
type Code string

// The codes of Error and Rejected.
const (
	CodeBadFrame       Code = "bad_frame"
	CodeTooLarge       Code = "too_large"
	CodeUnauthorized   Code = "unauthorized"
	CodeTokenExpired   Code = "token_expired"
	CodeReplaced       Code = "replaced"
	CodeSignedOut      Code = "signed_out" // the session was ended, on this device or another one
	CodeNotFound       Code = "not_found"
	CodeBusy           Code = "busy"
	CodeInterrupted    Code = "interrupted"
	CodeTooManyRuns    Code = "too_many_runs"
	CodeRateLimited    Code = "rate_limited"
	CodeBudgetReached  Code = "budget_reached" // the user's runs have used the tokens of the day
	CodeUnknownAgent   Code = "unknown_agent"
	CodeDenied         Code = "denied"
	CodeReauthenticate Code = "reauthenticate" // of an erase: the user must have signed in within the last minutes
	CodeErasing        Code = "erasing"        // the user's data is being erased
	CodeInternal       Code = "internal"
)

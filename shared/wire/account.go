package wire

// Erase deletes everything of the user, for ever. An Accepted with the state erasing answers it once that is durable.
// The server refuses all later requests with CodeErasing, and sends a Done without a thread when everything is erased.
type Erase struct {
	Header
	Confirm bool `json:"confirm"` // must be true
}

func decodeErase(o *object, h Header) *Erase {
	return &Erase{Header: h, Confirm: o.confirmed("confirm", "everything is erased for ever.")}
}

// SignOut ends all sessions of the user, on every device. The server sends each connection an Error with CodeSignedOut
// and closes it; for the sender that is the answer. Only a later sign-in can connect again.
type SignOut struct {
	Header
	Everywhere bool `json:"everywhere"`           // must be true
	CancelRuns bool `json:"cancelRuns,omitempty"` // also cancel the user's running and queued runs
}

func decodeSignOut(o *object, h Header) *SignOut {
	return &SignOut{Header: h, Everywhere: o.confirmed("everywhere", "every session of yours is ended."),
		CancelRuns: o.boolean("cancelRuns")}
}

// LastFrame returns the notice that ends a connection, with CodeReplaced or CodeSignedOut. It has no data of the user.
func LastFrame(code Code) *Error {
	if code == CodeSignedOut {
		return &Error{Code: code, Message: "You were signed out. Sign in again."}
	}
	return &Error{Code: CodeReplaced,
		Message: "This window was disconnected because too many are open. Use it again to reconnect."}
}

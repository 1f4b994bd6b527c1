package wire

// SignOut ends all sessions of the user, on every device. Each connection is sent an Error with CodeSignedOut and closed;
// for the sender that is the answer. Only a later sign-in can connect again.
type SignOut struct {
	Header
	Everywhere bool `json:"everywhere"`           // true, or it is refused
	CancelRuns bool `json:"cancelRuns,omitempty"` // the runs that run or wait are cancelled
}

// LastFrame is the notice that ends a connection: of CodeReplaced or CodeSignedOut. It holds nothing of the user's.
func LastFrame(code Code) *Error {
	if code == CodeSignedOut {
		return &Error{Code: code, Message: "You were signed out. Sign in again."}
	}
	return &Error{Code: CodeReplaced, Message: "This window was disconnected because too many are open. Use it again to reconnect."}
}

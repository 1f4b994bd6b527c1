package client

import (
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// stateErasing is the state of the accepted that answers an erase.
const stateErasing = "erasing"

const beingErased = "All that you have here is being erased."

// eraseAccepted takes the answer to an erase: from now on the server refuses everything, so nothing more is sent.
func (v *View) eraseAccepted(f *wire.Accepted) {
	v.requests.answer("erase", "", f.RequestID)
	v.erasing, v.wanted, v.handover = true, false, nil
	v.dropRequests(Notice{Code: wire.CodeErasing, Message: beingErased})
	v.answered()
}

// checkErasing refuses what would be sent while an erase is under way, or after the sessions were ended.
func (v *View) checkErasing() error {
	if v.status == SignedOut {
		return &Refused{Code: wire.CodeSignedOut, Message: wire.LastFrame(wire.CodeSignedOut).Message}
	}
	if v.erasing && v.status != Erasing {
		return &Refused{Code: wire.CodeErasing, Message: beingErased}
	}
	return nil
}

// eraseDone takes the news that everything is erased.
func (v *View) eraseDone() {
	v.erased = true
	v.list = map[chat.ThreadID]wire.ThreadInfo{}
	v.open = v.newThread(v.open.id)
	v.threads = map[chat.ThreadID]*thread{v.open.id: v.open}
	v.close(Erasing, Notice{Code: wire.CodeErasing, Message: "All that you had here is erased."})
}

// eraseRefused takes a refusal because all is being erased.
func (v *View) eraseRefused(n Notice) {
	if !v.erasing { // else it is known, and the done still to come
		v.notice(n)
		v.close(Erasing, n)
	}
}

// close gives the socket up for good, or until a person acts.
func (v *View) close(status Status, n Notice) {
	v.dropRequests(n)
	v.socket = socket{}
	v.status, v.wanted, v.handover = status, false, nil
	v.actions = Actions{Close: true}
}

// dropRequests refuses what has no answer.
func (v *View) dropRequests(n Notice) {
	for _, a := range v.requests.calls {
		a.answered, a.refused = true, &wire.Error{Code: n.Code, Message: n.Message}
	}
	for _, r := range v.requests.runs {
		v.withdraw(r.id)
	}
	v.requests = requests{}
	v.socket.wantHello = false
}

// signedOut takes the news that the sessions were ended. A sign-out that was asked for here has its answer so, and all else
// will have none.
func (v *View) signedOut(f *wire.Error) {
	n := Notice{Code: f.Code, Message: f.Message}
	v.requests.answer("signOut", "", "signOut")
	v.notice(n)
	v.erasing = false
	v.close(SignedOut, n)
}

// Status is how a view stands to the server.
type Status string

// The statuses of a view.
const (
	Connecting Status = "connecting" // no ready yet on this socket
	Ready      Status = "ready"
	Lost       Status = "lost"      // no socket; one is wanted
	Replaced   Status = "replaced"  // closed by the server for a newer one; none is wanted until a person acts
	Erasing    Status = "erasing"   // all that the user has is being erased, or is; none is wanted until a person acts
	SignedOut  Status = "signedOut" // the user's sessions were ended; none is wanted any more: the next sign-in makes another view
)

// act is a person's doing: it ends the silence of a client that was replaced or whose user is being erased.
func (v *View) act() {
	if v.status == Replaced || v.status == Erasing {
		v.erasing, v.erased = false, false
		v.status, v.attempt = Lost, 0
		v.connect(0)
	}
}

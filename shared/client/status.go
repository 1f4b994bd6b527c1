package client

import (
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// stateErasing is the State of the accepted frame that answers an erase.
const stateErasing = "erasing"

const beingErased = "All that you have here is being erased."

// eraseAccepted handles the answer to an erase. The server refuses everything from then on, so the view sends nothing
// more.
func (v *View) eraseAccepted(f *wire.Accepted) {
	v.requests.answer("erase", "", f.RequestID)
	v.erasing, v.wanted, v.handover = true, false, nil
	v.dropRequests(Notice{Code: wire.CodeErasing, Message: beingErased})
	v.answered()
}

// checkErasing refuses a request that the server would refuse: during an erase, or after the sessions were ended.
func (v *View) checkErasing() error {
	if v.status == SignedOut {
		return &Refused{Code: wire.CodeSignedOut, Message: wire.LastFrame(wire.CodeSignedOut).Message}
	}
	if v.erasing && v.status != Erasing {
		return &Refused{Code: wire.CodeErasing, Message: beingErased}
	}
	return nil
}

// eraseDone handles the done of an erase: everything is erased.
func (v *View) eraseDone() {
	v.erased = true
	v.list = map[chat.ThreadID]wire.ThreadInfo{}
	v.open = v.newThread(v.open.id)
	v.threads = map[chat.ThreadID]*thread{v.open.id: v.open}
	v.close(Erasing, Notice{Code: wire.CodeErasing, Message: "All that you had here is erased."})
}

// eraseRefused handles a refusal because everything is being erased.
func (v *View) eraseRefused(n Notice) {
	if !v.erasing { // else the done is still to come
		v.notice(n)
		v.close(Erasing, n)
	}
}

// close ends the connection for good, or until a person acts. The status Erasing answers an erase of this view: the
// user is marked. The accepted may come later, because several functions post to one socket at once.
func (v *View) close(status Status, n Notice) {
	if status == Erasing {
		v.requests.answer("erase", "", "erase")
	}
	v.dropRequests(n)
	v.socket = socket{}
	v.status, v.wanted, v.handover = status, false, nil
	v.actions = Actions{Close: true}
}

// dropRequests refuses all requests without an answer.
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

// signedOut handles the end of the user's sessions. It answers a signOut of this client; all other requests stay
// unanswered.
func (v *View) signedOut(f *wire.Error) {
	n := Notice{Code: f.Code, Message: f.Message}
	v.requests.answer("signOut", "", "signOut")
	v.notice(n)
	v.erasing = false
	v.close(SignedOut, n)
}

// Status is the state of a view's connection.
type Status string

// The statuses of a view.
const (
	Connecting Status = "connecting" // no ready yet on this socket
	Ready      Status = "ready"
	Lost       Status = "lost"      // no socket; the view wants one
	Replaced   Status = "replaced"  // the server closed it for a newer connection; no socket until a person acts
	Erasing    Status = "erasing"   // the user is being erased, or is erased; no socket until a person acts
	SignedOut  Status = "signedOut" // the sessions were ended: the next sign-in makes another view
)

// act runs before each act of a person. A client that was replaced, or whose user was being erased, connects again
// then.
func (v *View) act() {
	if v.status == Replaced || v.status == Erasing {
		v.erasing, v.erased = false, false
		v.status, v.attempt = Lost, 0
		v.connect(0)
	}
}

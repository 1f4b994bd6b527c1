package lasthop

import (
	"crypto/rand"
	"sync"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Frame is a server frame with its audience. It is encoded once, however many connections receive it.
type Frame struct {
	frame    wire.ServerFrame
	audience audience

	once     sync.Once
	messages [][]byte
	err      error
}

// audience says which connections may receive a frame.
type audience struct {
	thread  chat.ThreadID // connections that watch this thread; "": all
	reply   bool          // the frame answers a frame of the connection, which need not have said hello
	expired bool          // the frame says that the token has expired, so the token may be
}

// NewFrame returns a frame that is not an answer. Events and Ended are for the connections that watch their
// thread, every other frame is for all connections of the user.
func NewFrame(f wire.ServerFrame) *Frame {
	var thread chat.ThreadID
	switch f := f.(type) {
	case *wire.Events:
		thread = f.ThreadID
	case *wire.Ended:
		thread = f.ThreadID
	}
	return &Frame{frame: f, audience: audience{thread: thread}}
}

// NewReply returns a frame that answers a frame of a connection. If thread is set, the connection receives it only
// while it watches that thread. The error token_expired is the one reply that is posted although the token has expired.
func NewReply(f wire.ServerFrame, thread chat.ThreadID) *Frame {
	e, isError := f.(*wire.Error)
	expired := isError && e.Code == wire.CodeTokenExpired
	return &Frame{frame: f, audience: audience{thread: thread, reply: true, expired: expired}}
}

// Thread returns the thread whose watchers alone receive the frame; "" if all connections do.
func (f *Frame) Thread() chat.ThreadID { return f.audience.thread }

// encoded returns the messages that make up the frame.
func (f *Frame) encoded() ([][]byte, error) {
	f.once.Do(func() { f.messages, f.err = wire.Encode(f.frame, rand.Text()) })
	return f.messages, f.err
}

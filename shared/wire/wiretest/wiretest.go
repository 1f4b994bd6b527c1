// Package wiretest makes one valid frame of each type that a client may send. The attacks of infra/audit, the isolation
// tests of functions/message and the fuzz seeds of shared/wire are all made of these frames, so a new type is attacked
// as soon as it has a frame here.
package wiretest

import (
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Values are what the frames contain. A frame leaves out an optional field whose value is zero.
type Values struct {
	RequestID     string
	N             int64
	Thread        chat.ThreadID
	Epoch         chat.Epoch
	Run           chat.RunID // of a Cancel
	NewRun        chat.RunID // of a Run
	Message       string     // id of the Run's message
	Text          string     // of the Run's message
	Title         string
	Agent         string
	WhenBusy      chat.WhenBusy
	Resume        []agui.Resume
	ThreadsBefore chat.ListCursor
	RunsBefore    chat.ListCursor
	Before        chat.Seq
	Limit         int
}

// Frames returns one frame of each type in the order of wire.ClientTypes. It fails the test if a type has no frame, or
// if the server would refuse one.
func Frames(tb testing.TB, v Values) []wire.ClientFrame {
	tb.Helper()
	byType := map[wire.Type]wire.ClientFrame{}
	for _, f := range frames(v) {
		data, err := wire.EncodeClient(f)
		if err != nil {
			tb.Fatal(err)
		}
		decoded, bad := wire.DecodeClient(data)
		if bad != nil {
			tb.Fatalf("%s: %s", data, bad.Message)
		}
		byType[decoded.Request().Type] = decoded
	}
	var all []wire.ClientFrame
	for _, t := range wire.ClientTypes() {
		if byType[t] == nil {
			tb.Fatalf("shared/wire/wiretest has no frame of type %s: add one to frames, with every field set", t)
		}
		all = append(all, byType[t])
	}
	return all
}

// Encoded returns the frames of Frames as they are sent, by type.
func Encoded(tb testing.TB, v Values) map[wire.Type][]byte {
	tb.Helper()
	encoded := map[wire.Type][]byte{}
	for _, f := range Frames(tb, v) {
		data, err := wire.EncodeClient(f)
		if err != nil {
			tb.Fatal(err)
		}
		encoded[f.Request().Type] = data
	}
	return encoded
}

func frames(v Values) []wire.ClientFrame {
	h := wire.Header{RequestID: v.RequestID}
	cursor := &chat.Cursor{Epoch: v.Epoch, Seq: 1}
	return []wire.ClientFrame{
		&wire.Hello{Header: h, N: v.N, ThreadID: v.Thread, Cursor: cursor},
		&wire.Run{Header: h, N: v.N, RunID: v.NewRun, ThreadID: v.Thread, Agent: v.Agent, WhenBusy: v.WhenBusy,
			Messages: []agui.Message{{ID: v.Message, Role: agui.RoleUser, Content: v.Text}}, Resume: v.Resume},
		&wire.Cancel{Header: h, RunID: v.Run},
		&wire.Threads{Header: h, Before: v.ThreadsBefore, Limit: v.Limit},
		&wire.History{Header: h, ThreadID: v.Thread, Before: v.Before, Limit: v.Limit},
		&wire.Rename{Header: h, ThreadID: v.Thread, Title: v.Title},
		&wire.Delete{Header: h, ThreadID: v.Thread},
		&wire.Runs{Header: h, Before: v.RunsBefore, Limit: v.Limit},
		&wire.Ping{Header: h, ThreadID: v.Thread, Cursor: cursor},
		&wire.SignOut{Header: h, Everywhere: true, CancelRuns: true},
		&wire.Erase{Header: h, Confirm: true},
	}
}

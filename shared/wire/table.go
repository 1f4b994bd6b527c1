package wire

import "fmt"

// The types of a client's frames.
const (
	TypeHello   Type = "hello"
	TypeRun     Type = "run"
	TypeCancel  Type = "cancel"
	TypeThreads Type = "threads" // also the type of its answer
	TypeHistory Type = "history" // also the type of its answer
	TypeRename  Type = "rename"
	TypeDelete  Type = "delete"
	TypeRuns    Type = "runs" // also the type of its answer
	TypeErase   Type = "erase"
	TypeSignOut Type = "signOut"
	TypePing    Type = "ping"
)

// The types of the server's frames, beside those of the lists above.
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

// clientRow is one frame of a client in the table: how it is decoded, and how its type is set.
type clientRow struct {
	typ    Type
	decode func(*object, Header) ClientFrame
	typed  func(ClientFrame) ClientFrame // a copy of the frame with its type set; nil for a frame of another Go type
}

// serverRow is one frame of the server in the table.
type serverRow struct {
	typ   Type
	empty func() ServerFrame
	typed func(ServerFrame) ServerFrame // a copy with its type set and no nil list; nil for another Go type
}

// clientTable has a row for each frame of a client. Encoding, decoding, ClientTypes and the examples of package
// wiretest follow it; so do the handlers of functions/message and the attacks, whose tests name the row that they lack.
func clientTable() []clientRow {
	return []clientRow{
		clientFrame(TypeHello, decodeHello),
		clientFrame(TypeRun, decodeRun),
		clientFrame(TypeCancel, decodeCancel),
		clientFrame(TypeThreads, decodeThreads),
		clientFrame(TypeHistory, decodeHistory),
		clientFrame(TypeRename, decodeRename),
		clientFrame(TypeDelete, decodeDelete),
		clientFrame(TypeRuns, decodeRuns),
		clientFrame(TypeErase, decodeErase),
		clientFrame(TypeSignOut, decodeSignOut),
		clientFrame(TypePing, decodePing),
	}
}

// serverTable has a row for each frame of the server. The function of a row replaces the frame's nil lists by empty
// ones: absent means absent, never null.
func serverTable() []serverRow {
	return []serverRow{
		serverFrame(TypeReady, func(f *Ready) { f.Queued, f.Interrupts = list(f.Queued), list(f.Interrupts) }),
		serverFrame(TypeSnapshot, func(f *Snapshot) {
			f.Messages, f.Runs, f.Interrupts = list(f.Messages), list(f.Runs), list(f.Interrupts)
		}),
		serverFrame(TypePong, func(f *Pong) { f.Runs = list(f.Runs) }),
		serverFrame(TypeEvents, func(f *Events) { f.Events = shown(list(f.Events)) }),
		serverFrame(TypeAccepted, func(*Accepted) {}),
		serverFrame(TypeRejected, func(*Rejected) {}),
		serverFrame(TypeEnded, func(*Ended) {}),
		serverFrame(TypeThread, func(*Thread) {}),
		serverFrame(TypeDone, func(*Done) {}),
		serverFrame(TypeThreads, func(f *ThreadList) { f.Threads = list(f.Threads) }),
		serverFrame(TypeHistory, func(f *HistoryPage) { f.Messages, f.Runs = list(f.Messages), list(f.Runs) }),
		serverFrame(TypeRuns, func(f *RunList) { f.Runs = list(f.Runs) }),
		serverFrame(TypeError, func(*Error) {}),
		serverFrame(TypePart, func(f *Part) { f.Data = list(f.Data) }),
	}
}

// ClientTypes returns the type of each frame of a client, in the order of the table.
func ClientTypes() []Type {
	var types []Type
	for _, row := range clientTable() {
		types = append(types, row.typ)
	}
	return types
}

// ServerTypes returns the type of each frame of the server, in the order of the table.
func ServerTypes() []Type {
	var types []Type
	for _, row := range serverTable() {
		types = append(types, row.typ)
	}
	return types
}

// clientFrame makes the row of the frame F.
func clientFrame[F any, P interface {
	*F
	ClientFrame
}](t Type, decode func(*object, Header) P) clientRow {
	return clientRow{
		typ:    t,
		decode: func(o *object, h Header) ClientFrame { return decode(o, h) },
		typed: func(f ClientFrame) ClientFrame {
			frame, ok := f.(P)
			if !ok {
				return nil
			}
			c := P(new(*frame))
			c.setType(t)
			return c
		},
	}
}

// serverFrame makes the row of the frame F.
func serverFrame[F any, P interface {
	*F
	ServerFrame
}](t Type, normalise func(P)) serverRow {
	return serverRow{
		typ:   t,
		empty: func() ServerFrame { return P(new(F)) },
		typed: func(f ServerFrame) ServerFrame {
			frame, ok := f.(P)
			if !ok {
				return nil
			}
			c := P(new(*frame))
			c.setType(t)
			normalise(c)
			return c
		},
	}
}

// typedClient returns a copy of the frame with its type set: the caller's frame may be in use elsewhere.
func typedClient(f ClientFrame) (ClientFrame, error) {
	for _, row := range clientTable() {
		if c := row.typed(f); c != nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("wire: encode %T: it has no row in clientTable", f)
}

// typedServer returns a copy of the frame with its type set and no nil list. The copy is shallow: what the frame points
// to is only read.
func typedServer(f ServerFrame) (Type, ServerFrame, error) {
	for _, row := range serverTable() {
		if c := row.typed(f); c != nil {
			return row.typ, c, nil
		}
	}
	return "", nil, fmt.Errorf("wire: encode %T: it has no row in serverTable", f)
}

// newServerFrame returns an empty frame of a type, or nil for an unknown type.
func newServerFrame(t Type) ServerFrame {
	for _, row := range serverTable() {
		if row.typ == t {
			return row.empty()
		}
	}
	return nil
}

// list returns the slice, or an empty one for nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

package faults_test

import (
	"encoding/json"

	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// resumer is a raw socket that resumes threads.
type resumer struct {
	*testkit.Raw
	g *testkit.Env
}

// openResumer opens a socket that has sent nothing yet.
func openResumer(g *testkit.Env, u *testkit.User) resumer {
	g.Helper()
	return resumer{testkit.OpenRaw(g.T, g.Ctx, g.Endpoints(), u.Name), g}
}

// resumed is what a hello brought, up to the head that its ready frame names.
type resumed struct {
	*wire.Ready
	snapshot *wire.Snapshot
	events   map[chat.Seq]json.RawMessage
}

// hello opens a thread with a cursor and reads all that is sent of it. An event that is sent twice fails the test.
func (r resumer) hello(thread chat.ThreadID, c *chat.Cursor) resumed {
	r.g.Helper()
	hello, err := wire.EncodeClient(&wire.Hello{N: r.N + 1, ThreadID: thread, Cursor: c})
	if err != nil {
		r.g.Fatal(err)
	}
	r.N++
	r.MustSend(r.g.T, r.g.Ctx, string(hello))
	got, last := resumed{events: map[chat.Seq]json.RawMessage{}}, chat.Seq(0)
	if c != nil {
		last = c.Seq
	}
	for got.Ready == nil || !got.Recovered && got.snapshot == nil && got.Epoch != "" || last < got.Head {
		frame, err := r.Read(r.g.Ctx)
		if err != nil {
			r.g.Fatalf("resume thread %s: %v", thread, err)
		}
		f, err := wire.DecodeServer(frame)
		if err != nil {
			r.g.Fatalf("resume thread %s: %.300q: %v", thread, frame, err)
		}
		switch f := f.(type) {
		case *wire.Ready:
			if f.N == r.N {
				got.Ready = f
			}
			if !f.Recovered {
				last = 0 // the cursor is of no use
			}
		case *wire.Snapshot:
			got.snapshot, last = f, max(last, f.Seq)
		case *wire.Events:
			got.add(r.g, f, frame)
			last = max(last, f.Seq+chat.Seq(len(f.Events))-1)
		}
	}
	return got
}

// add keeps the events of a frame as the bytes that they were sent in.
func (got resumed) add(g *testkit.Env, f *wire.Events, frame []byte) {
	g.Helper()
	raw, err := testkit.RawEvents(frame)
	if err != nil {
		g.Fatal(err)
	}
	for i, e := range raw {
		seq := f.Seq + chat.Seq(i)
		if got.events[seq] != nil {
			g.Fatalf("event %d was sent twice", seq)
		}
		got.events[seq] = e
	}
}

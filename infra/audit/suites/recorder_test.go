package suites_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// recorder checks all that is sent to the windows of a suite, message by message. It keeps hashes of events and no
// messages, so that it can check a million events.
type recorder struct {
	s    *suite
	seed maphash.Seed

	sockets, frames, bytes     atomic.Int64
	events, different, repeats atomic.Int64 // received by their owners' windows, for the first time by any, and again
	marked                     atomic.Int64 // events with their owner's secret
	foreign, differ, missing   atomic.Int64
	problems                   atomic.Int64

	mu      sync.Mutex
	threads map[chat.ThreadID]*threadHashes
}

// threadHashes is a thread: its owner, and the hashes of its events as they were sent first.
type threadHashes struct {
	owner *testkit.User

	mu     sync.Mutex
	epoch  chat.Epoch
	hashes []uint64 // by sequence number, from 1; 0: not sent yet
}

func newRecorder(s *suite) *recorder {
	r := &recorder{s: s, seed: maphash.MakeSeed(), threads: map[chat.ThreadID]*threadHashes{}}
	for _, u := range s.users {
		for _, id := range u.Threads {
			r.threads[id] = &threadHashes{owner: u}
		}
	}
	return r
}

// newThread returns a new thread of a user.
func (r *recorder) newThread(u *testkit.User) chat.ThreadID {
	id := testkit.NewThread()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.threads[id] = &threadHashes{owner: u}
	return id
}

func (r *recorder) thread(id chat.ThreadID) *threadHashes {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.threads[id]
}

// window is one window of a user: a real client, and which events were sent to it.
type window struct {
	*client.Client
	r    *recorder
	user *testkit.User

	mu       sync.Mutex
	joiner   wire.Joiner
	received map[chat.ThreadID]*receivedThread
	opened   map[chat.ThreadID]bool
}

// receivedThread records the events of one thread that were sent to a window.
type receivedThread struct {
	got      []bool // by sequence number, from 1
	count    int
	snapshot chat.Seq        // the last event that a snapshot covers
	end      chat.Seq        // the last end of a run
	halfAt   int             // half fires after so many events
	half     *testkit.Signal // fires in the middle of a run
	complete *testkit.Signal // fires when all events up to the end were sent
}

func (w *window) thread(id chat.ThreadID) *receivedThread {
	t := w.received[id]
	if t == nil {
		t = &receivedThread{half: testkit.NewSignal(), complete: testkit.NewSignal()}
		w.received[id] = t
	}
	return t
}

// expect returns what the window is sent of a thread. Its signal half fires after so many events.
func (w *window) expect(id chat.ThreadID, half int) *receivedThread {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.thread(id)
	t.halfAt = half
	return t
}

// open opens a window with a new client, as a page that is loaded.
func (r *recorder) open(ctx context.Context, u *testkit.User, thread chat.ThreadID) (*window, error) {
	w := &window{r: r, user: u, received: map[chat.ThreadID]*receivedThread{},
		opened: map[chat.ThreadID]bool{thread: true}}
	var err error
	w.Client, err = client.Dial(ctx, client.Config{URL: r.s.Endpoints().WebSocket, Thread: thread, OnFrame: w.receive,
		Token: func(ctx context.Context) (string, error) {
			r.sockets.Add(1)
			w.mu.Lock()
			w.joiner = wire.Joiner{} // the remaining parts of the last socket are never sent
			w.mu.Unlock()
			return testkit.SignIn(ctx, r.s.Endpoints(), url.Values{"user": {u.Name}})
		}})
	if err != nil {
		return nil, err
	}
	r.s.Cleanup(w.Close)
	return w, nil
}

// Open opens a thread: a window may be sent events only of threads that it has opened.
func (w *window) Open(id chat.ThreadID) error {
	w.mu.Lock()
	w.opened[id] = true
	w.mu.Unlock()
	return w.Client.Open(id)
}

// receive checks one message.
func (w *window) receive(m []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.frames.Add(1)
	w.r.bytes.Add(int64(len(m)))
	w.check(m)
}

func (w *window) check(m []byte) {
	if secret := foreignSecret(m, w.user.Secret); secret != "" {
		w.foreign("the secret %s", secret)
	}
	var f struct {
		Type     wire.Type
		ThreadID chat.ThreadID
		Epoch    chat.Epoch
		Seq      chat.Seq
		Events   []json.RawMessage
	}
	if err := json.Unmarshal(m, &f); err != nil {
		w.r.problem("%s was sent %.300q: %v", w.user.Name, m, err)
		return
	}
	var t *threadHashes
	if f.ThreadID != "" {
		if t = w.r.thread(f.ThreadID); t == nil || t.owner != w.user {
			w.foreign("thread %s: %.300s", f.ThreadID, m)
			return
		}
	}
	switch f.Type {
	case wire.TypePart:
		w.join(m)
	case wire.TypeSnapshot:
		received := w.thread(f.ThreadID)
		received.snapshot = max(received.snapshot, f.Seq)
	case wire.TypeEvents:
		if t == nil || !w.opened[f.ThreadID] {
			w.foreign("events of a thread that it has not opened: %.300s", m)
			return
		}
		received := w.thread(f.ThreadID)
		for i, raw := range f.Events {
			w.addEvent(t, received, f.Epoch, f.Seq+chat.Seq(i), raw)
		}
		received.signal()
	}
}

// join joins a part, and checks the frame if it is complete.
func (w *window) join(m []byte) {
	part, err := wire.DecodeServer(m)
	if err != nil {
		w.r.problem("%s was sent %.300q: %v", w.user.Name, m, err)
		return
	}
	frame, err := w.joiner.Add(part.(*wire.Part))
	if err != nil {
		w.r.problem("%s was sent a part that does not fit: %v", w.user.Name, err)
	}
	if frame != nil {
		w.check(frame)
	}
}

// addEvent records one event, and checks that all windows are sent the same event with this number.
func (w *window) addEvent(t *threadHashes, received *receivedThread, epoch chat.Epoch, seq chat.Seq, raw []byte) {
	if bytes.Contains(raw, []byte(w.user.Secret)) {
		w.r.marked.Add(1)
	}
	isNew, same := t.record(epoch, seq, maphash.Bytes(w.r.seed, raw))
	if isNew {
		w.r.different.Add(1)
	}
	if !same {
		w.r.differ.Add(1)
		w.r.problem("%s was sent an event %d that differs from what another window was sent: %.300s", w.user.Name, seq,
			raw)
	}
	for len(received.got) < int(seq) {
		received.got = append(received.got, make([]bool, max(64, int(seq)-len(received.got)))...)
	}
	if received.got[seq-1] {
		w.r.repeats.Add(1)
		return
	}
	received.got[seq-1] = true
	received.count++
	w.r.events.Add(1)
	if bytes.Contains(raw, []byte(`"RUN_FINISHED"`)) || bytes.Contains(raw, []byte(`"RUN_ERROR"`)) {
		received.end = max(received.end, seq)
	}
}

// signal fires the signals that are due.
func (t *receivedThread) signal() {
	if t.count > t.halfAt {
		t.half.Fire()
	}
	if t.end > 0 && t.count == int(t.end) {
		t.complete.Fire()
	}
}

// gaps counts the events of a thread that were neither sent to a window nor covered by a snapshot.
func (w *window) gaps(id chat.ThreadID, head chat.Seq) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.thread(id)
	for seq := t.snapshot + 1; seq <= head; seq++ {
		if int(seq) > len(t.got) || !t.got[seq-1] {
			n++
		}
	}
	w.r.missing.Add(int64(n))
	return n
}

func (w *window) foreign(format string, args ...any) {
	w.r.foreign.Add(1)
	w.r.problem("%s was sent something of another user: %s", w.user.Name, fmt.Sprintf(format, args...))
}

// problem fails the test, for the first few problems, and stops all windows: the last messages are near the cause.
func (r *recorder) problem(format string, args ...any) {
	if r.problems.Add(1) <= 5 {
		r.s.Errorf(format, args...)
	}
	r.s.stop()
}

// record records an event, or compares it with the event that was sent before with this number.
func (t *threadHashes) record(epoch chat.Epoch, seq chat.Seq, hash uint64) (isNew, same bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epoch == "" {
		t.epoch = epoch
	}
	for len(t.hashes) < int(seq) {
		t.hashes = append(t.hashes, make([]uint64, max(64, int(seq)-len(t.hashes)))...)
	}
	had := t.hashes[seq-1]
	t.hashes[seq-1] = hash
	return had == 0, t.epoch == epoch && (had == 0 || had == hash)
}

// foreignSecret returns a secret in a message that is not the owner's, or "". If the end of the message cuts a secret
// off, its beginning counts.
func foreignSecret(m []byte, own string) string {
	for {
		at := bytes.Index(m, []byte("secret-"))
		if at < 0 {
			return ""
		}
		m = m[at:]
		if found := string(m[:min(len(own), len(m))]); !strings.HasPrefix(own, found) {
			return found
		}
		m = m[len("secret-"):]
	}
}

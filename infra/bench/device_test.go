package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// patience bounds every wait: only a deadlock or a dead machine takes that long.
const patience = 2 * time.Minute

// startStack starts the repository's own template with an empty table until the test ends.
func startStack(t testing.TB, c stack.Config) *stack.Stack {
	t.Helper()
	return new(testkit.Kit).Start(t, c)
}

// device is one socket of one user on one thread. It checks that the thread's events arrive in their order, each once,
// and no events of another thread. Only one goroutine at a time may use it.
type device struct {
	conn   *websocket.Conn
	thread chat.ThreadID
	n      int       // hellos and runs
	frames int       // that have arrived
	last   []byte    // frame
	at     time.Time // of its arrival

	joiner wire.Joiner
	epoch  chat.Epoch
	head   chat.Seq // of the thread, as the last ready says
	next   chat.Seq // of the next event; 0 before the first one
	words  []string // of the text since the last run began
}

// await reads until a frame contains one of the words, and returns that word.
func (d *device) await(ctx context.Context, words ...string) (string, error) {
	for {
		_, m, err := d.conn.Read(ctx)
		if err != nil {
			return "", err
		}
		d.frames++
		d.last, d.at = m, time.Now()
		if err := d.check(m); err != nil {
			return "", err
		}
		for _, w := range words {
			if bytes.Contains(m, []byte(w)) {
				return w, nil
			}
		}
		if bytes.Contains(m, []byte(`"type":"rejected"`)) {
			return "", fmt.Errorf("refused: %s", m)
		}
	}
}

// check returns an error if a message is lost, repeated or foreign.
func (d *device) check(m []byte) error {
	f, _, err := testkit.Decode(&d.joiner, m)
	if err != nil {
		return fmt.Errorf("decode %.200q: %w", m, err)
	}
	if ready, ok := f.(*wire.Ready); ok {
		d.head = ready.Head
	}
	e, ok := f.(*wire.Events)
	if !ok {
		return nil
	}
	if e.ThreadID != d.thread || d.next > 0 && (e.Epoch != d.epoch || e.Seq != d.next) {
		return fmt.Errorf("event %d of thread %s, epoch %s, arrived instead of event %d of %s, epoch %s", e.Seq,
			e.ThreadID, e.Epoch, d.next, d.thread, d.epoch)
	}
	d.epoch, d.next = e.Epoch, e.Seq+chat.Seq(len(e.Events))
	for _, ev := range e.Events {
		switch ev.Type {
		case agui.RunStarted:
			d.words = nil
		case agui.TextMessageContent:
			d.words = append(d.words, strings.Fields(ev.Delta)...)
		}
	}
	return nil
}

// open connects a device of a user and lets it watch a thread.
func open(t testing.TB, e stack.Endpoints, user string, thread chat.ThreadID) *device {
	t.Helper()
	d := &device{conn: dial(t, e, user), thread: thread}
	if err := d.hello(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return d
}

func dial(b testing.TB, e stack.Endpoints, user string) *websocket.Conn {
	b.Helper()
	token := testkit.Token(b, b.Context(), e, user, time.Hour)
	r, _, err := testkit.DialRawWith(b.Context(), e, user,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Conn.CloseNow() }) // it may be closed already
	return r.Conn
}

// holds reports whether the last frame contains a word.
func (d *device) holds(word string) bool { return bytes.Contains(d.last, []byte(word)) }

// hello sends a hello with a cursor, if there is one, and returns after ready.
func (d *device) hello(ctx context.Context, cursor *chat.Cursor) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.sendHello(ctx, cursor); err != nil {
		return err
	}
	_, err := d.await(ctx, `"type":"ready"`)
	return err
}

// sendHello sends a hello with a cursor, if there is one.
func (d *device) sendHello(ctx context.Context, cursor *chat.Cursor) error {
	d.n++
	d.next = 0 // a snapshot may come first
	if cursor != nil {
		d.epoch, d.next = cursor.Epoch, cursor.Seq+1
	}
	f, err := json.Marshal(&wire.Hello{Header: wire.Header{Type: wire.TypeHello}, N: int64(d.n), ThreadID: d.thread,
		Cursor: cursor})
	if err != nil {
		return err
	}
	return d.conn.Write(ctx, websocket.MessageText, f)
}

// ask sends a message that starts a run.
func (d *device) ask(ctx context.Context, text string) (chat.RunID, error) {
	d.n++
	run := chat.RunID(fmt.Sprintf("%s.%s", d.thread, chat.NewID(time.Now())))
	content, err := json.Marshal(text)
	if err != nil {
		return "", err
	}
	return run, d.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil,
		`{"type":"run","n":%d,"runId":%q,"threadId":%q,"messages":[{"id":%q,"role":"user","content":%s}]}`, d.n, run,
		d.thread, run+".1", content))
}

// turn is one run with several devices: its usage, and the time from the first to the last frame.
type turn struct {
	meters.Use
	run  chat.RunID
	took time.Duration
}

// play starts a run from the first device, and returns when all devices have received its end and its functions have
// returned.
func play(t testing.TB, s *stack.Stack, text string, devices ...*device) turn {
	t.Helper()
	u, err := try(t.Context(), s, text, devices...)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// try is play for any goroutine.
func try(ctx context.Context, s *stack.Stack, text string, devices ...*device) (turn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := time.Now()
	run, err := devices[0].ask(ctx, text)
	if err != nil {
		return turn{}, err
	}
	for _, d := range devices {
		if word, err := d.await(ctx, `"RUN_FINISHED"`, `"RUN_ERROR"`); err != nil || word != `"RUN_FINISHED"` {
			return turn{}, fmt.Errorf("run %s: %s %w", run, word, err)
		}
	}
	took := time.Since(at)
	used, err := settled(ctx, s, run)
	return turn{used, run, took}, err
}

// settled returns a run's usage after both of its invocations, message's and turn's, have ended.
func settled(ctx context.Context, s *stack.Stack, run chat.RunID) (used meters.Use, err error) {
	err = testkit.Poll(ctx, func() bool {
		used = s.Meters().Run(string(run))
		return used.Invocations >= 2
	})
	if err != nil {
		return used, fmt.Errorf("run %s with usage %+v does not end: %w", run, used, err)
	}
	return used, nil
}

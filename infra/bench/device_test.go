package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/meters"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
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

// device is one socket of one user on one thread. Only one goroutine at a time may use it.
type device struct {
	conn   *websocket.Conn
	thread chat.ThreadID
	n      int  // hellos and runs
	frames int  // that came
	ended  bool // the last one held the end of a run
}

// await reads until a frame contains one of the words, and returns that word.
func (d *device) await(ctx context.Context, words ...string) (string, error) {
	for {
		_, m, err := d.conn.Read(ctx)
		if err != nil {
			return "", err
		}
		d.frames++
		d.ended = bytes.Contains(m, []byte(`"RUN_FINISHED"`))
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

// open connects a device of a user and lets it watch a thread.
func open(t testing.TB, e stack.Endpoints, user string, thread chat.ThreadID) *device {
	t.Helper()
	d := &device{conn: dial(t, e, user), thread: thread}
	if err := d.hello(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// hello sends a hello with a cursor, if there is one, and returns after ready.
func (d *device) hello(ctx context.Context, cursor *chat.Cursor) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.n++
	f, err := json.Marshal(&wire.Hello{Header: wire.Header{Type: wire.TypeHello}, N: int64(d.n), ThreadID: d.thread,
		Cursor: cursor})
	if err != nil {
		return err
	}
	if err := d.conn.Write(ctx, websocket.MessageText, f); err != nil {
		return err
	}
	_, err = d.await(ctx, `"type":"ready"`)
	return err
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

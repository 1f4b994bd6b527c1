package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// counted takes the sums of the metrics so far.
func (r *rig) counted() map[string]float64 {
	r.t.Helper()
	sums := map[string]float64{}
	for line := range strings.Lines(r.log.String()) {
		var l struct {
			AWS struct {
				CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
			} `json:"_aws"`
		}
		values := map[string]any{}
		if err := errors.Join(json.Unmarshal([]byte(line), &l), json.Unmarshal([]byte(line), &values)); err != nil {
			r.t.Fatal(err)
		}
		for _, d := range l.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				sums[m.Name] += values[m.Name].(float64)
			}
		}
	}
	r.log.Reset()
	return sums
}

// Each refused frame is counted. The log has the hash of the user and the code, and not the content of the frame.
func TestFrame_RefusalsAreCounted(t *testing.T) {
	t.Attr("row", "E2: a rejected frame is counted")
	r := newRig(t)
	expired := r.window("alice", "w2=")
	expired.life = 0
	sum, sent := 0.0, 0
	for _, c := range []struct {
		code string
		w    window
		body string
	}{
		{"bad_frame", r.window("alice", "w1="), `{"type":"ping","confidential":1}`},
		{"bad_frame", r.window("alice", "w1="), `confidential`},
		{"token_expired", expired, `{"type":"ping"}`},
		{"token_expired", expired, `confidential`},
		{"not_found", r.window("alice", "w1="), `{"type":"rename","threadId":"t","title":"confidential"}`},
		{"unknown_agent", r.window("alice", "w1="), strings.Replace(hi, `"n":2`, `"n":2,"agent":"nobody"`, 1)},
		{"", r.window("alice", "w1="), `{"type":"ping"}`},
	} {
		c.w.send(c.body)
		log := r.log.String()
		want := 1.0
		if c.code == "" {
			want = 0
		} else if !strings.Contains(log, `"msg":"refuse a frame"`) || !strings.Contains(log, `"code":"`+c.code+`"`) ||
			!strings.Contains(log, c.w.user.Hash()) || strings.Contains(log, "confidential") {
			t.Errorf("%s: the log is %s", c.body, log)
		}
		got := r.counted()[monitor.FramesRefused]
		if got != want {
			t.Errorf("%s: %v refusals counted, want %v", c.body, got, want)
		}
		sum, sent = sum+got, sent+1
	}
	t.Attr("figure", fmt.Sprintf("%v refusals counted of %d frames, one of which is answered", sum, sent))
}

// What a client has applied is kept with its connection, by hellos at no cost and by pings only when it is news, and
// how far behind it is is measured.
func TestPing_Acknowledges(t *testing.T) {
	t.Attr("row", "E3: acknowledged cursors are stored, and their lag measured")
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true) // 1–5
	acks := 0
	acked := func(what string, body string, want chat.Seq, requests int) map[string]float64 {
		t.Helper()
		r.meter.take()
		r.log.Reset()
		w.send(body)
		if n, _ := r.meter.take(); n != requests {
			t.Errorf("%s: %d requests, want %d", what, n, requests)
		}
		acks++
		row, err := w.store().Connection(t.Context(), w.id)
		if err != nil || row.Acked.Seq != want {
			t.Errorf("%s: the connection has %+v, %v; want %d", what, row.Acked, err, want)
		}
		return r.counted()
	}
	epoch := w.epoch()
	hello := fmt.Sprintf(`{"type":"hello","n":3,"threadId":"t","cursor":{"epoch":%q,"seq":2}}`, epoch)
	ping := func(seq int, epoch chat.Epoch) string {
		return fmt.Sprintf(`{"type":"ping","threadId":"t","cursor":{"epoch":%q,"seq":%d}}`, epoch, seq)
	}
	if got := acked("hello", hello, 2, 3); got[monitor.Replays] != 1 || got[monitor.ReplayedEvents] != 3 ||
		got[monitor.GapsHealed] != 1 || got[monitor.FramesPosted] != 2 {
		t.Errorf("counted %v", got)
	}
	r.at = r.at.Add(3 * time.Second)
	if got := acked("a ping", ping(4, epoch), 4, 3); got[monitor.ClientBehind] != 1 {
		t.Errorf("counted %v", got)
	}
	acked("the same again", ping(4, epoch), 4, 2)
	acked("a late one", ping(3, epoch), 4, 2)
	acked("one of another epoch", ping(9, "other"), 4, 3)
	acked("one without a cursor", `{"type":"ping","threadId":"t"}`, 4, 2)
	if got := acked("all of it", ping(5, epoch), 5, 3); len(got) > 0 {
		t.Errorf("nobody lags, and counted %v", got)
	}
	if got := acked("a stranger's hello", `{"type":"hello","n":4,"threadId":"t","cursor":{"epoch":"other","seq":1}}`, 1,
		6); got[monitor.Snapshots] != 1 {
		t.Errorf("counted %v", got)
	}
	t.Attr("figure", fmt.Sprintf("%d hellos and pings, each cursor as it should be", acks))
}

// A log record that cannot be read is treated like a deleted one, so no client keeps a gap forever.
func TestHello_UnreadableLog(t *testing.T) {
	r := newRig(t)
	table, spoil := gatewaytest.TableAndSpoiler(t,
		store.Config{Limits: r.limits, Now: func() time.Time { return r.at }})
	r.table = table
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true) // records at 1, 3 and 5
	spoil(w.user, "E#000000000003", "e")
	if g := w.hello(cursor(w, 0)); !g.ready.Recovered || g.ready.Head != 5 || len(g.events) != 2 {
		t.Errorf("up to it: %+v and %d events", g.ready, len(g.events))
	}
	g := w.hello(cursor(w, 2))
	if g.ready.Recovered || g.snapshot == nil || g.snapshot.Seq != 5 || len(g.snapshot.Messages) != 2 {
		t.Errorf("at it: %+v, %+v", g.ready, g.snapshot)
	}
	spoil(w.user, "E#000000000005", "e")
	if g := w.hello(cursor(w, 5)); !g.ready.Recovered || g.ready.Head != 5 {
		t.Errorf("behind it: %+v", g.ready)
	}
	if pong := w.send(`{"type":"ping","threadId":"t"}`)[0].(*wire.Pong); pong.Head != 5 {
		t.Errorf("pong %+v", pong)
	}
}

// A replay ends when the connection watches another thread, its token has expired, or it no longer exists.
func TestReplay_EndsEarly(t *testing.T) {
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	head := r.lengthen(t, w, 9990)
	after := func(posts int, do func()) int {
		t.Helper()
		hello := cursor(w, head-9990)
		e := &turning{rig: r.rig, left: posts, do: do}
		r.poster = e
		w.hello(hello)
		return e.posts
	}
	all := after(-1, nil)
	w.life = 5 * time.Second
	if n := after(5, func() { r.at = r.at.Add(6 * time.Second) }); n != 5 {
		t.Errorf("%d posts, 5 of them before the token expired", n)
	}
	w.life = time.Hour
	if n := after(5, func() { r.poster.(*turning).fails = chat.ErrGone }); n != 5 {
		t.Errorf("%d posts, 5 of them before the connection had gone", n)
	}
	if n := after(5, func() {
		if _, err := w.store().Watch(t.Context(), chat.Connection{ID: w.id, Thread: "another", N: 10}); err != nil {
			t.Error(err)
		}
	}); n >= all {
		t.Errorf("%d posts of %d to a connection that watches another thread", n, all)
	}
}

// Records that TTL has deleted, and expired records that it has not deleted yet, are treated alike.
func TestHello_CursorBeforeDeletedRecords(t *testing.T) {
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	head := r.lengthen(t, w, 100)
	for seq := chat.Seq(6); seq < 56; seq += perRecord {
		r.erase(t, w, seq)
	}
	for at, recovered := range map[chat.Seq]bool{5: false, 54: false, 55: true, 60: true} {
		g := w.hello(cursor(w, at))
		if g.ready.Recovered != recovered || (g.snapshot == nil) != recovered || g.ready.Head != head {
			t.Errorf("from %d: %+v, snapshot %v", at, g.ready, g.snapshot != nil)
		}
	}
}

// A hello costs the requests that docs/protocol.md says.
func TestHello_Requests(t *testing.T) {
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	costs := func(what, hello string, want int) {
		t.Helper()
		r.meter.take()
		w.hello(hello)
		if n, _ := r.meter.take(); n != want {
			t.Errorf("%s: %d requests, want %d", what, n, want)
		}
	}
	w.send(hi)
	w.does("r1", "one", true) // 1–5
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	w.does("r2", "two", false) // 6–9
	costs("at the end", cursor(w, 9), 4)
	costs("and without a thread", strings.Replace(cursor(w, 9), `"threadId":"t",`, "", 1), 5)
	costs("behind a record", cursor(w, 7), 3)
	costs("inside one", cursor(w, 6), 6)
	costs("a snapshot, and a page behind it", `{"type":"hello","n":9,"threadId":"t"}`, 5)
	costs("a cursor of another epoch", `{"type":"hello","n":9,"threadId":"t","cursor":{"epoch":"other","seq":1}}`, 6)
	w.send(strings.ReplaceAll(hi, "r1", "r3"))
	w.send(strings.ReplaceAll(hi, "r1", "r4"))
	r.edge.Frames(w.id)
	costs("with two runs that wait", cursor(w, 9), 5)
}

// A hello without a cursor reads the thread beside the write of the connection's record. A thread that is created
// between the two is not missed, and neither is its deletion.
func TestHello_ThreadChangesBesideTheWatch(t *testing.T) {
	r := newLongRig(t)
	w, other := r.window("alice", "w1="), r.window("alice", "w2=")
	const hello = `{"type":"hello","n":%d,"threadId":"t"}`
	r.meter.next("UpdateItem", func() {
		r.meter.next("BatchGetItem", func() {
			other.send(hi)
			other.does("r1", "one", false)
		})
	})
	if g := w.hello(fmt.Sprintf(hello, 1)); g.ready.Head != 4 || g.ready.Epoch == "" || len(g.events) != 4 {
		t.Errorf("a thread was created: ready %+v, %d events", g.ready, len(g.events))
	}
	r.meter.next("BatchGetItem", func() { other.send(`{"type":"delete","threadId":"t"}`) })
	w.edge.Frames(w.id)
	frames := w.send(fmt.Sprintf(hello, 2))
	frames = slices.DeleteFunc(frames, func(f wire.ServerFrame) bool { _, is := f.(*wire.Ready); return !is })
	if ready := frames[0].(*wire.Ready); len(frames) != 1 || ready.Epoch != "" || !ready.Recovered {
		t.Errorf("the thread was deleted: ready %+v", ready)
	}
}

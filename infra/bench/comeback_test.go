package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// lostEvents is how many events a client missed that comes back. Each is a record, or a message, of its own.
const lostEvents = 100

// TestBenchComeback measures a client that missed 100 events: from the dial to the last of them, beside centrifuge with
// recovery from its memory.
func TestBenchComeback(t *testing.T) {
	needsTime(t)
	const name = "resume of 100, with the dial"
	local, e := startLocal(t, "../..")
	ours := server{WebSocket: e.WebSocket, dialect: dialect{greet: noGreeting}, header: http.Header{"Authorization": {
		"Bearer " + testkit.Token(t, t.Context(), e, "alice", time.Hour)}}}
	own, thread := direct(t, e, "alice"), chat.ThreadID(chat.NewID(time.Now()))
	fill(t, own, thread, lostEvents+10, 1)
	th, err := own.Thread(t.Context(), thread)
	if err != nil {
		t.Fatal(err)
	}
	after := th.Head - lostEvents
	carrel := comebacks(local, ours, size(50, 5), func(l *listener) error {
		return missedEvents(l, thread, chat.Cursor{Epoch: th.Epoch, Seq: after})
	})
	centrifuge, theirs, why := startCentrifuge(t)
	if why != nil {
		missing(t, name, why.Error())
		compare(t, name, carrel, nil)
		return
	}
	theirs.dialect.greet = noGreeting
	epoch := keepMessages(t, theirs)
	compare(t, name, carrel, comebacks(centrifuge, theirs, size(500, 5), func(l *listener) error {
		return recovered(l, epoch)
	}))
}

// comebacks returns a trial: clients come back one after another. The figure is the median in milliseconds.
func comebacks(p *process, s server, n int, receive func(*listener) error) func(*testing.T) sample {
	return func(t *testing.T) sample {
		t.Helper()
		var took times
		before := p.used(t)
		for range n {
			at := time.Now()
			l, err := dialSocket(t.Context(), s, "kept")
			if err != nil {
				t.Fatal(err)
			}
			err = l.conn.SetReadDeadline(at.Add(patience))
			if err == nil {
				err = receive(l)
			}
			took = append(took, time.Since(at))
			if err = errors.Join(err, l.conn.Close()); err != nil {
				t.Fatal(err)
			}
		}
		return sample{took.at(.5), p.used(t).since(before, n)}
	}
}

// missedEvents sends a hello and reads the missed events. It returns an error if one is lost, repeated or foreign.
func missedEvents(l *listener, thread chat.ThreadID, from chat.Cursor) error {
	hello, err := json.Marshal(&wire.Hello{Header: wire.Header{Type: wire.TypeHello}, N: 1, ThreadID: thread,
		Cursor: &from})
	if err != nil {
		return err
	}
	if err := l.write(string(hello)); err != nil {
		return err
	}
	var joiner wire.Joiner
	for next, last := from.Seq+1, from.Seq+lostEvents; next <= last; {
		m, err := l.next()
		if err != nil {
			return err
		}
		f, _, err := testkit.Decode(&joiner, m)
		if err != nil {
			return err
		}
		e, ok := f.(*wire.Events)
		if !ok {
			continue
		}
		if e.ThreadID != thread || e.Epoch != from.Epoch || e.Seq != next {
			return fmt.Errorf("event %d of thread %s arrived instead of event %d of %s", e.Seq, e.ThreadID, next,
				thread)
		}
		next += chat.Seq(len(e.Events))
	}
	return nil
}

// keepMessages posts messages to a channel of centrifuge, which keeps them, and returns the channel's epoch.
func keepMessages(t *testing.T, s server) (epoch string) {
	t.Helper()
	c := call(t, s)
	for n := range lostEvents {
		if err := c.do(s.post(t, "kept", "kept", n)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := dialSocket(t.Context(), s, "kept")
	if err != nil {
		t.Fatal(err)
	}
	defer l.conn.Close()
	answer, err := l.subscribeFrom("", 0)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Epoch
}

// recovered subscribes from the beginning of an epoch and checks the recovered messages.
func recovered(l *listener, epoch string) error {
	answer, err := l.subscribeFrom(epoch, 0)
	if err != nil {
		return err
	}
	if !answer.Recovered || len(answer.Publications) != lostEvents {
		return fmt.Errorf("centrifuge recovered %d messages", len(answer.Publications))
	}
	for n, p := range answer.Publications {
		if p.Data.To != "kept" || p.Data.N != n {
			return fmt.Errorf("message %d of %s arrived instead of message %d of kept", p.Data.N, p.Data.To, n)
		}
	}
	return nil
}

// subscription is centrifuge's answer to a subscribe request.
type subscription struct {
	Epoch        string
	Recovered    bool
	Publications []struct {
		Data struct {
			To string
			N  int
		}
	}
}

// subscribeFrom connects a client of centrifuge and subscribes it, both in one frame. It recovers the messages after an
// offset, if there is an epoch.
func (l *listener) subscribeFrom(epoch string, offset int) (subscription, error) {
	err := l.write(fmt.Sprintf(`{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":%q,"recoverable":true,`+
		`"recover":%t,"epoch":%q,"offset":%d}}`, l.name, epoch != "", epoch, offset))
	for err == nil {
		var m []byte
		if m, err = l.next(); err != nil {
			break
		}
		var answer struct {
			ID        int
			Subscribe *subscription
			Error     json.RawMessage
		}
		for part := range bytes.SplitSeq(m, []byte("\n")) {
			if err := json.Unmarshal(part, &answer); err != nil || answer.Error != nil {
				return subscription{}, fmt.Errorf("centrifuge answered %s: %w", m, err)
			}
			if answer.Subscribe != nil {
				return *answer.Subscribe, nil
			}
		}
	}
	return subscription{}, err
}

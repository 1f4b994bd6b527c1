package soak_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/fnv"
	"strings"
	"sync"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// listener receives every message of every socket of one client, before the client does.
type listener struct {
	device *device
	user   *user

	mu     sync.Mutex
	joiner wire.Joiner
}

// receive checks that a message contains nothing of another user, and records the runs that it mentions.
func (l *listener) receive(m []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.user.world
	w.count("frames", 1)
	l.scan(m)
	f, err := wire.DecodeServer(m)
	if p, is := f.(*wire.Part); is && err == nil {
		w.count("parts", 1)
		whole, err := l.joiner.Add(p)
		if err != nil || whole == nil {
			return // a repeated part; the client requests its content again
		}
		l.scan(whole)
		m = whole
		f, err = wire.DecodeServer(whole)
		if err != nil {
			w.fail(l.device.name, "decode the joined parts: %v", err)
			return
		}
	}
	if errors.Is(err, wire.ErrGateway) {
		w.count("gateway's own frames", 1)
		return
	}
	if err != nil {
		w.fail(l.device.name, "received %.200q: %v", m, err)
		return
	}
	l.user.mu.Lock()
	defer l.user.mu.Unlock()
	l.note(f, m)
}

// scan searches a message for other users' marks.
func (l *listener) scan(m []byte) {
	for _, other := range l.user.world.users {
		if other != l.user && bytes.Contains(m, []byte(other.mark)) {
			l.user.world.count("foreign", 1)
			l.user.world.fail(l.device.name, "received text of %s: %.300s", other.name, m)
		}
	}
}

// note records a frame. The caller holds the user's mutex.
func (l *listener) note(f wire.ServerFrame, raw []byte) {
	u, w := l.user, l.user.world
	switch f := f.(type) {
	case *wire.Events:
		l.events(f, raw)
	case *wire.Accepted:
		if strings.HasPrefix(f.RequestID, "run.") {
			u.runOf(f.RunID).accepted = true
		}
	case *wire.Rejected:
		w.count("refused: "+string(f.Code), 1)
		u.runOf(f.RunID).refused = f.Code
	case *wire.Ended:
		u.runOf(f.RunID)
	case *wire.Ready:
		if f.Recovered {
			w.count("resumes", 1)
		}
	case *wire.Snapshot:
		w.count("snapshots", 1)
	case *wire.Error:
		w.count("error: "+string(f.Code), 1)
		if id, is := strings.CutPrefix(f.RequestID, "run."); is && f.Code != wire.CodeInternal {
			u.runOf(chat.RunID(id)).refused = f.Code
		}
	}
}

// events checks that this device has opened the events' thread, and that each event has one text only.
func (l *listener) events(f *wire.Events, raw []byte) {
	u, w := l.user, l.user.world
	if !l.device.opened[f.ThreadID] {
		w.fail(l.device.name, "received events of the thread %s, which it never opened", f.ThreadID)
	}
	var texts struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(raw, &texts); err != nil {
		w.fail(l.device.name, "events: %v", err)
		return
	}
	w.count("events received", len(texts.Events))
	u.runOf(f.RunID).began = true
	t := u.threadOf(f.ThreadID)
	had := t.epochs[f.Epoch]
	if had == nil {
		had = map[chat.Seq]sighting{}
		t.epochs[f.Epoch] = had
	}
	for i, text := range texts.Events {
		seq := f.Seq + chat.Seq(i)
		s := sighting{hashOf(text), f.RunID}
		if before, is := had[seq]; is && before != s {
			w.fail(l.device.name, "event %d of thread %s was received with two texts, of %s and %s, now %.200s", seq,
				f.ThreadID, before.run, s.run, text)
		}
		had[seq] = s
	}
}

func hashOf(text []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(text) // it never fails
	return h.Sum64()
}

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

// listener gets every message of every socket of one client, before the client does.
type listener struct {
	device *device
	user   *user

	mu     sync.Mutex
	joiner wire.Joiner
}

// hear looks at one message: nothing of anybody else may stand in it, and what it says of runs is noted.
func (l *listener) hear(m []byte) {
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
			return // a part that came twice; what it held is asked for again
		}
		l.scan(whole)
		m = whole
		f, err = wire.DecodeServer(whole)
		if err != nil {
			w.must(l.device.name, "the parts make no frame: %v", err)
			return
		}
	}
	if errors.Is(err, wire.ErrGateway) {
		w.count("gateway's own frames", 1)
		return
	}
	if err != nil {
		w.must(l.device.name, "was sent %.200q: %v", m, err)
		return
	}
	l.user.mu.Lock()
	defer l.user.mu.Unlock()
	l.note(f, m)
}

// scan looks for other users' marks.
func (l *listener) scan(m []byte) {
	for _, other := range l.user.world.users {
		if other != l.user && bytes.Contains(m, []byte(other.mark)) {
			l.user.world.count("foreign", 1)
			l.user.world.must(l.device.name, "was sent something of %s: %.300s", other.name, m)
		}
	}
}

// note takes what a frame says; the user's mutex is held.
func (l *listener) note(f wire.ServerFrame, raw []byte) {
	u, w := l.user, l.user.world
	switch f := f.(type) {
	case *wire.Events:
		l.events(f, raw)
	case *wire.Accepted:
		if strings.HasPrefix(f.RequestID, "run.") {
			u.known(f.RunID).accepted = true
		}
	case *wire.Rejected:
		w.count("refused: "+string(f.Code), 1)
		u.known(f.RunID).refused = f.Code
	case *wire.Ended:
		u.known(f.RunID)
	case *wire.Ready:
		if f.Recovered {
			w.count("resumes", 1)
		}
	case *wire.Snapshot:
		w.count("snapshots", 1)
	case *wire.Error:
		w.count("error: "+string(f.Code), 1)
		if id, is := strings.CutPrefix(f.RequestID, "run."); is && f.Code != wire.CodeInternal {
			u.known(chat.RunID(id)).refused = f.Code
		}
	}
}

// events notes events: of a thread that this device has opened, and each with one text only.
func (l *listener) events(f *wire.Events, raw []byte) {
	u, w := l.user, l.user.world
	if !l.device.opened[f.ThreadID] {
		w.must(l.device.name, "was sent events of the thread %s, which it never opened", f.ThreadID)
	}
	var texts struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(raw, &texts); err != nil {
		w.must(l.device.name, "events: %v", err)
		return
	}
	w.count("events received", len(texts.Events))
	u.known(f.RunID).began = true
	t := u.topic(f.ThreadID)
	had := t.epochs[f.Epoch]
	if had == nil {
		had = map[chat.Seq]sighting{}
		t.epochs[f.Epoch] = had
	}
	for i, text := range texts.Events {
		seq := f.Seq + chat.Seq(i)
		s := sighting{hashOf(text), f.RunID}
		if before, is := had[seq]; is && before != s {
			w.must(l.device.name, "event %d of thread %s was sent with two texts, of %s and %s, now %.200s", seq,
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

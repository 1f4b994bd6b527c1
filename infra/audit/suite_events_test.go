package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// hearing is what all devices of a crowd are sent, looked at as it comes: nothing is kept but what was seen.
type hearing struct {
	c    *crowd
	seed maphash.Seed

	sockets, frames, bytes, events, different, repeats, marked, foreign, differ, missing, wrongs atomic.Int64

	mu    sync.Mutex
	tapes map[chat.ThreadID]*tape
}

// tape is one thread: whose it is, and what its events were when they were sent first.
type tape struct {
	who *person

	mu     sync.Mutex
	epoch  chat.Epoch
	hashes []uint64 // by sequence number, from 1; 0: nobody was sent it
}

func newHearing(c *crowd) *hearing {
	h := &hearing{c: c, seed: maphash.MakeSeed(), tapes: map[chat.ThreadID]*tape{}}
	for _, p := range c.users {
		for _, id := range p.threads {
			h.tapes[id] = &tape{who: p}
		}
	}
	return h
}

// thread is a new thread of a user.
func (h *hearing) thread(p *person) chat.ThreadID {
	id := newThread()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tapes[id] = &tape{who: p}
	return id
}

func (h *hearing) tape(id chat.ThreadID) *tape {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tapes[id]
}

// ear is one device of a user: a real client, and which events it was sent.
type ear struct {
	*client.Client
	h   *hearing
	who *person

	mu     sync.Mutex
	joiner wire.Joiner
	sights map[chat.ThreadID]*sight
	opened map[chat.ThreadID]bool
}

// sight is what a device was sent of one thread.
type sight struct {
	got      []bool // by sequence number, from 1
	count    int
	restated chat.Seq // up to where a snapshot has told it
	end      chat.Seq // of the last run's end that was sent
	half     *signal  // given once so many were sent
	at       int
	whole    *signal // given once all up to the end were
}

func (d *ear) sight(id chat.ThreadID) *sight {
	s := d.sights[id]
	if s == nil {
		s = &sight{half: newSignal(), whole: newSignal()}
		d.sights[id] = s
	}
	return s
}

// expects is what the device is sent of a thread; its half is given at so many events.
func (d *ear) expects(id chat.ThreadID, half int) *sight {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sight(id)
	s.at = half
	return s
}

// listen opens a device's client. What an earlier one was sent counts no more: this is a new page.
func (h *hearing) listen(ctx context.Context, p *person, thread chat.ThreadID) (*ear, error) {
	d := &ear{h: h, who: p, sights: map[chat.ThreadID]*sight{}, opened: map[chat.ThreadID]bool{thread: true}}
	var err error
	d.Client, err = client.Dial(ctx, client.Config{URL: h.c.Endpoints().WebSocket, Thread: thread, OnFrame: d.hear,
		Token: func(ctx context.Context) (string, error) {
			h.sockets.Add(1)
			d.mu.Lock()
			d.joiner = wire.Joiner{} // the rest of what the last socket had begun does not come
			d.mu.Unlock()
			return signIn(ctx, h.c.Endpoints().Token, p.name)
		}})
	if err != nil {
		return nil, err
	}
	h.c.Cleanup(d.Close)
	return d, nil
}

// Open opens a thread: only of those that it has opened a device is sent events.
func (d *ear) Open(id chat.ThreadID) error {
	d.mu.Lock()
	d.opened[id] = true
	d.mu.Unlock()
	return d.Client.Open(id)
}

// hear looks at one message of a socket.
func (d *ear) hear(m []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.h.frames.Add(1)
	d.h.bytes.Add(int64(len(m)))
	d.look(m)
}

func (d *ear) look(m []byte) {
	if text := stranger(m, d.who.secret); text != "" {
		d.foreigner("the secret %s", text)
	}
	var f struct {
		Type     wire.Type
		ThreadID chat.ThreadID
		Epoch    chat.Epoch
		Seq      chat.Seq
		Events   []json.RawMessage
	}
	if err := json.Unmarshal(m, &f); err != nil {
		d.h.wrong("%s was sent %.300q: %v", d.who.name, m, err)
		return
	}
	var t *tape
	if f.ThreadID != "" {
		if t = d.h.tape(f.ThreadID); t == nil || t.who != d.who {
			d.foreigner("thread %s: %.300s", f.ThreadID, m)
			return
		}
	}
	switch frame := f.Type; frame {
	case wire.TypePart:
		part, err := wire.DecodeServer(m)
		if err != nil {
			d.h.wrong("%s was sent %.300q: %v", d.who.name, m, err)
			return
		}
		whole, err := d.joiner.Add(part.(*wire.Part))
		if err != nil {
			d.h.wrong("%s was sent a part that does not fit: %v", d.who.name, err)
		}
		if whole != nil {
			d.look(whole)
		}
	case wire.TypeSnapshot:
		s := d.sight(f.ThreadID)
		s.restated = max(s.restated, f.Seq)
	case wire.TypeEvents:
		if t == nil || !d.opened[f.ThreadID] {
			d.foreigner("events of a thread that it has not opened: %.300s", m)
			return
		}
		s := d.sight(f.ThreadID)
		for i, raw := range f.Events {
			d.event(t, s, f.Epoch, f.Seq+chat.Seq(i), raw)
		}
		s.settle()
	}
}

// event takes in one event: whose, and whether it is the one that others were sent as this number.
func (d *ear) event(t *tape, s *sight, epoch chat.Epoch, seq chat.Seq, raw []byte) {
	if bytes.Contains(raw, []byte(d.who.secret)) {
		d.h.marked.Add(1)
	}
	isNew, same := t.same(epoch, seq, maphash.Bytes(d.h.seed, raw))
	if isNew {
		d.h.different.Add(1)
	}
	if !same {
		d.h.differ.Add(1)
		d.h.wrong("%s was sent event %d of a thread that is another elsewhere: %.300s", d.who.name, seq, raw)
	}
	for len(s.got) < int(seq) {
		s.got = append(s.got, make([]bool, max(64, int(seq)-len(s.got)))...)
	}
	if s.got[seq-1] {
		d.h.repeats.Add(1)
		return
	}
	s.got[seq-1] = true
	s.count++
	d.h.events.Add(1)
	if bytes.Contains(raw, []byte(`"RUN_FINISHED"`)) || bytes.Contains(raw, []byte(`"RUN_ERROR"`)) {
		s.end = max(s.end, seq)
	}
}

func (s *sight) settle() {
	if s.count > s.at {
		s.half.give()
	}
	if s.end > 0 && s.count == int(s.end) {
		s.whole.give()
	}
}

// gaps are the events of a thread that a device was neither sent nor told of by a snapshot.
func (d *ear) gaps(id chat.ThreadID, head chat.Seq) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sight(id)
	for seq := s.restated + 1; seq <= head; seq++ {
		if int(seq) > len(s.got) || !s.got[seq-1] {
			n++
		}
	}
	d.h.missing.Add(int64(n))
	return n
}

func (d *ear) foreigner(format string, args ...any) {
	d.h.foreign.Add(1)
	d.h.wrong("%s was sent what is not for them: %s", d.who.name, fmt.Sprintf(format, args...))
}

// wrong tells of something that must not be, the first few times, and ends it all: what was sent last is near the cause.
func (h *hearing) wrong(format string, args ...any) {
	if h.wrongs.Add(1) <= 5 {
		h.c.Errorf(format, args...)
	}
	h.c.stop()
}

// same notes an event, or compares it with what it was before.
func (t *tape) same(epoch chat.Epoch, seq chat.Seq, hash uint64) (isNew, same bool) {
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

// stranger is a secret in a message that is not the owner's own, or "". One that the message's end cuts off counts as far
// as it goes.
func stranger(m []byte, own string) string {
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

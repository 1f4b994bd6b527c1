package client_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// model is a small server with one user, one thread and one socket at a time. It follows docs/protocol.md. Its network
// may lose, repeat and reorder the posted messages.
type model struct {
	rnd        *rand.Rand
	fair       bool // no faults from now on
	epoch      chat.Epoch
	epochs     int
	events     []agui.Event // of this epoch; its length is the head
	owner      []chat.RunID // of each event
	ended      chat.Seq     // the last event of the last run that has ended
	active     chat.RunID
	queued     []*wire.Run
	open       []agui.Interrupt                // not empty: the thread is awaiting input
	taken      map[chat.RunID][]agui.Interrupt // the interrupts that a run answers
	full       bool                            // runs of the user's other threads have all slots
	interrupts int                             // interrupts so far
	row        int64                           // Updated of the thread's row
	known      map[chat.RunID]*wire.Run
	over       map[chat.RunID]bool

	connected bool
	n         int64 // of the connection's row
	watches   chat.ThreadID
	toServer  [][]byte
	toClient  [][]byte
	snapshots map[string]chat.Seq // the seq of the snapshot that a message carries
}

func newModel(rnd *rand.Rand) *model {
	return &model{rnd: rnd, known: map[chat.RunID]*wire.Run{}, over: map[chat.RunID]bool{},
		taken:     map[chat.RunID][]agui.Interrupt{},
		snapshots: map[string]chat.Seq{}}
}

func (m *model) chance(percent int) bool { return !m.fair && m.rnd.IntN(100) < percent }

func (m *model) connect() {
	m.connected, m.n, m.watches, m.toServer, m.toClient = true, 0, "", nil, nil
}

func (m *model) cut() { m.connected, m.toServer, m.toClient = false, nil, nil }

// post sends a frame to the client. Long frames go in parts, and some short ones too.
func (m *model) post(f wire.ServerFrame) {
	if !m.connected {
		return
	}
	messages, err := wire.Encode(f, fmt.Sprint("p", m.rnd.Uint64()))
	if err != nil {
		panic(err)
	}
	if len(messages) == 1 && m.rnd.IntN(10) == 0 {
		messages = pieces(messages[0], fmt.Sprint("p", m.rnd.Uint64()))
	}
	for _, b := range messages {
		if s, ok := f.(*wire.Snapshot); ok {
			m.snapshots[string(b)] = s.Seq
		}
		if m.chance(5) {
			continue
		}
		m.toClient = append(m.toClient, b)
		if m.chance(10) {
			m.toClient = append(m.toClient, b)
		}
	}
}

// handle receives one frame of the client. A failed function may have done its work or not.
func (m *model) handle(data []byte) {
	f, bad := wire.DecodeClient(data)
	if bad != nil {
		panic(bad.Message)
	}
	fails := m.chance(10)
	if !fails || m.chance(50) {
		m.serve(f)
	}
	if fails {
		m.toClient = append(m.toClient,
			[]byte(`{"message": "Internal server error", "connectionId":"c", "requestId":"q"}`))
	}
}

func (m *model) serve(f wire.ClientFrame) {
	switch f := f.(type) {
	case *wire.Hello:
		if f.N > m.n {
			m.n, m.watches = f.N, f.ThreadID
		} else if m.watches != f.ThreadID {
			return
		}
		m.hello(f)
	case *wire.Run:
		if f.N > m.n {
			m.n, m.watches = f.N, f.ThreadID
		}
		m.run(f)
	case *wire.Ping:
		m.post(&wire.Pong{ThreadID: f.ThreadID, Epoch: m.epoch, Head: m.head(), Runs: m.runs(),
			Interrupted: len(m.open) > 0})
	case *wire.Cancel:
		m.cancel(f)
	}
}

func (m *model) head() chat.Seq { return chat.Seq(len(m.events)) }

func (m *model) runs() []wire.RunState {
	var out []wire.RunState
	if m.active != "" {
		out = append(out, wire.RunState{RunID: m.active, ThreadID: "t", Status: chat.RunRunning})
	}
	for _, w := range m.queued {
		out = append(out, wire.RunState{RunID: w.RunID, ThreadID: "t", Status: chat.RunQueued, Messages: w.Messages})
	}
	return out
}

func (m *model) hello(f *wire.Hello) {
	usable := f.Cursor != nil && f.Cursor.Epoch == m.epoch && f.Cursor.Seq <= m.head()
	r := &wire.Ready{N: f.N, ConnectionID: "c", ThreadID: "t", Epoch: m.epoch, Head: m.head(), Recovered: usable,
		Interrupts: m.open}
	for _, s := range m.runs() {
		if s.Status == chat.RunRunning {
			r.Active = &s
		} else {
			r.Queued = append(r.Queued, s)
		}
	}
	m.post(r)
	if m.epoch == "" {
		return
	}
	from := chat.Seq(0)
	if usable {
		from = f.Cursor.Seq
	} else {
		from = m.ended
		m.post(&wire.Snapshot{N: f.N, ThreadID: "t", Epoch: m.epoch, Seq: m.ended, Messages: fold(m.events[:m.ended]),
			Interrupts: m.open})
	}
	m.replay(from)
}

// replay posts the events after a position, in records of one run and a few events.
func (m *model) replay(from chat.Seq) {
	for at := from; at < m.head(); {
		to := at + 1
		for to < m.head() && to < at+4 && m.owner[to] == m.owner[at] {
			to++
		}
		m.post(m.record(at, to))
		at = to
	}
}

func (m *model) record(from, to chat.Seq) *wire.Events {
	return &wire.Events{ThreadID: "t", Epoch: m.epoch, Seq: from + 1, RunID: m.owner[from],
		Events: slices.Clone(m.events[from:to])}
}

func (m *model) run(f *wire.Run) {
	state := "running"
	switch known := m.known[f.RunID] != nil; {
	case m.over[f.RunID]:
		state = "ended"
	case known && m.active != f.RunID, !known && m.active != "":
		state = "queued"
	}
	if m.known[f.RunID] == nil && !m.over[f.RunID] {
		if !m.answered(f) {
			m.post(&wire.Rejected{RequestID: f.RequestID, RunID: f.RunID, Code: wire.CodeInterrupted,
				Message: "Answer.", Interrupts: m.open})
			return
		}
		m.known[f.RunID] = f
		if m.epoch == "" {
			m.epochs++
			m.epoch = chat.Epoch(fmt.Sprint("e", m.epochs))
		}
		m.taken[f.RunID], m.open = m.open, nil
		if state == "running" && m.full {
			state = "queued"
		}
		switch {
		case state == "running":
			m.active = f.RunID
		case f.Resume != nil:
			m.queued = slices.Insert(m.queued, 0, f)
		default:
			m.queued = append(m.queued, f)
		}
		m.postRow()
	}
	m.post(&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: "t", State: state})
}

func (m *model) cancel(f *wire.Cancel) {
	state := "running"
	if m.active != f.RunID {
		state = "ended"
		m.over[f.RunID] = true
		m.queued = slices.DeleteFunc(m.queued, func(w *wire.Run) bool {
			if w.RunID == f.RunID {
				m.open = m.taken[f.RunID]
				m.postRow()
			}
			return w.RunID == f.RunID
		})
	}
	m.post(&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: "t", State: state})
	if state == "ended" {
		m.post(&wire.Ended{RunID: f.RunID, ThreadID: "t", Status: chat.RunCancelled})
	}
}

// work lets the active run append its next events, and then posts them if the client watches the thread.
func (m *model) work() {
	if m.full = m.chance(30); m.active == "" && !m.full && len(m.open) == 0 && len(m.queued) > 0 {
		m.active, m.queued = m.queued[0].RunID, m.queued[1:]
		m.postRow()
	}
	if m.active == "" {
		return
	}
	run, from := m.active, m.head()
	steps := 0
	for _, o := range m.owner {
		if o == run {
			steps++
		}
	}
	id := "a." + string(run)
	switch {
	case steps == 0:
		in := m.known[run]
		m.append(run, agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: run,
			Input: &agui.RunInput{ThreadID: "t", RunID: run, Messages: in.Messages, Resume: in.Resume}},
			agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant})
	case steps < 12:
		for range 1 + m.rnd.IntN(3) {
			m.append(run, agui.Event{Type: agui.TextMessageContent, MessageID: id,
				Delta: fmt.Sprint(len(m.events), " ")})
		}
	default:
		outcome := &agui.Outcome{Type: agui.OutcomeSuccess}
		if m.chance(40) {
			outcome.Type = agui.OutcomeInterrupt
			for range 1 + m.rnd.IntN(2) {
				m.interrupts++
				outcome.Interrupts = append(outcome.Interrupts, agui.Interrupt{ID: chat.InterruptID(fmt.Sprint("i",
					m.interrupts))})
			}
		}
		m.append(run, agui.Event{Type: agui.TextMessageEnd, MessageID: id},
			agui.Event{Type: agui.RunFinished, ThreadID: "t", RunID: run, Outcome: outcome})
		m.over[run], m.active, m.ended, m.open = true, "", m.head(), outcome.Interrupts
		m.postRow()
	}
	if m.watches == "t" {
		m.replay(from)
	}
}

// answered reports whether a run answers all open interrupts, and no others.
func (m *model) answered(f *wire.Run) bool {
	for _, r := range f.Resume {
		if !slices.ContainsFunc(m.open, func(i agui.Interrupt) bool { return i.ID == r.InterruptID }) {
			return false
		}
	}
	return len(f.Resume) == len(m.open)
}

// postRow posts the thread's row.
func (m *model) postRow() {
	m.row++
	m.post(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: "t", Updated: m.row, Interrupted: len(m.open) > 0}})
}

func (m *model) append(run chat.RunID, events ...agui.Event) {
	for _, e := range events {
		m.events, m.owner = append(m.events, e), append(m.owner, run)
	}
}

// equal returns an error with both values if their JSON differs.
func equal(have, want any) error {
	h, err := json.Marshal(have)
	if err != nil {
		return err
	}
	if w, err := json.Marshal(want); err != nil || string(h) != string(w) {
		return fmt.Errorf("%v: the view shows\n%s\nthe log says\n%s", err, h, w)
	}
	return nil
}

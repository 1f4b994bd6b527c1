package client_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// TestConverges plays random schedules to a view and a model server: frames in any order, twice, lost, sockets cut,
// functions that fail, the thread deleted and made again. Whatever happened, once the network is fair the view must
// come to show the truth; and at no time may it show a run that it has seen end, or text that no log holds.
func TestConverges(t *testing.T) {
	const schedules = 150
	base := uint64(time.Now().UnixNano())
	for i := range uint64(schedules) {
		w := newWorld(base + i)
		if err := w.play(); err != nil {
			t.Fatalf("seed %d: %v", base+i, err)
		}
	}
}

type world struct {
	rnd   *rand.Rand
	view  *client.View
	model *model
	now   time.Time
	wish  *time.Time // when the next socket may open
	sent  []chat.RunID
	seen  map[chat.RunID]bool // runs whose last event the view has applied

	compared chat.Cursor // where the messages were compared last
}

func newWorld(seed uint64) *world {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return &world{rnd: rnd, view: client.NewView(rnd.Float64), model: newModel(rnd), now: time.UnixMilli(0),
		seen: map[chat.RunID]bool{}}
}

func (w *world) play() error {
	if err := w.view.Open(w.now, "t"); err != nil {
		return err
	}
	w.wish = &w.now
	for range 300 {
		w.anything()
		if err := w.check(); err != nil {
			return err
		}
	}
	w.model.fair = true
	for end := w.now.Add(15 * time.Minute); w.now.Before(end); {
		w.orderly()
		if err := w.check(); err != nil {
			return err
		}
	}
	return w.truth()
}

// anything does one random thing.
func (w *world) anything() {
	m := w.model
	switch k := w.rnd.IntN(100); {
	case k < 30:
		w.toClient(w.rnd.IntN(max(1, len(m.toClient))))
	case k < 50:
		w.toServer(w.rnd.IntN(max(1, len(m.toServer))))
	case k < 70:
		m.work()
	case k < 85:
		w.pass(time.Duration(w.rnd.IntN(400)) * time.Millisecond)
	case k < 90:
		w.pass(time.Duration(w.rnd.IntN(20)) * time.Second)
	case k < 94:
		w.send()
	case k < 96:
		if len(w.sent) > 0 {
			w.must(w.view.Cancel(w.now, w.sent[w.rnd.IntN(len(w.sent))]))
		}
	case k < 98:
		if m.connected {
			m.cut()
			w.view.Lost(w.now)
		}
	case k < 99:
		m.remake()
	default:
		w.view.Wake(w.now)
	}
	w.collect()
}

// orderly delivers all there is, works, and lets some time pass.
func (w *world) orderly() {
	for len(w.model.toClient)+len(w.model.toServer) > 0 {
		w.toServer(0)
		w.toClient(0)
	}
	w.model.work()
	if w.model.active != "" || w.wish != nil {
		w.pass(time.Second)
	} else {
		w.pass(10 * time.Second)
	}
	w.collect()
}

func (w *world) must(err error) {
	if err != nil {
		panic(err)
	}
}

func (w *world) send() {
	id := chat.RunID(fmt.Sprint("r", len(w.sent)+1))
	w.sent = append(w.sent, id)
	var answers []agui.Resume
	for _, i := range w.view.State().Interrupts {
		answers = append(answers, agui.Resume{InterruptID: i.ID, Status: agui.ResumeResolved})
	}
	if answers == nil || w.model.chance(20) {
		w.must(w.view.Send(w.now, id, "question "+string(id)))
	} else {
		w.must(w.view.Answer(w.now, id, answers, ""))
	}
}

func (w *world) toClient(i int) {
	if m := w.model; i < len(m.toClient) {
		message := m.toClient[i]
		m.toClient = append(m.toClient[:i:i], m.toClient[i+1:]...)
		before := w.view.State()
		w.view.Receive(w.now, message)
		w.collect()
		w.see(before, w.view.State(), m.snapshots[string(message)])
	}
}

// see notes which last events were applied. What a snapshot brought was not applied event by event: the view cannot
// know which run it was.
func (w *world) see(before, after client.State, snapshot chat.Seq) {
	from := max(before.Seq, snapshot)
	if before.Epoch != after.Epoch {
		from = snapshot
	}
	for i := from; after.Epoch == w.model.epoch && i < after.Seq; i++ {
		if w.model.events[i].Terminal() {
			w.seen[w.model.owner[i]] = true
		}
	}
}

func (w *world) toServer(i int) {
	if m := w.model; i < len(m.toServer) {
		frame := m.toServer[i]
		m.toServer = append(m.toServer[:i:i], m.toServer[i+1:]...)
		m.handle(frame)
	}
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.view.Tick(w.now)
	w.collect()
	if w.wish != nil && !w.now.Before(*w.wish) {
		w.wish = nil
		if w.model.chance(20) {
			w.view.Lost(w.now)
		} else {
			w.model.connect()
			w.view.Opened(w.now)
		}
		w.collect()
	}
}

func (w *world) collect() {
	wishes := w.view.Wishes()
	if wishes.Close {
		w.model.cut()
	}
	if w.model.connected {
		w.model.toServer = append(w.model.toServer, wishes.Frames...)
	}
	if wishes.Connect {
		at := w.now.Add(wishes.After)
		w.wish = &at
	}
}

// check is what must hold at every step.
func (w *world) check() error {
	s := w.view.State()
	for _, r := range append(s.Waiting, s.Active) {
		if w.seen[r] {
			return fmt.Errorf("run %s had ended and is shown again", r)
		}
	}
	if s.Epoch != "" && s.Epoch == w.model.epoch {
		if s.Seq > w.model.head() {
			return fmt.Errorf("the cursor is at %d, the log ends at %d", s.Seq, w.model.head())
		}
		if at := (chat.Cursor{Epoch: s.Epoch, Seq: s.Seq}); at != w.compared {
			w.compared = at
			return equal(s.Messages, fold(w.model.events[:s.Seq]))
		}
	}
	return nil
}

// truth is what must hold in the end.
func (w *world) truth() error {
	s, m := w.view.State(), w.model
	if len(m.open) > 0 && len(s.Waiting) == len(m.wait) { // they wait for a person
		s.Waiting = nil
	}
	if s.Status != client.Ready || s.Behind || s.Active != "" || len(s.Waiting)+len(s.Sending) > 0 {
		return fmt.Errorf("the view has not come to rest: %+v", s)
	}
	if s.Epoch != m.epoch || s.Seq != m.head() {
		return fmt.Errorf("the view is at %s %d, the log at %s %d", s.Epoch, s.Seq, m.epoch, m.head())
	}
	for _, r := range w.sent {
		if m.known[r] != nil && !m.over[r] && !slices.ContainsFunc(m.wait, func(w *wire.Run) bool { return w.RunID == r }) {
			return fmt.Errorf("run %s has not ended", r)
		}
	}
	if have, want := fmt.Sprint(s.Interrupts), fmt.Sprint(m.open); have != want {
		return fmt.Errorf("the view asks %v, the thread %v", have, want)
	}
	return equal(s.Messages, fold(m.events))
}

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

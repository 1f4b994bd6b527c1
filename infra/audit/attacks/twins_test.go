package attacks_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/meters"
	"carrel/infra/testkit"
	"carrel/shared/wire"
)

// response is all that the sender can learn: the bytes of the answer, and what the request cost.
type response struct {
	answer string
	use    meters.Use // of message, without bytes and seconds
	steps  []string   // the requests of DynamoDB, sorted: some are made at the same time
}

// twin returns an id that does not exist and is like the victim's: of the same length and kind, and at the same place
// among ids that sort by time.
func twin(id string) string {
	if run, n, dotted := strings.Cut(id, "."); dotted { // a message's id: its run's, and a number
		return twin(run) + "." + n
	}
	var b [16]byte
	rand.Read(b[:]) // never fails
	random := hex.EncodeToString(b[:])
	if strings.ToUpper(id) == id {
		random = strings.ToUpper(random)
	}
	if len(id) == 36 && id[23] == '-' {
		return id[:24] + random[:12]
	}
	return id[:len(id)-12] + random[:12]
}

// times match the times in an answer: milliseconds since 1970.
var times = regexp.MustCompile(`\b1[0-9]{12}\b`)

// The attacker cannot distinguish an id of the victim from one that does not exist. For every frame type and every
// field that takes an id, alone and all together, the answers are the same bytes, are made by the same requests of
// DynamoDB, and cost the same. Two things are removed before the comparison: what the sender sent itself (the ids, the
// request's id, n), and times.
func TestAttack_ForeignIDLooksUnknown(t *testing.T) {
	t.Attr("row", "B3: a foreign id and an absent id get the same bytes after the same requests")
	s := newAttack(t)
	steps := &requestRecorder{}
	s.DynamoDB().SetHook(steps.hook)
	defer s.DynamoDB().SetHook(nil)
	types, _ := encodedFrames(t, ids{thread: "t", run: "r", epoch: "e", interrupt: "i", message: "m"})
	pairs, kinds, owns := 0, map[string]bool{}, make([]ids, len(types))
	var all []*testkit.Raw
	for _, kind := range types {
		all = append(all, s.attacker("mallory-compares-"+string(kind)))
	}
	inParallel(all, func(p *testkit.Raw) { owns[slices.Index(all, p)] = s.own(p) })
	for i, kind := range types {
		// None of these takes an id. TestAttack_OwnAndForeignIDs sends the victim's list cursors.
		if endsSession(kind) || kind == wire.TypeThreads || kind == wire.TypeRuns {
			continue
		}
		p, own := all[i], owns[i]
		_, frames := encodedFrames(t, own)
		twins := map[string]string{}
		for _, frame := range [][]byte{frames[kind], plain(frames[kind])} {
			for _, values := range named(t, s.victim, own, frame) {
				unknown := map[string]string{}
				for path, id := range values {
					if twins[id] == "" {
						twins[id] = twin(id)
					}
					unknown[path] = twins[id]
					kinds[string(kind)+" "+path] = true
				}
				pairs++
				s.compare(steps, p, frame, values, unknown)
			}
			if len(plain(frame)) == len(frames[kind]) {
				break // the frame has neither
			}
		}
	}
	t.Attr("figure",
		fmt.Sprintf("%d pairs of the victim's id and an unknown one in %d fields that take ids: same bytes, same "+
			"requests",
			pairs, len(kinds)))
	s.verify()
}

// plain returns a frame without a cursor and without responses, so that a run may be accepted.
func plain(frame []byte) []byte {
	return regexp.MustCompile(`,"(resume|cursor)":(\[.*?\]|\{.*?\})`).ReplaceAll(frame, nil)
}

// named returns the victim's ids to be put into the fields of a frame, by path: one field at a time, and all of them
// together.
func named(t *testing.T, v *victim, own ids, frame []byte) (all []map[string]string) {
	t.Helper()
	kinds := map[string][]ids{}
	together := []map[string]string{{}, {}, {}}
	victims := []ids{v.history, v.interrupted, v.running}
	for _, l := range leaves(t, frame) {
		for i, h := range victims {
			id := map[string]string{own.thread: h.thread, own.run: h.run, testkit.FreshRun: h.run, own.epoch: h.epoch,
				own.interrupt: v.interrupted.interrupt, own.message: v.ids["message"][i]}[l.text]
			if id == "" {
				continue
			}
			kinds[l.path] = victims
			all = append(all, map[string]string{l.path: id})
			together[i][l.path] = id
		}
	}
	if len(kinds) > 1 {
		all = append(all, together...)
	}
	if len(all) == 0 {
		t.Errorf("%s has no field for an id", frame)
	}
	return all
}

// compare sends the frame with the victim's ids and with unknown ones, in either order. There must be no difference.
// After a failure it does nothing: waitIdle does not wait then, so the next run would be busy behind the last one, and
// hide the difference that was found first.
func (s *attack) compare(steps *requestRecorder, p *testkit.Raw, frame []byte, foreign, unknown map[string]string) {
	s.Helper()
	if s.Failed() {
		return
	}
	s.tried++
	order := []map[string]string{foreign, unknown}
	if s.tried%2 == 0 {
		slices.Reverse(order)
	}
	var got []response
	for _, values := range order {
		if bytes.Contains(frame, []byte(`"type":"run"`)) { // both runs find their connection on another thread
			s.request(p, []byte(`{"type":"hello","n":`+testkit.NextN+`,"threadId":"elsewhere"}`))
		}
		got = append(got, s.response(steps, p, frame, values))
		s.waitIdle(p) // an accepted run has ended before the next request
	}
	if got[0].answer != got[1].answer {
		s.Errorf("%s: with %v the answer is\n%s\nand with %v\n%s", frame, order[0], got[0].answer, order[1],
			got[1].answer)
	}
	if got[0].use != got[1].use || !slices.Equal(got[0].steps, got[1].steps) {
		s.Errorf("%s: with %v the request cost %+v by %v\nand with %v %+v by %v", frame, order[0], got[0].use,
			got[0].steps,
			order[1], got[1].use, got[1].steps)
	}
	if len(got[0].steps) == 0 {
		s.Errorf("%s made no request of DynamoDB: this proves nothing", frame)
	}
}

// response asks and waits until the function is done, which may be after its answer.
func (s *attack) response(steps *requestRecorder, p *testkit.Raw, frame []byte, values map[string]string) (r response) {
	s.Helper()
	if bytes.Contains(frame, []byte(testkit.FreshRun)) {
		frame = bytes.ReplaceAll(frame, []byte(testkit.FreshRun),
			[]byte(testkit.FreshRun+twin(values["threadId"]+strings.Repeat("0", 12))))
	}
	quotes := map[string]string{}
	for _, l := range leaves(s.T, frame) { // a thread accepts each message id once
		if l.path == "messages[0].id" {
			quotes[l.path] = quote(twin(l.text))
		}
	}
	for path, id := range values {
		quotes[path] = quote(id)
	}
	f := with(s.T, frame, quotes)
	before := s.settled()
	steps.take()
	a := s.request(p, f)
	after := s.settled()
	r.use = meters.Use{Requests: after.Requests - before.Requests, ReadUnits: after.ReadUnits - before.ReadUnits,
		WriteUnits: after.WriteUnits - before.WriteUnits,
		Posts:      after.Posts - before.Posts, Sent: after.Sent - before.Sent,
		Received: after.Received - before.Received}
	r.steps, r.answer = slices.Sorted(slices.Values(steps.take())), string(a.Raw)
	for _, l := range leaves(s.T, p.Sent[len(p.Sent)-1]) {
		if len(l.text) > 8 {
			r.answer = strings.ReplaceAll(r.answer, l.text, "<"+l.path+">")
		}
	}
	r.answer = strings.Replace(r.answer, fmt.Sprintf(`"n":%d,`, p.N), `"n":<n>,`, 1)
	r.answer = regexp.MustCompile(`"reconnectInMs":\d+`).ReplaceAllString(r.answer,
		`"reconnectInMs":<rest of the life of the socket>`)
	r.answer = times.ReplaceAllString(r.answer, "<time>")
	return r
}

// settled returns the usage of message after it has handled every frame.
func (s *attack) settled() (u meters.Use) {
	s.Helper()
	testkit.Eventually(s.T, s.ctx, "message has handled every frame", func() bool {
		u = s.Meters().Read().Functions["MessageFunction"]
		return u.Invocations == u.Received+target.invocation
	})
	return u
}

// requestRecorder keeps the requests that message makes of DynamoDB.
type requestRecorder struct {
	mu    sync.Mutex
	steps []string
}

func (r *requestRecorder) hook(q proxy.Request) (f proxy.Fault, after func()) {
	if q.Caller == "MessageFunction" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.steps = append(r.steps, q.Operation)
	}
	return f, nil
}

// take returns the requests since it was last called.
func (r *requestRecorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := r.steps
	r.steps = nil
	return steps
}

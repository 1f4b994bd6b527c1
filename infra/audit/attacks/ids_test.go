package attacks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carrel/infra/testkit"
	"carrel/shared/wire"
)

// mostIDs is how many of the victim's ids of one kind are tried in each field.
const mostIDs = 4

// The attacker sends each id of the victim, of every kind, in every field of every frame, from accounts with data of
// their own. The answers contain nothing that the account did not send itself.
func TestAttack_VictimsIDsInEveryField(t *testing.T) {
	t.Attr("row", "C5: the victim's ids in each field of each frame")
	s := newAttack(t)
	kinds := []string{"thread", "run", "connection", "interrupt", "epoch", "message", "key"}
	owns, sockets := map[*testkit.Raw]ids{}, map[*testkit.Raw]string{}
	var all []*testkit.Raw
	for _, kind := range kinds {
		p := s.attacker("mallory-has-each-" + kind)
		owns[p], sockets[p] = s.own(p), kind
		all = append(all, p)
	}
	inParallel(all, func(p *testkit.Raw) {
		types, frames := encodedFrames(t, owns[p])
		ids := s.victim.ids[sockets[p]]
		for _, kind := range types {
			if endsSession(kind) { // see the next two
				continue
			}
			for _, l := range leaves(t, frames[kind]) {
				for _, id := range ids[:min(mostIDs, len(ids))] {
					s.request(p, with(t, frames[kind], map[string]string{l.path: quote(id)}))
				}
			}
		}
	})
	s.verify()
}

// An erase frame that names the victim's ids erases only its sender.
func TestAttack_Erase(t *testing.T) {
	t.Attr("row", "C5: an erasure that names the victim's threads erases the attacker alone")
	s := newAttack(t)
	p := s.attacker("mallory-erases")
	own := s.own(p)
	_, frames := encodedFrames(t, own)
	erase := frames[wire.TypeErase]
	for _, extra := range []string{"user", "userId", "threadId", "runId", "connectionId"} {
		if a := s.request(p, withField(t, erase, extra, quote(s.victim.name))); a.Code != "bad_frame" ||
			a.Field != extra {
			t.Errorf("with %s it is answered with %s", extra, a.Raw)
		}
	}
	for _, confirm := range []string{`false`, `"true"`, `1`, `null`, quote(s.victim.name)} {
		if a := s.request(p, []byte(`{"type":"erase","confirm":`+confirm+`}`)); a.Code != "bad_frame" {
			t.Errorf("confirmed with %s it is answered with %s", confirm, a.Raw)
		}
	}
	id := s.victim.ids["run"][0]
	if a := s.request(p, with(t, erase, map[string]string{"requestId": quote(id)})); a.Type != "accepted" ||
		a.State != "erasing" || a.RequestID != id {
		t.Errorf("the erase frame is answered with %s", a.Raw)
	}
	s.verify()
}

// A sign-out that names the victim's ids ends only the sender's own sessions.
func TestAttack_SignOut(t *testing.T) {
	s := newAttack(t)
	p := s.attacker("mallory-signs-out")
	own := s.own(p)
	_, frames := encodedFrames(t, own)
	signOut := frames[wire.TypeSignOut]
	for _, extra := range []string{"user", "userId", "threadId", "runId", "connectionId"} {
		if a := s.request(p, withField(t, signOut, extra, quote(s.victim.name))); a.Code != "bad_frame" ||
			a.Field != extra {
			t.Errorf("with %s it is answered with %s", extra, a.Raw)
		}
	}
	for _, everywhere := range []string{`false`, `"true"`, `1`, `null`, quote(s.victim.name)} {
		if a := s.request(p, []byte(`{"type":"signOut","everywhere":`+everywhere+`}`)); a.Code != "bad_frame" {
			t.Errorf("everywhere %s is answered with %s", everywhere, a.Raw)
		}
	}
	id := s.victim.ids["run"][0]
	if a := s.request(p, with(t, signOut, map[string]string{"requestId": quote(id)})); a.Type != "error" ||
		a.Code != "signed_out" || a.RequestID != id {
		t.Errorf("the sign-out is answered with %s", a.Raw)
	}
	// A frame that is sent before the close would be refused, and the refusal would not be received.
	if a, err := p.ReadAnswer(s.ctx); err == nil {
		t.Errorf("after the sign-out the socket stays open, and is sent %s", a.Raw)
	}
	s.verify()
}

// The attacker combines own ids with the victim's: the own thread and the victim's run, the victim's thread and an own
// run, a response to the victim's interrupt alone and beside one to an own interrupt, and cursors of one log on the
// other thread. The result is the attacker's own data or a refusal.
func TestAttack_OwnAndForeignIDs(t *testing.T) {
	t.Attr("row", "C5: own and foreign ids together")
	s := newAttack(t)
	p := s.attacker("mallory-combines")
	own, v := s.own(p), s.victim
	question := ids{thread: own.thread, run: newIDs().run}
	s.request(p, question.runFrame("/call notes_clear"))
	s.waitIdle(p)
	ready := s.request(p, fmt.Appendf(nil, `{"type":"hello","n":%s,"threadId":%q}`, testkit.NextN, own.thread))
	if len(ready.Interrupts) != 1 {
		t.Fatalf("the attacker has no interrupt of its own: %s", ready.Raw)
	}
	ownInterrupt := string(ready.Interrupts[0].ID)
	frames := combinedCursors(own, v)
	for _, thread := range []string{own.thread, v.interrupted.thread, v.running.thread} {
		for _, run := range []string{v.interrupted.run, v.running.run, v.queued, testkit.FreshRun} {
			for _, resume := range [][]string{{v.interrupted.interrupt}, {v.interrupted.interrupt, ownInterrupt}, nil} {
				frames = append(frames, runWithResponses(t, thread, run, resume))
			}
		}
	}
	for _, f := range frames {
		a := s.request(p, f)
		if strings.Contains(string(f), v.interrupted.interrupt) && a.Type != "rejected" && a.Code != "bad_frame" {
			t.Errorf("%s, a response to the victim's interrupt, is answered with %s", f, a.Raw)
		}
	}
	for _, run := range v.ids["run"] {
		s.request(p, fmt.Appendf(nil, `{"type":"cancel","runId":%q}`, run))
	}
	s.verify()
}

// combinedCursors returns hellos, pings and requests for pages with a position in one log and the id of another thread.
func combinedCursors(own ids, v *victim) (frames [][]byte) {
	for _, thread := range []string{own.thread, v.history.thread, v.interrupted.thread, v.running.thread} {
		for _, epoch := range []string{own.epoch, v.history.epoch, v.interrupted.epoch, v.running.epoch} {
			for _, seq := range []int{0, 1, 5, 40, 999_999_999_999} {
				frames = append(frames, fmt.Appendf(nil,
					`{"type":"hello","n":%s,"threadId":%q,"cursor":{"epoch":%q,"seq":%d}}`, testkit.NextN, thread,
					epoch, seq))
			}
			frames = append(frames, fmt.Appendf(nil, `{"type":"ping","threadId":%q,"cursor":{"epoch":%q,"seq":1}}`,
				thread, epoch))
		}
		frames = append(frames, fmt.Appendf(nil, `{"type":"history","threadId":%q,"before":50,"limit":100}`, thread),
			fmt.Appendf(nil, `{"type":"threads","before":%q,"limit":100}`, thread),
			fmt.Appendf(nil, `{"type":"threads","before":%q,"limit":100}`, listCursor("T#1#", thread)),
			fmt.Appendf(nil, `{"type":"runs","before":%q,"limit":100}`, listCursor("T#1#", thread)))
	}
	return frames
}

// runWithResponses returns a run with responses to interrupts, or with a message if there are none.
func runWithResponses(t *testing.T, thread, run string, interrupts []string) []byte {
	t.Helper()
	frame := map[string]any{"type": "run", "n": json.Number(testkit.NextN), "runId": run, "threadId": thread,
		"whenBusy": "reject", "messages": []any{}}
	var responses []any
	for _, id := range interrupts {
		responses = append(responses, map[string]any{"interruptId": id, "status": "resolved",
			"payload": map[string]any{"approved": true}})
	}
	if frame["resume"] = responses; len(responses) == 0 {
		delete(frame, "resume")
		frame["messages"] = []any{map[string]any{"id": run + ".1", "role": "user", "content": "/say mine"}}
	}
	return encode(t, frame)
}

// A run with the id of the victim's run, on a thread with the id of the victim's thread, is another run on another
// thread. Both are active side by side, and cancelling the one does not affect the other.
func TestAttack_RunWithSameID(t *testing.T) {
	t.Attr("row", "C5: a run with the id of the victim's run")
	s := newAttack(t)
	p, v := s.attacker("mallory-same-id"), s.victim
	other := s.attacker("mallory-same-id")
	twin := ids{thread: v.running.thread, run: v.running.run}
	if a := s.request(p, twin.runFrame("/say mine begins\n/stream 100000 10")); a.Type != "accepted" ||
		a.State != "running" {
		t.Fatalf("a run of the victim's id is answered with %s", a.Raw)
	}
	s.request(other, fmt.Appendf(nil, `{"type":"hello","n":%s,"threadId":%q}`, testkit.NextN, twin.thread))
	if err := p.ReadUntil(s.ctx, hasContent); err != nil {
		t.Fatal(err)
	}
	if a := s.request(other, fmt.Appendf(nil, `{"type":"cancel","runId":%q}`, twin.run)); a.Type != "accepted" {
		t.Errorf("the own run's cancel is answered with %s", a.Raw)
	}
	if err := readRunEnd(s.ctx, p, twin.run); err != nil {
		t.Fatalf("wait for the end of the own run: %v", err)
	}
	victimSocket := v.sockets[len(v.sockets)-1]
	v.request(t, s.ctx, victimSocket, []byte(`{"type":"ping"}`), "pong") // reads all frames that were sent before
	for streaming := false; !streaming; {
		raw, err := victimSocket.Read(s.ctx)
		if err != nil {
			t.Fatalf("read the next event of the victim's run: %v", err)
		}
		streaming = hasContent(raw)
	}
	s.verify()
}

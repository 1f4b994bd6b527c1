package attacks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"carrel/infra/testkit"
	"carrel/shared/monitor"
)

// verify ends an attack. Nothing of the victim may have been sent to an attacker, no item of another user may have
// changed, and every refusal must have been counted.
func (s *attack) verify() {
	s.Helper()
	for _, sockets := range s.byAccount() {
		for _, p := range sockets {
			s.waitIdle(p)
		}
	}
	foreign, received := s.checkReceived()
	changed, items := s.checkItems()
	if view := s.victim.view(s.T, s.ctx); !slices.Equal(view, s.view) {
		s.Errorf("the victim was shown\n%s\nand is now shown\n%s", strings.Join(s.view, "\n"), strings.Join(view, "\n"))
	}
	answers, logged := s.checkRefusals()
	s.Attr("figure", fmt.Sprintf("%d attacks tried from %d accounts, %d frames received: %d foreign bytes",
		s.tried, len(s.accounts), received, foreign))
	s.Attr("figure", fmt.Sprintf("%d changed items of %d", changed, items))
	s.Attr("figure", fmt.Sprintf("%d refusals, %d of them counted; %d connects refused", answers, logged, s.refused))
}

// checkReceived looks in all that was sent to attackers for anything of the victim that the account did not send
// itself. It returns how many bytes of that there are, in how many frames.
func (s *attack) checkReceived() (foreign, frames int) {
	s.Helper()
	for name, sockets := range s.byAccount() {
		var sent, received [][]byte
		for _, p := range sockets {
			sent, received = append(sent, p.Sent...), append(received, p.Received...)
		}
		frames += len(received)
		all, own := bytes.Join(received, nil), bytes.Join(sent, nil)
		for _, text := range s.victim.secretsAndIDs() {
			if !bytes.Contains(all, []byte(text)) || bytes.Contains(own, []byte(text)) {
				continue
			}
			for _, m := range received {
				if n := bytes.Count(m, []byte(text)); n > 0 {
					foreign += n * len(text)
					s.Errorf("%s was sent %q of the victim: %.400s", name, text, m)
				}
			}
		}
	}
	if frames == 0 {
		s.Error("nothing at all was sent to the attackers: this proves nothing")
	}
	return foreign, frames
}

// checkItems compares all items of the table, except those of attackers, with what they were. The victim's active run
// may change the lease in its own row and add records to its log. sweep may move the due time of a live item.
func (s *attack) checkItems() (changed, items int) {
	s.Helper()
	dueTime := regexp.MustCompile(`"due":\d+,?`)
	v := s.victim
	log := "U#" + v.name + "#T#" + v.running.thread + "#" + v.running.epoch + " E#"
	row := "U#" + v.name + " RUN#" + v.running.run
	now := s.items()
	for key, text := range s.before {
		if ofAttacker(key, text) || key == row {
			continue
		}
		items++
		if dueTime.ReplaceAllString(now[key], "") != dueTime.ReplaceAllString(text, "") {
			changed++
			s.Errorf("the item %s was %.300s and is %.300s", key, text, now[key])
		}
	}
	for key, text := range now {
		if _, had := s.before[key]; !had && !ofAttacker(key, text) && !strings.HasPrefix(key, log) {
			changed++
			s.Errorf("the item %s is new: %.300s", key, text)
		}
	}
	if s.before[row] == "" || items < 80 {
		s.Errorf("there were %d items to change, and the active run's row %.50s: this proves nothing", items,
			s.before[row])
	}
	return changed, items
}

// checkRefusals checks that every frame that was refused has a line in the log and one count of the metric, that every
// refused connect has a line, and that as many violations were recorded as the test meant to. It returns the numbers of
// refused and of counted frames.
func (s *attack) checkRefusals() (answers, counted int) {
	s.Helper()
	refusals := map[string]int{}
	for _, p := range s.sockets {
		for code, n := range refusalsOf(p) {
			refusals[code] += n
			answers += n
		}
	}
	var logged map[string]int
	var connects int
	var violations float64
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	looks := 0
	err := testkit.Poll(ctx, func() bool {
		logged, connects = s.loggedRefusals()
		now := testkit.ReadOps(s.T, s.ctx, s.Endpoints()).Totals()
		counted = int(now[monitor.FramesRefused] - s.metrics[monitor.FramesRefused])
		violations = now[monitor.IsolationViolation] - s.metrics[monitor.IsolationViolation]
		if looks++; s.Failed() && looks > 1 {
			cancel() // other problems are reported; there is nothing to wait for
		}
		return maps.Equal(logged, refusals) && counted == answers && connects == s.refused && violations == s.violations
	})
	if err != nil {
		s.Errorf("attackers were refused %v; the log has %v and the metric %v. %d connects were refused, the log has "+
			"%d. "+
			"%v violations were recorded, want %v", refusals, logged, counted, s.refused, connects, violations,
			s.violations)
	}
	return answers, counted
}

// refusalsOf counts the answers on a socket that refuse a frame, by code. The notice signed_out reports a sign-out that
// was carried out, so it refuses nothing.
func refusalsOf(p *testkit.Raw) map[string]int {
	all := map[string]int{}
	for _, frame := range p.Received {
		a, is := testkit.ParseAnswer(frame)
		if is && a.Code != "signed_out" && (a.Type == "error" || a.Type == "rejected") {
			all[a.Code]++
		}
	}
	return all
}

// loggedRefusals counts the refused frames of the attackers in the log, by code, and the refused connects.
func (s *attack) loggedRefusals() (frames map[string]int, connects int) {
	frames = map[string]int{}
	for line := range strings.Lines(testkit.Log(s.T, s.Stack)[s.logStart:]) {
		_, text, found := strings.Cut(line, "{")
		var l struct{ Msg, User, Code string }
		if !found || json.Unmarshal([]byte("{"+text), &l) != nil {
			continue
		}
		switch _, ours := s.accounts[l.User]; {
		case l.Msg == "connect refused":
			connects++
		case l.Msg == "refuse a frame" && ours:
			frames[l.Code]++
		}
	}
	return frames, connects
}

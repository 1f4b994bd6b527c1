package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"carrel/shared/monitor"
)

// judge ends an attack: nothing of the victim's came back, nothing of anybody else's changed, and every refusal was
// counted.
func (s *siege) judge() {
	s.Helper()
	for _, sockets := range s.byName() {
		for _, p := range sockets {
			s.idle(p)
		}
	}
	foreign, heard := s.spoils()
	changed, items := s.changes()
	if view := s.victim.sees(s.T, s.ctx); !slices.Equal(view, s.view) {
		s.Errorf("the victim saw\n%s\nand sees now\n%s", strings.Join(s.view, "\n"), strings.Join(view, "\n"))
	}
	counted := s.counted()
	s.Attr("figure", fmt.Sprintf("%d attacks tried from %d accounts, %d frames heard: %d foreign bytes", s.tried, len(s.accounts), heard, foreign))
	s.Attr("figure", fmt.Sprintf("%d changed items of %d", changed, items))
	s.Attr("figure", fmt.Sprintf("%d refusals, %d of them counted; %d connects refused", counted.answers, counted.logged, s.refused))
}

// spoils looks at all that reached attackers for anything of the victim's that the account did not say itself. It returns
// how many bytes of that there are, of how many frames.
func (s *siege) spoils() (foreign, heard int) {
	s.Helper()
	treasures := s.victim.treasures()
	for name, sockets := range s.byName() {
		var said, got [][]byte
		for _, p := range sockets {
			said, got = append(said, p.said...), append(got, p.heard...)
		}
		heard += len(got)
		all, own := bytes.Join(got, nil), bytes.Join(said, nil)
		for _, treasure := range treasures {
			if !bytes.Contains(all, []byte(treasure)) || bytes.Contains(own, []byte(treasure)) {
				continue
			}
			for _, m := range got {
				if n := bytes.Count(m, []byte(treasure)); n > 0 {
					foreign += n * len(treasure)
					s.Errorf("%s was sent %q of the victim: %.400s", name, treasure, m)
				}
			}
		}
	}
	if heard == 0 {
		s.Error("the attackers heard nothing at all: this proves nothing")
	}
	return foreign, heard
}

// changes compares all items but those of attackers with what they were. What the victim's running run
// writes itself is excepted: the lease of its own row, and records that are added to its log.
func (s *siege) changes() (changed, items int) {
	s.Helper()
	v := s.victim
	log, row := "U#"+v.name+"#T#"+v.running.thread+"#"+v.running.epoch+" E#", "U#"+v.name+" RUN#"+v.running.run
	now := s.table.items(s.ctx)
	for key, text := range s.before {
		if attackers(key, text) || key == row {
			continue
		}
		items++
		if now[key] != text {
			changed++
			s.Errorf("the item %s was %.300s and is %.300s", key, text, now[key])
		}
	}
	for key, text := range now {
		if _, had := s.before[key]; !had && !attackers(key, text) && !strings.HasPrefix(key, log) {
			changed++
			s.Errorf("the item %s is new: %.300s", key, text)
		}
	}
	if s.before[row] == "" || items < 80 {
		s.Errorf("there were %d items to change, and the running run's row %.50s: this proves nothing", items, s.before[row])
	}
	return changed, items
}

// tally is what was refused, and what an operator sees of that.
type tally struct{ answers, logged int }

// counted wants a line of the log and a count of the metric for every frame that was answered with a refusal, a line for
// every connect that was, and violations only where they were meant to be.
func (s *siege) counted() tally {
	s.Helper()
	answers := map[string]int{}
	for _, sockets := range s.byName() {
		for _, p := range sockets {
			for code, n := range p.refusals() {
				answers[code] += n
			}
		}
	}
	want := tally{}
	for _, n := range answers {
		want.answers += n
	}
	again, end := time.NewTicker(20*time.Millisecond), time.NewTimer(30*time.Second)
	defer again.Stop()
	defer end.Stop()
	for {
		logged, connects := s.logged()
		now := s.counts()
		counted := now[monitor.FramesRefused] - s.metrics[monitor.FramesRefused]
		violations := now[monitor.IsolationViolation] - s.metrics[monitor.IsolationViolation]
		if s.Failed() {
			end.Reset(0) // what else is wrong is told, and not waited for
		}
		if maps.Equal(logged, answers) && int(counted) == want.answers && connects == s.refused && violations == s.violations {
			want.logged = int(counted)
			return want
		}
		select {
		case <-again.C:
		case <-end.C:
			s.Errorf("attackers were refused %v; the log has %v and the metric %v. %d connects were refused, the log has %d. %v violations were recorded, want %v",
				answers, logged, counted, s.refused, connects, violations, s.violations)
			return want
		}
	}
}

// logged are the refusals of the attackers' frames in the log, by code, and those of connects.
func (s *siege) logged() (frames map[string]int, connects int) {
	frames = map[string]int{}
	for line := range strings.Lines(s.log()[s.from:]) {
		_, text, found := strings.Cut(line, "{")
		var l struct{ Msg, User, Code string }
		if !found || json.Unmarshal([]byte("{"+text), &l) != nil {
			continue
		}
		switch _, ours := s.accounts[l.User]; {
		case l.Msg == "connect refused":
			connects++
		case l.Msg == "frame refused" && ours:
			frames[l.Code]++
		}
	}
	return frames, connects
}

func (s *siege) log() string {
	b, err := os.ReadFile(s.Stack.Log())
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// counts are the metrics of all functions.
func (s *siege) counts() map[string]float64 {
	s.Helper()
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.Endpoints().Ops+".json", nil)
	if err != nil {
		s.Fatal(err)
	}
	got, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	var shown struct{ Metrics map[string]map[string]float64 }
	if err == nil {
		err = json.Unmarshal(text, &shown)
	}
	if err != nil {
		s.Fatal(err)
	}
	sums := map[string]float64{}
	for name, by := range shown.Metrics {
		for _, n := range by {
			sums[name] += n
		}
	}
	return sums
}

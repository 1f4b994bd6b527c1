package main

import (
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/model/scripted"
)

// The next run's model receives the part of an answer that a person saw before the answer was stopped or its model
// failed.
func TestTurn_NextRunKnowsHalfAnswers(t *testing.T) {
	var last []agui.Message
	r := newFixture(t, peek{scripted.New(scripted.Config{Pace: -1}), func(m []agui.Message) { last = m }})
	look := make(chan time.Time)
	r.after = func(d time.Duration) <-chan time.Time {
		if d == cancelEvery {
			return look
		}
		return time.After(d)
	}
	r.admit(t, "r1", "/stream 100000 100")
	ended := r.begins(t, "r1")
	if _, err := r.store.Cancel(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	look <- time.Now()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	stopped := said(r.events(t))
	r.after = time.After
	r.admit(t, "r2", "/fail late")
	r.turn(t, "r2")
	failed := strings.TrimPrefix(said(r.events(t)), stopped)
	r.admit(t, "r3", "/say next")
	r.turn(t, "r3")
	var got []string
	for _, m := range last {
		if m.Role == agui.RoleAssistant {
			got = append(got, m.Content)
		}
	}
	want := []string{stopped + " [stopped here by the person]", failed + " [cut off]"}
	if stopped == "" || failed == "" || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the model received\n%q\nand the person had seen\n%q", got, want)
	}
}

package scripted_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
	"carrel/shared/tool"
)

// FuzzMessage checks that every message gets an answer with one end, that only a script causes a panic, and that only
// expressions of the message are calculated.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"what is 12*(3+4)?", "2 + 2, please", "((1+2", "-", "1 ,5+3", "H2+O2", "/say x\ny",
		"/stream 3 1 9",
		"/call a {", "/fail panic", "/fail tool\n/say z", "/", "/ say", "héllo × 3−4"} {
		f.Add(seed)
	}
	now := make(chan time.Time)
	close(now)
	model := scripted.New(scripted.Config{Pace: -1, After: func(time.Duration) <-chan time.Time { return now }})
	f.Fuzz(func(t *testing.T, message string) {
		defer func() {
			if v := recover(); v != nil && !(v == "scripted: a panic, as the script says" &&
				strings.Contains(message, "/fail")) {
				panic(v)
			}
		}()
		r := engine.Request{
			Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: message}},
			Tools:    []tool.Spec{{Name: "calculator"}},
		}
		deltas, ended := 0, false
		for d, err := range model.Stream(context.Background(), r) {
			if ended {
				t.Fatalf("%q: more after the end", message)
			}
			ended = err != nil || d.Stop != ""
			if deltas++; deltas > 1000 {
				return // a script may ask for a million
			}
		}
		if !ended {
			t.Errorf("%q: no end", message)
		}
	})
}

package main

import (
	"bytes"
	"io"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/visible"
)

// TestReport: a person at a terminal reads each thing about the run once, and a pipe reads the missing servers only.
func TestReport(t *testing.T) {
	at := func(done, total float64, message string) client.State {
		p := agui.Progress{Call: "c1", Done: done, Total: total, Message: message}
		return client.State{Progress: map[string]agui.Progress{"c1": p}}
	}
	states := []client.State{
		{}, {Waiting: &agui.Waiting{Why: "thinking"}}, {Waiting: &agui.Waiting{Why: "thinking"}}, {},
		{Waiting: &agui.Waiting{Why: "busy"}}, {Waiting: &agui.Waiting{Why: "trying_another_model"}},
		{Sources: []agui.Source{{Server: "mail", State: "late"}}},
		{Sources: []agui.Source{{Server: "mail", State: "late"}, {Server: "gi\x1bt", State: "down"}}},
		at(1, 4, "one\x1b[2J"), at(1, 4, "one\x1b[2J"), at(8, 4, ""), at(7, 0, "seven"), {},
	}
	const servers = "(the server mail did not answer in time: its tools are missing)\n" +
		"(the server gi[U+001B]t cannot be reached: its tools are missing)\n"
	for terminal, want := range map[bool]string{
		false: servers,
		true: "(the model is thinking)\n(the model has too many requests, it is asked again in a moment)\n" +
			"(the model does not answer, another one is asked)\n" + servers +
			"(25 % one[U+001B][2J)\n(100 %)\n(7 seven)\n",
	} {
		var errs bytes.Buffer
		s := session{std: stdio{err: &errs, terminal: terminal}, printer: printer{out: visible.NewWriter(io.Discard)}}
		for _, state := range states {
			s.report(state)
		}
		if errs.String() != want {
			t.Errorf("terminal %v: printed\n%s\nwant\n%s", terminal, &errs, want)
		}
	}
}

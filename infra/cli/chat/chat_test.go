package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/endpoints"
)

// piped is a chat that reads its lines from a pipe, with the output that is expected.
type piped struct {
	args              []string
	in, out, err, bad string // bad: a part of the error with which it ends; "": none
}

func pipes() map[string]piped {
	answer := "Let me see.\ncalculator({\"expression\":\"2+2\"}) → 4\nIt is 4.\n"
	old := "> before?\nlong ago\n"
	return map[string]piped{
		"a question":    {in: "what is 2+2?\n", out: answer},
		"no newline":    {in: "what is 2+2?", out: answer},
		"two questions": {in: "what is 2+2?\n\nand again?\n", out: answer + answer},
		"nothing":       {},
		"a transcript":  {args: []string{"-thread", "old"}, out: old},
		"a lost socket": {in: "get lost\n", out: answer, err: "(connection lost, reconnecting…)\n(connected again)\n"},
		"a failed run": {in: "fail\n", out: "Let me \n", err: "internal: The model is away.\n",
			bad: "not all lines were answered"},
		"a bad command": {in: "/nope\n", err: "unknown command /nope; the commands are /agent [name], /threads, " +
			"/open <n>, /new, /rename <title>, /delete [n], /history, /runs, /refuse, /edit <arguments>, /stop and " +
			"/quit. To send it to the agent write //nope\n", bad: "not all lines were answered"},
		"a long line": {in: "what is 2+2?\n" + strings.Repeat("x", 70_000) + "\nand again?\n", out: answer,
			bad: "the rest of the input was not read: "},
		"quit": {in: "/quit\nwhat is 2+2?\n"},
		"a list": {in: "/threads\n/open 1\n", out: "  1  " + time.UnixMilli(1).Format(time.DateTime) +
			"  idle     an old one\n" + old},
		"a yes": {in: "ask delete\ny\nwhat is 2+2?\n", out: "? May I? delete({})\ndelete({}) → resolved\n" +
			answer},
		"a no": {in: "ask delete\nno\n", out: "? May I? delete({})\ndelete({}) → cancelled\n"},
		"a perhaps": {in: "ask delete\nperhaps\nYes\n", out: "? May I? delete({})\ndelete({}) → resolved\n",
			err: "this conversation awaits your decision: answer y or n\n", bad: "not all lines were answered"},
		"two questions of an agent": {in: "ask delete city\ny\nBern\n",
			out: "? May I? delete({})\n? Which city?\ndelete({}) → resolved\ncity({}) → resolved \"Bern\"\n"},
		"a question refused": {in: "ask city\n/refuse\n/refuse\n", out: "? Which city?\ncity({}) → cancelled\n",
			err: "no question is open here\n", bad: "not all lines were answered"},
		"a choice": {in: "ask color\nred\n", out: "? Which color? (red | green)\ncolor({}) → resolved \"red\"\n"},
		"a number": {in: "ask days trip\nthree\n3\n4\n",
			out: "? Which days?\n? Which trip?\ndays({}) → resolved 3\ntrip({}) → resolved {\"days\":4}\n",
			err: "the answer is to be a JSON integer; write it as JSON, or /refuse\n",
			bad: "not all lines were answered"},
		"a trick": {in: "ask trick\nred\n", out: "? Which [U+001B][2Jtrick?\ntrick({}) → resolved \"red\"\n"},
		"a form": {in: "ask form\n{\"a\":1,\"b\":2}\n",
			out: "? Which form?\nform({}) → resolved {\"a\":1,\"b\":2}\n"},
		"no answer": {in: "ask delete\n", out: "? May I? delete({})\n",
			bad: "the run is suspended: this conversation awaits your decision: make chat THREAD="},
		"half answer": {in: "ask delete city\ny\n", out: "? May I? delete({})\n? Which city?\n",
			bad: "the run is suspended"},
		"too much": {in: "too much\n", err: "rate_limited: Wait. (again in 6s)\n",
			bad: "not all lines were answered"},
		"runs": {in: "/runs\n/runs more\n",
			out: strings.ReplaceAll("TIME  suspended    3.2s  models 2, tools 1  r\n(older ones: /runs more)\n"+
				"TIME  suspended    3.2s  models 2, tools 1  r7\n", "TIME", time.UnixMilli(1).Format(time.DateTime))},
		"nothing to see": {in: "/open 1\n", err: "use /threads first, then a number of that list\n",
			bad: "not all lines were answered"},
	}
}

// TestPipe checks the output of a chat whose lines come from a pipe.
func TestPipe(t *testing.T) {
	for name, c := range pipes() {
		t.Run(name, func(t *testing.T) {
			file := newStack(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var out, errs bytes.Buffer
			err := run(ctx, append([]string{"-as", "alice", "-endpoints", file}, c.args...),
				stdio{in: strings.NewReader(c.in), out: &out, err: &errs})
			if ctx.Err() != nil {
				t.Fatal("it did not end")
			}
			if name == "a lost socket" && errs.Len() == 0 {
				c.err = "" // it was back before anybody looked
			}
			if out.String() != c.out || errs.String() != c.err {
				t.Errorf("have\n%s\nand on stderr\n%s\nwant\n%s\nand\n%s", &out, &errs, c.out, c.err)
			}
			if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
				t.Errorf("have error %v, want %q", err, c.bad)
			}
		})
	}
}

func TestPipe_Agent(t *testing.T) {
	for name, c := range map[string]struct{ in, out, err string }{
		"chosen": {in: "/agent second\n/agent\nwho?\n",
			out: "  first  Adds.\n* second  Says its[U+000A]name.\nLet me be second.\n"},
		"unknown": {in: "/agent third\nwho?\n", out: "Let me be .\n",
			err: "you cannot use an agent \"third\"; /agent lists the agents that you can use\n"},
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), []string{"-as", "alice", "-endpoints", newStack(t)},
			stdio{in: strings.NewReader(c.in), out: &out, err: &errs})
		if out.String() != c.out || errs.String() != c.err || (err == nil) != (c.err == "") {
			t.Errorf("%s: have\n%s\nand on stderr\n%s\n%v", name, &out, &errs, err)
		}
	}
}

// TestAnswers: an answer goes as it was written, or not at all.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct{ in, out, err string }{
		"other arguments": {"ask pay\n/edit {\"to\": \"Bob\", \"id\": 12345678901234567890}\n",
			`pay({}) → resolved {"approved":true,"arguments":{"to":"Bob","id":12345678901234567890}}`, ""},
		"arguments, no JSON": {"ask pay\n/edit to Bob\nn\n", "pay({}) → cancelled",
			"write the arguments behind /edit, as a JSON object\n"},
		"arguments, a list": {"ask pay\n/edit [1]\nn\n", "pay({}) → cancelled",
			"write the arguments behind /edit, as a JSON object\n"},
		"arguments not to be": {"ask delete\n/edit {}\nn\n", "delete({}) → cancelled",
			"the arguments of this call cannot be changed: answer y or n\n"},
		"nothing to edit":     {"/edit {}\n", "", "no question is open here\n"},
		"spaces":              {"ask city\n  Bern \n", `city({}) → resolved "  Bern "`, ""},
		"a slash":             {"ask city\n//Bern\n", `city({}) → resolved "/Bern"`, ""},
		"zeros":               {"ask city\n007\n", `city({}) → resolved "007"`, ""},
		"a choice alike":      {"ask who\nZo\u00eb\n", `who({}) → resolved "Zoe\u0308"`, ""},
		"a number to choose":  {"ask who\n7\n", "who({}) → resolved 7", ""},
		"a yes to choose":     {"ask who\ntrue\n", "who({}) → resolved true", ""},
		"a long number":       {"ask days\n12345678901234567890\n", "days({}) → resolved 12345678901234567890", ""},
		"one of two types":    {"ask any\n5\n", "any({}) → resolved 5", ""},
		"one of alternatives": {"ask some\n5\n", "some({}) → resolved 5", ""},
		"bad bytes": {"ask city\na\xffb\n/refuse\n", "city({}) → cancelled",
			"the answer is not valid UTF-8; write it again, or /refuse\n"},
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), []string{"-as", "alice", "-endpoints", newStack(t)},
			stdio{in: strings.NewReader(c.in), out: &out, err: &errs})
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if got := lines[len(lines)-1]; got != c.out || errs.String() != c.err || (err == nil) != (c.err == "") {
			t.Errorf("%s: %q and on stderr %q, %v; want %q and %q", name, got, &errs, err, c.out, c.err)
		}
	}
}

// TestHostileRun: nothing that a run says commands the terminal or hides something, in pieces or whole.
func TestHostileRun(t *testing.T) {
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"-as", "alice", "-endpoints", newStack(t)},
		stdio{in: strings.NewReader("hostile\n"), out: &out, err: &errs})
	bad := "[U+001B]]0;title[U+0007][U+001B][2J"
	want := "one\n\ttwo [U+001B]]52;c;aGk=[U+0007] 👩\u200d🚀 a[U+200D]\ndo" + bad + "({\"a\":\"[U+202E]\"}) → " + bad +
		"\n"
	if err == nil || out.String() != want || errs.String() != "internal: "+bad+"\n" {
		t.Errorf("printed\n%q\nwant\n%q\nand on stderr %q, %v", &out, want, &errs, err)
	}
}

// TestHostileTitle: a title neither commands the terminal nor breaks its line.
func TestHostileTitle(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"-as", "alice", "-endpoints", newStackWith(t, "\x1b[2Ja\nb\u202e")},
		stdio{in: strings.NewReader("/threads\n"), out: &out, err: io.Discard})
	if err != nil || !strings.HasSuffix(out.String(), "idle     [U+001B][2Ja[U+000A]b[U+202E]\n") ||
		strings.Count(out.String(), "\n") != 1 {
		t.Errorf("printed %q, %v", &out, err)
	}
}

// Ctrl-C ends a pipe, and its exit status does not say that all is well.
func TestPipe_CtrlC(t *testing.T) {
	in, lines := io.Pipe()
	defer lines.Close()
	interrupts := make(chan os.Signal, 1)
	interrupts <- os.Interrupt
	err := run(t.Context(), []string{"-as", "alice", "-endpoints", newStack(t)},
		stdio{in: in, out: io.Discard, err: io.Discard, interrupts: interrupts})
	if err == nil || !strings.Contains(err.Error(), "stopped before all lines were answered") {
		t.Errorf("it ended with %v", err)
	}
}

// TestChat_CannotStart: each error says what to do or who refused.
func TestChat_CannotStart(t *testing.T) {
	file := newStack(t)
	killed := filepath.Join(t.TempDir(), "endpoints.json")
	nobody := "http://127.0.0.1:1"
	if err := (endpoints.Endpoints{WebSocket: "ws://127.0.0.1:1", Token: nobody, DynamoDB: nobody,
		Table: "x"}).Write(killed); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"start it with make run":  {"-as", "alice", "-endpoints", filepath.Join(t.TempDir(), "endpoints.json")},
		"make chat AS=alice":      {"-endpoints", file},
		"the user does not exist": {"-as", "nobody", "-endpoints", file},
		"401":                     {"-as", "mallory", "-endpoints", file},
		"holds no endpoints":      {"-as", "alice", "-endpoints", empty(t)},
		"stack is not running":    {"-as", "alice", "-endpoints", killed},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel() // three of them wait until -connect ends
			err := run(t.Context(), append(args, "-connect", "2s"),
				stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: have %v, want %q", args, err, want)
			}
		})
	}
}

func empty(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "endpoints.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

package client_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// TestScenarios runs the scenarios of testdata/scenarios. Each shows one rule of the protocol; the README there
// describes the steps.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Files) != 1 || a.Files[0].Name != "script" || strings.TrimSpace(string(a.Comment)) == "" {
				t.Fatal("want a comment and one file, script")
			}
			p := newPlayer()
			// The first line of the script follows the comment in the file.
			line := strings.Count(string(a.Comment), "\n") + 1
			for _, step := range strings.Split(string(a.Files[0].Data), "\n") {
				line++
				if err := p.step(step); err != nil {
					t.Fatalf("%s:%d: %s\n%v", file, line, step, err)
				}
			}
			if err := p.end(); err != nil {
				t.Fatalf("%s: at the end: %v", file, err)
			}
		})
	}
}

// player plays one script to one view.
type player struct {
	view     *client.View
	now      time.Time
	frames   [][]byte       // sent, and not yet matched by a step
	hello    []byte         // sent on the next socket, and not yet matched
	promoted bool           // the view uses the next socket now, and no step has matched that
	inUse    bool           // the view has a socket
	wait     *time.Duration // the pause before the socket that the view requests; nil: none
}

func newPlayer() *player {
	return &player{view: client.NewView(func() float64 { return 1 }), now: time.UnixMilli(0)}
}

func (p *player) step(line string) error {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	var err error
	switch verb {
	case "", "#":
	case "open":
		err = p.view.Open(p.now, chat.ThreadID(rest))
	case "send":
		run, text, _ := strings.Cut(rest, " ")
		err = p.view.Send(p.now, chat.RunID(run), "", text)
	case "too-long":
		run, text, _ := strings.Cut(rest, " ")
		if p.view.Send(p.now, chat.RunID(run), "", text) == nil {
			err = fmt.Errorf("the view accepted the text")
		}
	case "respond":
		err = p.respond(rest)
	case "runs":
		err = p.view.Runs(p.now, chat.ListCursor(rest), 0)
	case "erase":
		err = p.view.Erase(p.now)
	case "sign-out":
		err = p.view.SignOut(p.now, rest == "runs")
	case "cancel":
		err = p.view.Cancel(p.now, chat.RunID(rest))
	case "threads":
		p.view.Threads(p.now)
	case "rename":
		id, title, _ := strings.Cut(rest, " ")
		err = p.view.Rename(p.now, chat.ThreadID(id), title)
	case "delete":
		err = p.view.Delete(p.now, chat.ThreadID(rest))
	case "request":
		frame, bad := wire.DecodeClient([]byte(rest))
		if bad != nil {
			return fmt.Errorf("decode the frame: %s", bad.Message)
		}
		err = p.view.Request(p.now, frame)
	case "wake":
		p.view.Wake(p.now)
	case "tick":
		var d time.Duration
		if d, err = time.ParseDuration(rest); err == nil {
			p.now = p.now.Add(d)
			p.view.Tick(p.now)
		}
	case "<":
		if !json.Valid([]byte(rest)) {
			return fmt.Errorf("the frame is not JSON")
		}
		p.view.Receive(p.now, []byte(rest))
	default:
		if !p.connection(verb, rest) {
			return p.expect(verb, rest)
		}
	}
	p.collect()
	return err
}

// connection plays a step that opens, closes or uses a socket. It reports whether the verb is such a step.
func (p *player) connection(verb, rest string) bool {
	switch verb {
	case "connect":
		if p.wait != nil {
			return false
		}
		if p.inUse {
			p.view.Offered(p.now)
		} else {
			p.view.Opened(p.now)
		}
		p.inUse = true
	case "lost":
		p.inUse = false
		p.view.Lost(p.now)
	case "refused":
		p.view.Failed(p.now)
	case "<+":
		p.view.ReceiveNext(p.now, []byte(rest))
	default:
		return false
	}
	return true
}

// respond plays the step respond: a run id, the responses as JSON without spaces, and an optional text.
func (p *player) respond(rest string) error {
	run, rest, _ := strings.Cut(rest, " ")
	list, text, _ := strings.Cut(rest, " ")
	var answers []agui.Resume
	if err := json.Unmarshal([]byte(list), &answers); err != nil {
		return err
	}
	return p.view.Respond(p.now, chat.RunID(run), answers, text)
}

// collect takes the view's actions.
func (p *player) collect() {
	w := p.view.Actions()
	if w.Close {
		p.inUse = false
	}
	if w.Promote {
		p.frames, p.promoted, p.inUse = nil, true, true
	}
	p.frames = append(p.frames, w.Frames...)
	if w.Hello != nil {
		p.hello = w.Hello
	}
	if w.Connect {
		p.wait = &w.After
	}
}

func (p *player) expect(verb, rest string) error {
	switch verb {
	case ">":
		if len(p.frames) == 0 {
			return fmt.Errorf("the client has sent no further frame")
		}
		next := p.frames[0]
		p.frames = p.frames[1:]
		return contains(next, []byte(rest))
	case ">!":
		return p.quiet()
	case ">+":
		next := p.hello
		p.hello = nil
		if next == nil {
			return fmt.Errorf("the client has not sent hello on the next socket")
		}
		return contains(next, []byte(rest))
	case "promote":
		if !p.promoted {
			return fmt.Errorf("the client still uses the old socket")
		}
		p.promoted = false
		return nil
	case "reconnect":
		return p.reconnect(rest)
	case "connect":
		return fmt.Errorf("the client reconnects after %v: add a step reconnect before connect", *p.wait)
	case "=":
		state, err := json.Marshal(p.view.State())
		if err != nil {
			return err
		}
		return contains(state, []byte(rest))
	}
	return fmt.Errorf("unknown step %q", verb)
}

func (p *player) quiet() error {
	if len(p.frames) > 0 {
		return fmt.Errorf("the client has sent %s", p.frames[0])
	}
	return nil
}

func (p *player) reconnect(rest string) error {
	wait := p.wait
	p.wait = nil
	if rest == "never" {
		if wait != nil {
			return fmt.Errorf("the client reconnects after %v, want never", *wait)
		}
		return nil
	}
	want, err := time.ParseDuration(rest)
	if err != nil {
		return err
	}
	if wait == nil || *wait != want {
		return fmt.Errorf("the client reconnects after %v, want %v", wait, want)
	}
	return nil
}

func (p *player) end() error {
	if err := p.quiet(); err != nil {
		return err
	}
	if p.promoted || p.hello != nil {
		return fmt.Errorf("the client has used the next socket, and no step matches that")
	}
	return p.reconnect("never")
}

// contains returns an error that names the first place where have lacks a part of want.
func contains(have, want []byte) error {
	var h, w any
	if err := json.Unmarshal(have, &h); err != nil {
		return err
	}
	if err := json.Unmarshal(want, &w); err != nil {
		return fmt.Errorf("decode the expected JSON: %w", err)
	}
	if where := differ(h, w, "$"); where != "" {
		return fmt.Errorf("%s\nin %s", where, have)
	}
	return nil
}

// differ returns the first difference below path, or "" if have contains want.
func differ(have, want any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: want an object, have %v", path, have)
		}
		for k, v := range want {
			if where := differ(h[k], v, path+"."+k); where != "" {
				return where
			}
		}
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return fmt.Sprintf("%s: want %v, have %v", path, want, have)
		}
		for i, v := range want {
			if where := differ(h[i], v, fmt.Sprintf("%s[%d]", path, i)); where != "" {
				return where
			}
		}
	default:
		if have != want {
			return fmt.Sprintf("%s: want %v, have %v", path, want, have)
		}
	}
	return ""
}

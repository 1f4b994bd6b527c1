package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/visible"
	"carrel/shared/wire"
)

var errQuit = errors.New("quit")

// session is one chat: it reads lines and prints the changes of the view.
type session struct {
	client    *client.Client
	std       stdio
	out       *visible.Writer // std.out
	wait      time.Duration
	printer   printer
	agent     string            // the agent that the next messages go to; "" is the default
	rows      []wire.ThreadInfo // the last output of /threads
	olderRuns chat.ListCursor   // the cursor of the next page of /runs; "" after the last page
	notices   int               // how many notices were printed
	status    client.Status
	away      bool       // the message about truncated details was printed
	failed    chat.RunID // the run whose failure was printed
	reported  string     // the last line that was printed about the active run
	asked     bool       // the prompt is printed
	refused   bool       // a request was refused or failed; a pipe then ends with an error
	held      *string    // a piped line that waits for earlier answers
	stopped   bool       // Ctrl-C has stopped the run; the next one quits
	older     older
	putID     chat.InterruptID // the last printed question
	answers   []agui.Resume    // responses so far to the open questions
	unread    error            // the error that ended the input
}

// older is the position up to which the history of a thread was read.
type older struct {
	thread chat.ThreadID
	before chat.Seq
}

// newSession makes a session. All of its output passes a visible.Writer, so that text from a model, a tool or another
// user cannot control the terminal or hide anything.
func newSession(c *client.Client, std stdio, wait time.Duration) *session {
	out := visible.NewWriter(std.out)
	std.out, std.err = out, visible.NewWriter(std.err)
	return &session{client: c, std: std, wait: wait, out: out,
		printer: printer{out: out, colour: std.colour, own: map[string]bool{}}}
}

// run lasts until /quit, Ctrl-C without a running run, the end of ctx or, in a pipe, the last answer.
func (s *session) run(ctx context.Context) error {
	lines, failed := s.std.lines(ctx)
	ended := false
	var late <-chan time.Time
	for {
		changed := s.client.Changes()
		state := s.client.State()
		s.show(state)
		if state.Status == client.Erasing {
			return errors.New("all your data is being erased, or was erased: this account can be used again tomorrow")
		}
		if state.Status == client.SignedOut {
			return errors.New("you were signed out, here or on another device: start again to sign in")
		}
		if idle(state) {
			s.printer.endLine()
			s.stopped = false
			s.put(state)
			if line := s.held; line != nil {
				if s.held = nil; s.take(ctx, *line) {
					return s.verdict(state)
				}
				continue
			}
			if ended {
				return s.verdict(state)
			}
			s.prompt()
		}
		next := lines
		if s.held != nil || ended {
			next = nil
		}
		select {
		case <-ctx.Done():
			return s.leave(state)
		case <-s.std.interrupts:
			if !s.interrupt(state) {
				return s.leave(state)
			}
		case <-late:
			return fmt.Errorf("no answer within %v: %w", s.wait, orElse(state.Err, errors.New("the run has not ended")))
		case <-changed:
		case line, more := <-next:
			if !more {
				ended, late, s.unread = true, time.After(s.wait), failed()
			} else if s.take(ctx, line) {
				return s.verdict(s.client.State())
			}
		}
	}
}

// idle reports whether it is the person's turn. Runs that are queued behind a question do not count.
func idle(s client.State) bool {
	waits := len(s.Queued) > 0 && len(s.Interrupts) == 0
	return s.Status == client.Ready && !s.Lagging && s.Active == "" && !waits && len(s.Sending) == 0
}

// take carries out a line. In a pipe it holds the line until earlier lines are answered. It reports whether the chat
// ends.
func (s *session) take(ctx context.Context, line string) bool {
	if command := strings.TrimSpace(line); !s.std.terminal && command != "/stop" && command != "/quit" {
		state := s.client.State()
		if !idle(state) {
			s.held = &line
			return false
		}
		s.show(state) // show first, because the line may answer a question that is new
		s.printer.endLine()
		s.put(state)
	}
	s.asked = false
	err := s.do(ctx, line)
	var told *client.Refused
	switch {
	case errors.Is(err, errQuit):
		return true
	case errors.As(err, &told): // a notice reports it too
		s.refused = true
	case err != nil:
		s.refused = true
		fmt.Fprintln(s.std.err, err)
	}
	return false
}

// interrupt handles Ctrl-C: it stops the running run. It reports whether the chat continues.
func (s *session) interrupt(state client.State) bool {
	s.printer.endLine()
	if idle(state) || s.stopped || s.stop() != nil {
		return false
	}
	s.stopped = true
	fmt.Fprintln(s.std.err, "(stopping; press Ctrl-C again to quit)")
	return true
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// leave handles an end from outside. A pipe then has unanswered lines.
func (s *session) leave(state client.State) error {
	s.printer.endLine()
	if !s.std.terminal {
		return errors.New("stopped before all lines were answered")
	}
	return s.verdict(state)
}

// verdict returns the result at the end of the input.
func (s *session) verdict(state client.State) error {
	switch {
	case s.unread != nil:
		return fmt.Errorf("the rest of the input was not read: %w", s.unread)
	case s.std.terminal:
		if s.asked {
			fmt.Fprintln(s.std.out) // the shell's prompt then begins on a new line
		}
	case len(state.Interrupts) > 0:
		return fmt.Errorf("the run is suspended: this conversation awaits your decision: make chat THREAD=%s, and AS "+
			"as before", state.ThreadID)
	case s.refused:
		return errors.New("not all lines were answered")
	}
	return nil
}

func (s *session) prompt() {
	if s.std.terminal && !s.asked {
		fmt.Fprint(s.std.out, "> ")
		s.asked = true
	}
}

// show prints the changes of the state.
func (s *session) show(state client.State) {
	s.printer.show(state)
	if len(state.Notices) < s.notices {
		s.notices = 0
	}
	for _, n := range state.Notices[s.notices:] {
		s.complain(n)
	}
	s.notices = len(state.Notices)
	if f := state.Failure; f != nil && f.RunID != s.failed {
		s.failed = f.RunID
		s.complain(*f)
	}
	s.report(state)
	if state.Truncated && !s.away {
		s.printer.endLine()
		fmt.Fprintln(s.std.err, "(some details are no longer stored; all messages are complete)")
	}
	s.away = state.Truncated
	if state.Status == s.status {
		return
	}
	switch {
	case state.Status == client.Lost:
		s.printer.endLine()
		fmt.Fprintln(s.std.err, "(connection lost, reconnecting…)")
	case state.Status == client.Replaced:
		fmt.Fprintln(s.std.err, "(replaced by a newer window; write something to reconnect)")
	case state.Status == client.Ready && s.status == client.Lost:
		fmt.Fprintln(s.std.err, "(connected again)")
	}
	if state.Status != client.Connecting {
		s.status = state.Status
	}
}

func (s *session) complain(n client.Notice) {
	s.printer.endLine()
	s.refused = true
	again := ""
	if n.RetryAfterMS > 0 {
		again = fmt.Sprintf(" (again in %v)", (time.Duration(n.RetryAfterMS) * time.Millisecond).Round(time.Second))
	}
	fmt.Fprintf(s.std.err, "%s: %s%s\n", n.Code, n.Message, again)
}

const commands = "/agent [name], /threads, /open <n>, /new, /rename <title>, /delete [n], /history, /runs, /refuse, " +
	"/edit <arguments>, /stop and /quit"

// do carries out one line: a command, a response or a message. A response is sent as written, with its spaces.
func (s *session) do(ctx context.Context, written string) error {
	line, answer := strings.TrimSpace(written), written
	verb, arg, _ := strings.Cut(line, " ")
	switch {
	case chars.Blank(line):
		return nil
	case verb == "/quit":
		return errQuit
	case verb == "/new":
		return s.open(chat.ThreadID(client.NewID()))
	case verb == "/agent":
		return s.choose(arg)
	case verb == "/threads":
		return s.listThreads(ctx)
	case verb == "/open":
		row, err := s.row(arg)
		if err != nil {
			return err
		}
		return s.open(row)
	case verb == "/rename":
		return s.rename(ctx, arg)
	case verb == "/delete":
		return s.delete(ctx, arg)
	case verb == "/runs":
		return s.listRuns(ctx, arg)
	case verb == "/history":
		return s.history(ctx)
	case verb == "/stop":
		return s.stop()
	case strings.HasPrefix(verb, "//"): // a message that begins with a slash
		line = line[1:]
		answer = strings.Replace(written, "//", "/", 1)
	case verb == "/refuse", verb == "/edit":
		answer = line
	case strings.HasPrefix(verb, "/"):
		return fmt.Errorf("unknown command %s; the commands are %s. To send it to the agent write /%[1]s", verb,
			commands)
	}
	if q := s.question(s.client.State()); q != nil {
		return s.reply(*q, answer)
	}
	if verb == "/refuse" || verb == "/edit" {
		return errors.New("no question is open here")
	}
	run, err := s.client.SendTo(s.agent, line)
	s.printer.own[string(run)+".1"] = true
	return err
}

// choose selects the agent that the next messages go to. Without a name it lists the agents.
func (s *session) choose(name string) error {
	agents := s.client.State().Agents
	if len(agents) == 0 {
		return errors.New("you can use one agent only")
	}
	if name == "" {
		for i, a := range agents {
			mark := " "
			if a.Name == s.agent || s.agent == "" && i == 0 {
				mark = "*"
			}
			fmt.Fprintf(s.out, "%s %s  %s\n", mark, a.Name, visible.Line(a.Description))
		}
		return nil
	}
	for _, a := range agents {
		if a.Name == name {
			s.agent = name
			return nil
		}
	}
	return fmt.Errorf("you cannot use an agent %q; /agent lists the agents that you can use", name)
}

// stop cancels all runs of this thread: running, queued and unacknowledged ones.
func (s *session) stop() error {
	state := s.client.State()
	runs := append(append([]chat.RunID{}, state.Sending...), state.Queued...)
	if state.Active != "" {
		runs = append(runs, state.Active)
	}
	if len(runs) == 0 {
		return errors.New("no run is running here")
	}
	for _, r := range runs {
		if err := s.client.Cancel(r); err != nil {
			return err
		}
	}
	return nil
}

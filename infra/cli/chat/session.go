package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

var errQuit = errors.New("quit")

// session is one chat: lines go in, what the view shows comes out.
type session struct {
	client  *client.Client
	std     stdio
	wait    time.Duration
	printer printer
	rows    []wire.ThreadInfo // as /threads printed them last
	notices int               // of them were printed
	status  client.Status
	failed  chat.RunID // whose failure was printed
	asked   bool       // the prompt stands there
	refused bool       // something was refused or failed: a pipe then ends with an error
}

func newSession(c *client.Client, std stdio, wait time.Duration) *session {
	return &session{client: c, std: std, wait: wait, printer: printer{out: std.out, own: map[string]bool{}}}
}

// run goes on until /quit, the end of the ctx or, in a pipe, the last answer.
func (s *session) run(ctx context.Context) error {
	lines := readLines(ctx, s.std)
	var late <-chan time.Time
	for {
		changed := s.client.Changes()
		state := s.client.State()
		s.show(state)
		idle := state.Status == client.Ready && !state.Behind && state.Active == "" && len(state.Waiting)+len(state.Sending) == 0
		if idle {
			s.printer.endLine()
			if lines == nil {
				return s.verdict()
			}
			s.prompt()
		}
		select {
		case <-ctx.Done():
			s.printer.endLine()
			return nil
		case <-late:
			return fmt.Errorf("no answer within %v: %w", s.wait, orElse(state.Err, errors.New("the run has not ended")))
		case <-changed:
		case line, more := <-lines:
			if !more {
				lines = nil
				late = time.After(s.wait)
				continue
			}
			s.asked = false
			if err := s.do(ctx, strings.TrimSpace(line)); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				s.refused = true
				fmt.Fprintln(s.std.err, err)
			}
		}
	}
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// verdict is the end of a pipe.
func (s *session) verdict() error {
	if s.refused && !s.std.terminal {
		return errors.New("not everything was answered")
	}
	return nil
}

func (s *session) prompt() {
	if s.std.terminal && !s.asked {
		fmt.Fprint(s.std.out, "> ")
		s.asked = true
	}
}

// readLines reads until the end of the input. Nothing can end a read of a terminal, so nobody waits for its goroutine:
// it ends with the process, or once its line finds the ctx ended.
func readLines(ctx context.Context, std stdio) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(std.in)
		in.Buffer(nil, 2*wire.MaxFrame)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
		if err := in.Err(); err != nil {
			fmt.Fprintln(std.err, "read the input:", err)
		}
	}()
	return lines
}

// show prints what is new in the state.
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
	if state.Status == s.status {
		return
	}
	switch {
	case state.Status == client.Lost:
		fmt.Fprintln(s.std.err, "(the connection is lost; trying again)")
	case state.Status == client.Replaced:
		fmt.Fprintln(s.std.err, "(replaced by a newer window; write something to come back)")
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
	fmt.Fprintf(s.std.err, "%s: %s\n", n.Code, n.Message)
}

// do is one line of input: a command or a message.
func (s *session) do(ctx context.Context, line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch {
	case line == "":
		return nil
	case verb == "/quit":
		return errQuit
	case verb == "/new":
		return s.open(chat.ThreadID(client.NewID()))
	case verb == "/threads":
		return s.listThreads(ctx)
	case verb == "/open":
		n, err := strconv.Atoi(strings.TrimSpace(arg))
		if err != nil || n < 1 || n > len(s.rows) {
			return errors.New("say /threads first, then /open with a number of that list")
		}
		return s.open(s.rows[n-1].ThreadID)
	case verb == "/stop":
		return s.stop()
	case strings.HasPrefix(verb, "/"):
		return fmt.Errorf("there is no %s; there are /threads, /open <n>, /new, /stop and /quit", verb)
	}
	run, err := s.client.Send(line)
	s.printer.own[string(run)+".m"] = true
	return err
}

func (s *session) open(id chat.ThreadID) error {
	s.printer.reset()
	return s.client.Open(id)
}

func (s *session) listThreads(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	rows, err := s.client.Threads(ctx)
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	s.rows = rows
	for i, row := range rows {
		fmt.Fprintf(s.std.out, "%3d  %s  %s\n", i+1, time.UnixMilli(row.Updated).Format(time.DateTime), row.Title)
	}
	if len(rows) == 0 {
		fmt.Fprintln(s.std.out, "(no threads yet)")
	}
	return nil
}

// stop cancels what this thread has: the running run, what waits and what is on its way.
func (s *session) stop() error {
	state := s.client.State()
	runs := append(append([]chat.RunID{}, state.Sending...), state.Waiting...)
	if state.Active != "" {
		runs = append(runs, state.Active)
	}
	if len(runs) == 0 {
		return errors.New("nothing runs here")
	}
	for _, r := range runs {
		if err := s.client.Cancel(r); err != nil {
			return err
		}
	}
	return nil
}

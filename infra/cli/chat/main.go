// Command chat is a chat in the terminal, as one of the local stack's made-up users (make chat AS=alice). It streams
// the agent's text and shows its tool calls. Ctrl-C stops the running run, and quits if there is none. In a pipe it
// sends each line after the answer to the line before, prints the answers and exits.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/visible"
	"carrel/shared/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	std := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, interrupts: interrupts}
	std.terminal = isTerminal(os.Stdin)
	std.colour = std.terminal && isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == ""
	if err := run(ctx, os.Args[1:], std); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", visible.Text(err.Error()))
		stop()
		os.Exit(1)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// stdio holds the input and outputs of a chat.
type stdio struct {
	in         io.Reader
	out, err   io.Writer
	interrupts <-chan os.Signal // Ctrl-C
	terminal   bool             // it prints a prompt, and accepts a line before the last answer
	colour     bool             // reasoning is shown, dimmed
}

// lines reads lines until the end of the input. After the channel is closed, failed returns the reason of an early end.
// A read from a terminal cannot be interrupted, so nothing waits for the goroutine. It ends with the process, or when
// it has read a line after the end of ctx.
func (std stdio) lines(ctx context.Context) (_ <-chan string, failed func() error) {
	lines := make(chan string)
	var err error
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
		err = in.Err()
	}()
	return lines, func() error { return err }
}

func run(ctx context.Context, args []string, std stdio) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(std.err)
	as := flags.String("as", "", "the user's name, such as alice")
	thread := flags.String("thread", "", "the thread to open (default: a new one)")
	file := flags.String("endpoints", endpoints.Default, "the file in which the running stack lists its endpoints")
	wait := flags.Duration("wait", 10*time.Minute, "how long to wait for the answers after the end of a piped input")
	patience := flags.Duration("connect", 10*time.Second, "how long to try to connect")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	if *as == "" || flags.NArg() > 0 {
		return errors.New("name the user: make chat AS=alice, or -as alice")
	}
	where, err := endpoints.Read(*file)
	if err != nil {
		return err
	}
	id := chat.ThreadID(*thread)
	if id == "" {
		id = chat.ThreadID(client.NewID())
	}
	first, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	c, err := client.Dial(first, client.Config{URL: where.WebSocket, Thread: id,
		Token: func(ctx context.Context) (string, error) { return endpoints.SignIn(ctx, where.Token, *as) }})
	if err != nil {
		return endpoints.Explain(err)
	}
	defer c.Close()
	return newSession(c, std, *wait).run(ctx)
}

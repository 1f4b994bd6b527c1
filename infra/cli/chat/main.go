// Command chat is Carrel in a terminal, for one of the local stack's made-up users: make chat AS=alice. It streams
// what the agent says and shows its tool calls; Ctrl-C stops what runs, and quits if nothing does. In a pipe it sends
// each line once the last is answered, prints the answers and exits.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"carrel/shared/chat"
	"carrel/shared/client"
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
		fmt.Fprintln(os.Stderr, "chat:", err)
		stop()
		os.Exit(1)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// stdio is where a chat reads and writes.
type stdio struct {
	in         io.Reader
	out, err   io.Writer
	interrupts <-chan os.Signal // Ctrl-C
	terminal   bool             // it prompts, and takes the next line at once
	colour     bool             // thinking is shown, dimmed
}

func run(ctx context.Context, args []string, std stdio) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(std.err)
	as := flags.String("as", "", "the user's name, such as alice")
	thread := flags.String("thread", "", "the thread to open (default: a new one)")
	file := flags.String("endpoints", ".carrel/endpoints.json", "where the running stack says where it is")
	wait := flags.Duration("wait", 10*time.Minute, "how long to wait for the answers after the end of a piped input")
	patience := flags.Duration("connect", 10*time.Second, "how long to try to connect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *as == "" || flags.NArg() > 0 {
		return errors.New("say who you are: make chat AS=alice, or -as alice")
	}
	where, err := readEndpoints(*file)
	if err != nil {
		return err
	}
	tokens := &http.Client{Timeout: 10 * time.Second}
	id := chat.ThreadID(*thread)
	if id == "" {
		id = chat.ThreadID(client.NewID())
	}
	first, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	c, err := client.Dial(first, client.Config{URL: where.WebSocket, Thread: id,
		Token: func(ctx context.Context) (string, error) { return signIn(ctx, tokens, where.Token, *as) }})
	if err != nil {
		return fmt.Errorf("%w (does the stack still run? start it with make run)", err)
	}
	defer c.Close()
	return newSession(c, std, *wait).run(ctx)
}

// endpoints is what is needed of .carrel/endpoints.json.
type endpoints struct {
	WebSocket string `json:"websocket"`
	Token     string `json:"token"`
}

func readEndpoints(file string) (endpoints, error) {
	var e endpoints
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("the stack does not run (there is no %s): start it with make run", file)
	}
	if err != nil {
		return e, fmt.Errorf("read where the stack is: %w", err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("read where the stack is: %s: %w", file, err)
	}
	if e.WebSocket == "" || e.Token == "" {
		return e, fmt.Errorf("%s names no websocket or no token endpoint: start the stack anew with make run", file)
	}
	return e, nil
}

// signIn gets an access token of a made-up user from the local issuer.
func signIn(ctx context.Context, c *http.Client, endpoint, user string) (string, error) {
	form := strings.NewReader(url.Values{"user": {user}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, form)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.Do(req)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("sign in as %q: %s: %s", user, res.Status, strings.TrimSpace(string(body)))
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("sign in as %q: the answer holds no access_token", user)
	}
	return answer.AccessToken, nil
}

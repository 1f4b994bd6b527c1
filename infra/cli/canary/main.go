// Command canary is two users of a running stack, local or deployed, of whom one tries to reach the other by every type
// of frame: make canary. Its exit status is 0 if nothing came through, 1 if anything did, and 2 if it could not be run.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
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

	"carrel/shared/client"
)

// The exit statuses.
const (
	statusClean = iota
	statusLeak
	statusNotRun
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], world{getenv: os.Getenv, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// world is what is around the command.
type world struct {
	getenv   func(string) string
	out, err io.Writer
}

// place is the stack that is asked, and as whom.
type place struct {
	url    string
	tokens [2]string // of the one who tries, and of the other
	forget bool      // the one who tries is made up, and may be erased
}

func run(ctx context.Context, args []string, w world) int {
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.SetOutput(w.err)
	to := flags.String("url", "", "the WebSocket of a deployed stack, its output WebSocket (default: the local stack that runs)")
	file := flags.String("endpoints", ".carrel/endpoints.json", "where the running local stack says where it is")
	patience := flags.Duration("for", 3*time.Minute, "how long all of it may take")
	if err := flags.Parse(args); err != nil {
		return statusNotRun
	}
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	p, err := find(ctx, *to, *file, w.getenv)
	r := report{}
	if err == nil {
		err = try(ctx, p, r)
	}
	if len(r) > 0 {
		for _, line := range r.lines() {
			fmt.Fprintln(w.out, line)
		}
	}
	if err != nil {
		fmt.Fprintln(w.err, "canary: it could not be run to its end, and so what it says is not all:", err)
	}
	switch {
	case len(r.leaks()) > 0: // whatever else went wrong
		fmt.Fprintf(w.err, "canary: %d of the tries came through\n", len(r.leaks()))
		return statusLeak
	case err != nil:
		return statusNotRun
	}
	return statusClean
}

// find is where the stack is and who the two are.
func find(ctx context.Context, to, file string, getenv func(string) string) (place, error) {
	p := place{url: to, tokens: [2]string{getenv("TOKEN_A"), getenv("TOKEN_B")}}
	endpoint, users := getenv("TOKEN_ENDPOINT"), [2]string{"canary-a", "canary-b"}
	if to == "" {
		local, err := readEndpoints(file)
		if err != nil {
			return p, err
		}
		p, endpoint = place{url: local.WebSocket, forget: true}, local.Token
		mark := client.NewID()
		users = [2]string{"canary-a-" + mark, "canary-b-" + mark}
	}
	for i, user := range users {
		if p.tokens[i] != "" {
			continue
		}
		if endpoint == "" {
			return p, errors.New("who the two users are is not said: set TOKEN_A and TOKEN_B to access tokens that the stack " +
				"accepts, of two users who are nobody's, or TOKEN_ENDPOINT to where POST user=canary-a answers {\"access_token\"}")
		}
		var err error
		if p.tokens[i], err = signIn(ctx, endpoint, user); err != nil {
			return p, err
		}
	}
	if subject(p.tokens[0]) == subject(p.tokens[1]) {
		return p, errors.New("both tokens are of one user: the two must be two")
	}
	return p, nil
}

// subject is whose token it says that it is; what cannot be read is whose the token itself is.
func subject(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return token
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil || claims.Subject == "" {
		return token
	}
	return claims.Subject
}

// endpoints is what is needed of .carrel/endpoints.json.
type endpoints struct {
	WebSocket string `json:"websocket"`
	Token     string `json:"token"`
}

func readEndpoints(file string) (endpoints, error) {
	var e endpoints
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("no stack runs here (there is no %s): start it with make run, or name a deployed one by URL, its output WebSocket", file)
	}
	if err != nil {
		return e, fmt.Errorf("read where the stack is: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil || e.WebSocket == "" || e.Token == "" {
		return e, fmt.Errorf("%s names no stack: start it anew with make run", file)
	}
	return e, nil
}

// signIn gets an access token of a user from a token endpoint such as the local issuer's.
func signIn(ctx context.Context, endpoint, user string) (string, error) {
	form := strings.NewReader(url.Values{"user": {user}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, form)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("sign in as %s: %s: %s", user, response.Status, cmp.Or(string(bytes.TrimSpace(body)), "no access_token"))
	}
	return answer.AccessToken, nil
}

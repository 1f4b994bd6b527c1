// Command canary acts as two users of a running stack, local or deployed: an attacker who tries to reach a victim with
// every type of frame (make canary). Its exit status is 0 if nothing leaked, 1 if anything did, and 2 if it could not
// finish.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/shared/client"
	"carrel/shared/visible"
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

// world holds the command's environment variables and outputs.
type world struct {
	getenv   func(string) string
	out, err io.Writer
}

// place is the stack under test, with the tokens of both users.
type place struct {
	url    string
	tokens [2]string // of the attacker and of the victim
	erase  bool      // the attacker is a made-up user and may be erased
}

func run(ctx context.Context, args []string, w world) int {
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.SetOutput(w.err)
	to := flags.String("url", "", "the output WebSocket of a deployed stack (default: the running local stack)")
	file := flags.String("endpoints", endpoints.Default,
		"the file in which the running local stack lists its endpoints")
	patience := flags.Duration("for", 3*time.Minute, "the time limit of the whole run")
	if err := flags.Parse(args); err != nil {
		return statusNotRun
	}
	if flags.NArg() > 0 { // it may be a stack's address, and the canary must not report on another stack
		fmt.Fprintf(w.err, "canary: unexpected argument %q: name a deployed stack with -url\n", flags.Arg(0))
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
			fmt.Fprintln(w.out, visible.Text(line))
		}
	}
	if err != nil {
		fmt.Fprintln(w.err, "canary: could not finish, so this report is incomplete:", visible.Text(err.Error()))
	}
	switch {
	case len(r.leaks()) > 0: // also after an error
		fmt.Fprintf(w.err, "canary: %d leaks\n", len(r.leaks()))
		return statusLeak
	case err != nil:
		return statusNotRun
	}
	return statusClean
}

// find returns the stack under test and the tokens of both users.
func find(ctx context.Context, to, file string, getenv func(string) string) (place, error) {
	p := place{url: to, tokens: [2]string{getenv("TOKEN_A"), getenv("TOKEN_B")}}
	endpoint, users := getenv("TOKEN_ENDPOINT"), [2]string{"canary-a", "canary-b"}
	if to == "" {
		local, err := endpoints.Read(file)
		if err != nil {
			return p, fmt.Errorf("%w, or name a deployed stack with URL, its output WebSocket", err)
		}
		p, endpoint = place{url: local.WebSocket, erase: true}, local.Token
		mark := client.NewID()
		users = [2]string{"canary-a-" + mark, "canary-b-" + mark}
	}
	for i, user := range users {
		if p.tokens[i] != "" {
			continue
		}
		if endpoint == "" {
			return p, errors.New("the tokens of the two users are missing: set TOKEN_A and TOKEN_B to access tokens " +
				"that the stack accepts, of two users without a person, or set TOKEN_ENDPOINT to the address that " +
				"answers POST user=canary-a with {\"access_token\"}")
		}
		var err error
		if p.tokens[i], err = endpoints.SignIn(ctx, endpoint, user); err != nil {
			if p.erase {
				err = endpoints.Explain(err)
			}
			return p, err
		}
	}
	if subject(p.tokens[0]) == subject(p.tokens[1]) {
		return p, errors.New("both tokens are of one user: the canary needs two")
	}
	return p, nil
}

// subject returns the subject that a token claims, without verification. For an unreadable token it returns the token.
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

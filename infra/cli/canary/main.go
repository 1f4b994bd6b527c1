// Command canary is two users of a running stack, local or deployed, of whom one tries to reach the other by every type
// of frame: make canary. Its exit status is 0 if nothing came through, 1 if anything did, and 2 if it could not be run.
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

// world is what is around the command.
type world struct {
	getenv   func(string) string
	out, err io.Writer
}

// place is the stack that is asked, and as whom.
type place struct {
	url    string
	tokens [2]string // of the one who tries, and of the other
	erase  bool      // the one who tries is made up, and may be erased
}

func run(ctx context.Context, args []string, w world) int {
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.SetOutput(w.err)
	to := flags.String("url", "", "the WebSocket of a deployed stack, its output WebSocket (default: the local stack that runs)")
	file := flags.String("endpoints", endpoints.Default, "where the running local stack says where it is")
	patience := flags.Duration("for", 3*time.Minute, "how long all of it may take")
	if err := flags.Parse(args); err != nil {
		return statusNotRun
	}
	if flags.NArg() > 0 { // which may be a stack's address: the one that was not meant must not be found clean
		fmt.Fprintf(w.err, "canary: it takes flags only, not %q: a deployed stack is named by -url\n", flags.Arg(0))
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
		fmt.Fprintln(w.err, "canary: it could not be run to its end, and so what it says is not all:", visible.Text(err.Error()))
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
		local, err := endpoints.Read(file)
		if err != nil {
			return p, fmt.Errorf("%w, or name a deployed one by URL, its output WebSocket", err)
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
			return p, errors.New("who the two users are is not said: set TOKEN_A and TOKEN_B to access tokens that the stack " +
				"accepts, of two users who are nobody's, or TOKEN_ENDPOINT to where POST user=canary-a answers {\"access_token\"}")
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

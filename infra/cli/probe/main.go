// Command probe gets access tokens of a deployed stack's two machine clients, which Probe=on makes. It prints them with
// the stack's address as shell variables, for make canary and make verify-aws: eval "$(probe -stack carrel)".
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"carrel/infra/cli/deployed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], world{out: os.Stdout, err: os.Stderr, run: deployed.Program})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// world is what surrounds the command.
type world struct {
	out, err io.Writer
	run      deployed.Run
}

// patience is how long the token endpoint may take.
const patience = 20 * time.Second

func run(ctx context.Context, args []string, w world) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(w.err)
	stack := flags.String("stack", "carrel", "the stack's name")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("it takes flags only, not %q", flags.Arg(0))
	}
	outputs, err := deployed.Outputs(ctx, w.run, *stack)
	if err != nil {
		return err
	}
	if outputs["ProbeA"] == "" || outputs["ProbeB"] == "" {
		return fmt.Errorf("the stack %s has no machine clients: make them with make deploy PARAMETERS=Probe=on", *stack)
	}
	if err := deployed.Require(outputs, *stack, "WebSocket", "UserPool", "TokenEndpoint", "TurnFunction"); err != nil {
		return err
	}
	var tokens [2]string
	for i, client := range []string{outputs["ProbeA"], outputs["ProbeB"]} {
		if tokens[i], err = token(ctx, w.run, outputs, client); err != nil {
			return err
		}
	}
	for _, v := range [][2]string{{"URL", outputs["WebSocket"]}, {"TOKEN", tokens[0]}, {"TOKEN_A", tokens[0]},
		{"TOKEN_B", tokens[1]},
		{"TURN_FUNCTION", outputs["TurnFunction"]}} {
		fmt.Fprintf(w.out, "export %s=%s\n", v[0], quote(v[1]))
	}
	return nil
}

// quote writes a value as a shell reads it.
func quote(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

// token gets an access token of a machine client. Without a scope in the request, Cognito gives it all that the client
// has.
func token(ctx context.Context, run deployed.Run, outputs map[string]string, client string) (string, error) {
	secret, err := run(ctx, "aws", "cognito-idp", "describe-user-pool-client", "--user-pool-id", outputs["UserPool"],
		"--client-id", client,
		"--query", "UserPoolClient.ClientSecret", "--output", "text")
	if err != nil {
		return "", fmt.Errorf("read the secret of the machine client %s: %w", client, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, outputs["TokenEndpoint"], strings.NewReader(form))
	if err != nil {
		return "", fmt.Errorf("get a token of the machine client %s: %w", client, err)
	}
	request.SetBasicAuth(client, strings.TrimSpace(string(secret)))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return "", fmt.Errorf("get a token of the machine client %s: %w", client, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("get a token of the machine client %s: %w", client, err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if response.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("get a token of the machine client %s: %s: %s", client, response.Status,
			strings.TrimSpace(string(body)))
	}
	return answer.AccessToken, nil
}

// Package endpoints tells where a stack on this machine is: the stack writes the file, the programs for the terminal
// read it and sign in there.
package endpoints

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Default is the file of the stack that make run starts, from the repository's root.
const Default = ".carrel/endpoints.json"

// patience bounds one sign-in; the cold start of a deployed stack's token endpoint is in it.
const patience = 20 * time.Second

// Endpoints says where everything of a stack is. It is what endpoints.json holds.
type Endpoints struct {
	Page        string `json:"page"`
	WebSocket   string `json:"websocket"`
	Connections string `json:"connections"`
	Issuer      string `json:"issuer"`
	Token       string `json:"token"`
	DynamoDB    string `json:"dynamodb"`
	Table       string `json:"table"`
	STS         string `json:"sts"`
	Lambda      string `json:"lambda"`
	Ops         string `json:"ops"`
	// OperatorSecret is the secret of OperatorKey. It is of this run, and the file is for its owner's eyes only.
	OperatorSecret string `json:"operatorSecret,omitempty"`
}

// OperatorKey is the access key id of those who run the stack.
const OperatorKey = "operator"

// Operator are the credentials of those who run the stack, for DynamoDB.
func (e Endpoints) Operator() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(OperatorKey, e.OperatorSecret, "")
}

// Public are the endpoints without the secret: what every program on this machine may know.
func (e Endpoints) Public() Endpoints {
	e.OperatorSecret = ""
	return e
}

// Write writes the file; whoever reads it meanwhile finds the old one or the new one, whole.
func (e Endpoints) Write(file string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the endpoints: %w", err)
	}
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the endpoints: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("writing the endpoints: %w", err)
	}
	return nil
}

// Read reads the file of a stack that runs. Its error says what to do.
func Read(file string) (Endpoints, error) {
	var e Endpoints
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("no stack runs here (there is no %s): start it with make run", file)
	}
	if err != nil {
		return e, fmt.Errorf("read where the stack is: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil || e.WebSocket == "" || e.Token == "" || e.DynamoDB == "" ||
		e.Table == "" {
		return e, fmt.Errorf("%s names no stack: start it anew with make run", file)
	}
	return e, nil
}

// Explain adds to an error of a local stack that was killed what to do; any other it leaves as it is.
func Explain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (the stack does not run any more: start it with make run)", err)
	}
	return err
}

// SignIn gets an access token of a user from a token endpoint such as the local issuer's, within 20 seconds.
func SignIn(ctx context.Context, endpoint, user string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint,
		strings.NewReader(url.Values{"user": {user}}.Encode()))
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
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("sign in as %q: %s: %s", user, response.Status,
			cmp.Or(string(bytes.TrimSpace(body)), "no reason is given"))
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("sign in as %q: the answer holds no access_token", user)
	}
	return answer.AccessToken, nil
}

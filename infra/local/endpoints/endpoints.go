// Package endpoints holds the addresses of a running local stack. The stack writes them to a file; command-line
// programs read the file and sign in.
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

// Default is the path, relative to the repository's root, of the file that the stack of make run writes.
const Default = ".carrel/endpoints.json"

// patience bounds one sign-in, including the cold start of a deployed stack's token endpoint.
const patience = 20 * time.Second

// Endpoints are the addresses of a stack. The file endpoints.json holds them as JSON.
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
	// OperatorSecret is the secret of OperatorKey. Each run of the stack makes a new one. Only the file's owner may
	// read it.
	OperatorSecret string `json:"operatorSecret,omitempty"`
}

// OperatorKey is the access key id of the person who runs the stack.
const OperatorKey = "operator"

// Operator returns the credentials of the person who runs the stack. They are valid for DynamoDB.
func (e Endpoints) Operator() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(OperatorKey, e.OperatorSecret, "")
}

// Public returns the endpoints without OperatorSecret. Every program on this machine may see these.
func (e Endpoints) Public() Endpoints {
	e.OperatorSecret = ""
	return e
}

// Write replaces the file atomically: a concurrent reader sees the old content or the new content, never a part.
func (e Endpoints) Write(file string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the endpoints: %w", err)
	}
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the endpoints: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("replace the endpoints file: %w", err)
	}
	return nil
}

// Read reads the endpoints file of a running stack. Its errors state what the user can do.
func Read(file string) (Endpoints, error) {
	var e Endpoints
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("no stack is running here (%s does not exist): start it with make run", file)
	}
	if err != nil {
		return e, fmt.Errorf("read the endpoints file: %w", err)
	}
	err = json.Unmarshal(text, &e)
	if err != nil || e.WebSocket == "" || e.Token == "" || e.DynamoDB == "" || e.Table == "" {
		return e, fmt.Errorf("%s holds no endpoints: restart the stack with make run", file)
	}
	return e, nil
}

// Explain adds advice to a connection-refused error, which means that the local stack was killed. It returns other
// errors unchanged.
func Explain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (the stack is not running: start it with make run)", err)
	}
	return err
}

// SignIn requests an access token for a user from a token endpoint such as the local issuer's. It waits 20 s at most.
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
			cmp.Or(string(bytes.TrimSpace(body)), "no reason given"))
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("sign in as %q: the response holds no access_token", user)
	}
	return answer.AccessToken, nil
}

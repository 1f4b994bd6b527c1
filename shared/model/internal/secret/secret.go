// Package secret reads the keys of model providers from one secret of Secrets Manager. The keys are never in the
// environment, where every child process and many crash reports would have them.
package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	lifetime = 5 * time.Minute  // how long fetched keys are used
	least    = 10 * time.Second // a refused key is not fetched more often
	maxBody  = 128 << 10        // a secret has at most 64 KB
	timeout  = 5 * time.Second
)

// Secret is one secret: a JSON object with a key for each endpoint. It is safe for concurrent use.
type Secret struct {
	arn, url string
	aws      aws.Config
	now      func() time.Time

	mu      sync.Mutex
	keys    map[string]string
	fetched time.Time
}

// New returns the secret with this ARN. url is the service's address; "" is the one of the ARN's Region.
func New(c aws.Config, arn, url string, now func() time.Time) (*Secret, error) {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "secretsmanager" || parts[5] != "secret" {
		return nil, fmt.Errorf("%q is not the ARN of a secret, arn:aws:secretsmanager:<Region>:<account>:secret:<name>",
			arn)
	}
	c.Region = parts[3]
	if url == "" {
		suffix := "amazonaws.com"
		if parts[1] == "aws-cn" {
			suffix += ".cn"
		}
		url = "https://secretsmanager." + parts[3] + "." + suffix
	}
	return &Secret{arn: arn, url: url, aws: c, now: now}, nil
}

// Key returns the key of this name. With fresh set, the key that it returned last was refused.
func (s *Secret) Key(ctx context.Context, name string, fresh bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.now().Sub(s.fetched)
	if s.keys == nil || age > lifetime || fresh && age > least {
		keys, err := s.fetch(ctx)
		if err != nil {
			return "", fmt.Errorf("read the secret of the parameter ProviderSecret: %w", err)
		}
		s.keys, s.fetched = keys, s.now()
	}
	key := s.keys[name]
	if key == "" {
		return "", fmt.Errorf("the secret of the parameter ProviderSecret has no text %q", name)
	}
	return key, nil
}

// fetch reads the secret. Its errors have no text of the service, which could repeat a part of the secret.
func (s *Secret) fetch(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answered, err := s.send(ctx)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answered.Body, maxBody))
	if err := errors.Join(err, answered.Body.Close()); err != nil {
		return nil, errors.New("the connection was lost")
	}
	var said struct {
		Type         string `json:"__type"`
		SecretString string
	}
	decodeErr := json.Unmarshal(body, &said)
	if answered.StatusCode != http.StatusOK {
		_, name, _ := strings.Cut(said.Type, "#")
		if name == "" {
			name = said.Type
		}
		return nil, fmt.Errorf("status %d %s", answered.StatusCode, name)
	}
	keys := map[string]string{}
	if decodeErr != nil || json.Unmarshal([]byte(said.SecretString), &keys) != nil {
		return nil, errors.New(`it must be a JSON object of texts: {"<endpoint>": "<key>"}`)
	}
	return keys, nil
}

// send makes the signed request.
func (s *Secret) send(ctx context.Context) (*http.Response, error) {
	payload, err := json.Marshal(map[string]string{"SecretId": s.arn})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	credentials, err := s.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(payload)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), "secretsmanager", s.aws.Region,
		s.now()); err != nil {
		return nil, err
	}
	answered, err := s.aws.HTTPClient.Do(r)
	if err != nil {
		return nil, errors.New("the connection failed")
	}
	return answered, nil
}

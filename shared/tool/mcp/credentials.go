package mcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

// Signer signs a request as one user with AWS's Signature Version 4.
type Signer interface {
	Sign(ctx context.Context, u chat.User, service, region string, r *http.Request) error
}

// CredentialsFrom returns the credentials of a server: a secret of the environment, or the user's own signature. It is
// for Config.Credentials.
func CredentialsFrom(getenv func(string) string, signer Signer) func(Server) (Credentials, error) {
	return func(s Server) (Credentials, error) {
		if s.Credentials == SigV4 {
			u, err := url.Parse(s.URL)
			if err != nil {
				return nil, err
			}
			return signed{signer: signer, service: s.Service, region: s.Region, host: u.Host}, nil
		}
		value := getenv(s.Secret)
		if value == "" {
			return nil, fmt.Errorf("%s: the environment variable is not set, and the server needs it", s.Secret)
		}
		if s.Header != "" {
			return secret{name: s.Header, value: value}, nil
		}
		return secret{name: "Authorization", value: "Bearer " + value}, nil
	}
}

// secret is a key of the deployment. All users' requests carry it.
type secret struct{ name, value string }

// Authorize implements Credentials.
func (s secret) Authorize(_ context.Context, _ *usercontext.Context, r *http.Request) error {
	r.Header.Set(s.name, s.value)
	return nil
}

// String hides the key from logs.
func (s secret) String() string { return "a secret in the header " + s.name }

// signed signs the requests to one host.
type signed struct {
	signer                Signer
	service, region, host string
}

// Authorize implements Credentials.
func (s signed) Authorize(ctx context.Context, uc *usercontext.Context, r *http.Request) error {
	if r.URL.Host != s.host {
		return fmt.Errorf("sign a request to %s: only %s gets signed requests", r.URL.Host, s.host)
	}
	return s.signer.Sign(ctx, uc.User(), s.service, s.region, r)
}

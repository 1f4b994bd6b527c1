package oidc

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

// revoke revokes the whole family of a refresh token: its predecessors and successors (RFC 7009). An unknown token gets
// the same response. Access tokens stay valid until they expire, because their verifiers do not ask the issuer.
func (i *Issuer) revoke(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "the form cannot be parsed: "+err.Error())
		return
	}
	if r.PostForm.Get("client_id") != i.config.ClientID {
		refuse(w, http.StatusBadRequest, "invalid_client", "client_id must be "+i.config.ClientID)
		return
	}
	c, err := i.read(r.PostForm.Get("token"), jwt.WithoutClaimsValidation())
	switch {
	case err == nil && c.TokenUse != "refresh":
		refuse(w, http.StatusBadRequest, "unsupported_token_type", "only refresh tokens can be revoked")
		return
	case err == nil && c.ClientID == i.config.ClientID:
		if err := i.addRevoked(c.Family); err != nil {
			refuse(w, http.StatusInternalServerError, "server_error", err.Error())
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// addRevoked stores a revoked family in memory and in a file, because refresh tokens survive a restart.
func (i *Issuer) addRevoked(family string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.revoked[family] {
		return nil
	}
	f, err := os.OpenFile(i.revokedFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("oidc: store a revoked token: %w", err)
	}
	_, err = fmt.Fprintln(f, family)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("oidc: store a revoked token: %w", err)
	}
	i.revoked[family] = true
	return nil
}

func (i *Issuer) isRevoked(family string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.revoked[family]
}

func (i *Issuer) revokedFile() string { return i.config.KeyFile + ".revoked" }

// loadRevoked reads the file of revoked families. If the file does not exist, no family is revoked.
func (i *Issuer) loadRevoked() error {
	f, err := os.Open(i.revokedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("oidc: read the revoked tokens: %w", err)
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		i.revoked[lines.Text()] = true
	}
	if err := errors.Join(lines.Err(), f.Close()); err != nil {
		return fmt.Errorf("oidc: read the revoked tokens: %w", err)
	}
	return nil
}

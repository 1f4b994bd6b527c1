package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// published is the number of keys in the key set: the signing key and its predecessors.
const published = 3

// key is a signing key with its id.
type key struct {
	id      string
	private *ecdsa.PrivateKey
	x, y    string // coordinates of the public point, base64url
}

func newKey(private *ecdsa.PrivateKey) (key, error) {
	point, err := private.PublicKey.Bytes() // the byte 4, then x, then y
	if err != nil {
		return key{}, fmt.Errorf("oidc: encode the public key: %w", err)
	}
	b64 := base64.RawURLEncoding
	sum := sha256.Sum256(point)
	return key{b64.EncodeToString(sum[:12]), private, b64.EncodeToString(point[1:33]),
		b64.EncodeToString(point[33:65])}, nil
}

// loadKeys reads the key file. If the file does not exist it returns no keys.
func loadKeys(file string) ([]key, error) {
	rest, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("oidc: read the signing keys: %w", err)
	}
	var keys []key
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("oidc: %s holds an invalid key (delete the file to create new keys): %w", file, err)
		}
		private, ok := parsed.(*ecdsa.PrivateKey)
		if !ok || private.Curve != elliptic.P256() {
			return nil, fmt.Errorf("oidc: %s holds a key that is not ES256: delete the file to create new keys", file)
		}
		k, err := newKey(private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("oidc: %s holds no key: delete the file to create new keys", file)
	}
	return keys, nil
}

// Rotate creates a new signing key. Tokens signed by earlier keys stay valid as long as those keys are published.
func (i *Issuer) Rotate() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("oidc: create a key: %w", err)
	}
	k, err := newKey(private)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := append([]key{k}, i.keys...)
	keys = keys[:min(len(keys), published)]
	if err := saveKeys(i.config.KeyFile, keys); err != nil {
		return err
	}
	i.keys = keys
	return nil
}

// saveKeys replaces the key file atomically, so that a crash leaves either the old keys or the new ones.
func saveKeys(file string, keys []key) error {
	var text []byte
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return fmt.Errorf("oidc: encode a key: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("oidc: save the signing keys: %w", err)
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("oidc: save the signing keys: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("oidc: save the signing keys: %w", err)
	}
	return nil
}

// publicKey is a key in the published key set.
type publicKey struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	set := struct {
		Keys []publicKey `json:"keys"`
	}{[]publicKey{}}
	for _, k := range i.allKeys() {
		set.Keys = append(set.Keys, publicKey{"EC", "P-256", "sig", "ES256", k.id, k.x, k.y})
	}
	answer(w, http.StatusOK, set)
}

// allKeys returns the keys, newest first. The slice is never modified.
func (i *Issuer) allKeys() []key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

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

// published is how many keys the key set holds: the one that signs, and those before it.
const published = 3

// key is a signing key under its id.
type key struct {
	id      string
	private *ecdsa.PrivateKey
	x, y    string // of the public point, base64url
}

func newKey(private *ecdsa.PrivateKey) (key, error) {
	point, err := private.PublicKey.Bytes() // 4, then x, then y
	if err != nil {
		return key{}, fmt.Errorf("oidc: reading a key: %w", err)
	}
	b64 := base64.RawURLEncoding
	sum := sha256.Sum256(point)
	return key{b64.EncodeToString(sum[:12]), private, b64.EncodeToString(point[1:33]),
		b64.EncodeToString(point[33:65])}, nil
}

// loadKeys reads the key file; one that is absent has no keys.
func loadKeys(file string) ([]key, error) {
	rest, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("oidc: reading the signing keys: %w", err)
	}
	var keys []key
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil,
				fmt.Errorf("oidc: %s holds a key that cannot be read (delete the file to have new ones made): %w", file,
					err)
		}
		private, ok := parsed.(*ecdsa.PrivateKey)
		if !ok || private.Curve != elliptic.P256() {
			return nil, fmt.Errorf("oidc: %s holds a key that is not ES256: delete the file to have new ones made",
				file)
		}
		k, err := newKey(private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("oidc: %s holds no key: delete the file to have new ones made", file)
	}
	return keys, nil
}

// Rotate makes a new signing key. Tokens of the keys before it stay valid while those are published.
func (i *Issuer) Rotate() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("oidc: making a key: %w", err)
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

// saveKeys replaces the key file whole, so that a crash leaves the old one or the new one.
func saveKeys(file string, keys []key) error {
	var text []byte
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return fmt.Errorf("oidc: writing a key: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("oidc: keeping the signing keys: %w", err)
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("oidc: keeping the signing keys: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("oidc: keeping the signing keys: %w", err)
	}
	return nil
}

// publicKey is a key as the key set shows it.
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
	for _, k := range i.current() {
		set.Keys = append(set.Keys, publicKey{"EC", "P-256", "sig", "ES256", k.id, k.x, k.y})
	}
	answer(w, http.StatusOK, set)
}

// current returns the keys, newest first; the slice is never changed.
func (i *Issuer) current() []key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

// Package sigv4 verifies signatures of AWS's Signature Version 4 in the Authorization header of a request.
//
// It calculates signatures itself. The SDK can only sign a request of its own, so a verifier would have to build one
// for each request that it receives, which took four times as long. A test compares both on random requests.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// clockSkew is the largest accepted difference between a signature's time and the local clock.
const clockSkew = 5 * time.Minute

// The errors of a verification, with AWS's messages.
var (
	ErrMissing = errors.New("missing authentication token")
	ErrUnknown = errors.New("the security token included in the request is invalid")
	ErrInvalid = errors.New("the request signature we calculated does not match the signature you provided")
)

// Verifier verifies signatures for one service. It is safe for concurrent use.
type Verifier struct {
	service, region string
	secret          func(accessKeyID string) (string, bool)

	mu   sync.Mutex
	keys map[signingKey][sha256.Size]byte
}

// New returns a verifier for a service in a Region; region "" accepts any. secret returns the secret of an access key,
// or false for an unknown key. It is called concurrently. If secret is nil, a signature must be present but is not
// verified.
func New(service, region string, secret func(accessKeyID string) (string, bool)) *Verifier {
	return &Verifier{service: service, region: region, secret: secret,
		keys: map[signingKey][sha256.Size]byte{}}
}

// Verify verifies the signature of a request with this body. The error is or wraps ErrMissing, ErrUnknown or
// ErrInvalid.
func (v *Verifier) Verify(r *http.Request, body []byte) error {
	c, secret, date, err := v.identify(r)
	if err != nil || v.secret == nil {
		return err
	}
	return v.compare(r, body, c, secret, date)
}

// VerifySigner checks only the access key and the time of a signature. It serves requests whose body is too large to
// read; they are rejected in any case.
func (v *Verifier) VerifySigner(r *http.Request) error {
	_, _, _, err := v.identify(r)
	return err
}

func (v *Verifier) identify(r *http.Request) (c claim, secret string, date time.Time, err error) {
	if c, err = v.parse(r.Header.Get("Authorization")); err != nil || v.secret == nil {
		return c, "", date, err
	}
	secret, known := v.secret(c.key)
	if !known {
		return c, "", date, ErrUnknown
	}
	if date, err = time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil {
		return c, "", date, fmt.Errorf("%w: the header X-Amz-Date is missing or not a time", ErrInvalid)
	}
	if skew := time.Since(date).Abs(); skew > clockSkew {
		return c, "", date, fmt.Errorf("%w: the signature's time differs by %s", ErrInvalid, skew.Round(time.Second))
	}
	return c, secret, date, nil
}

// compare calculates the signature of the request and compares it with the claimed one.
func (v *Verifier) compare(r *http.Request, body []byte, c claim, secret string, date time.Time) error {
	if missing := c.uncovered(r.Header); missing != "" {
		return fmt.Errorf("%w: it does not cover the header %s", ErrInvalid, missing)
	}
	day := date.Format("20060102")
	if c.day != day {
		return fmt.Errorf("%w: its credential scope and X-Amz-Date have different days", ErrInvalid)
	}
	var space [2048]byte // keeps the usual request off the heap
	request := sha256.Sum256(canonical(space[:0], r, c.headers, body))
	text := append(make([]byte, 0, 256), "AWS4-HMAC-SHA256\n"...)
	for _, part := range [...]string{r.Header.Get("X-Amz-Date"), "\n", day, "/", c.region, "/", v.service,
		"/aws4_request\n"} {
		text = append(text, part...)
	}
	text = hex.AppendEncode(text, request[:])
	key := v.key(signingKey{secret, day, c.region})
	ours := hex.AppendEncode(nil, sum(key[:], text))
	if subtle.ConstantTimeCompare(ours, []byte(c.signature)) != 1 {
		return ErrInvalid
	}
	return nil
}

// signingKey names a derived key.
type signingKey struct{ secret, day, region string }

// keptKeys is the number of derived keys that a verifier keeps. Each is used by many requests.
const keptKeys = 1000

// key returns the key that signs requests for the verifier's service.
func (v *Verifier) key(k signingKey) [sha256.Size]byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	key, known := v.keys[k]
	if known {
		return key
	}
	derived := []byte("AWS4" + k.secret)
	for _, part := range [...]string{k.day, k.region, v.service, "aws4_request"} {
		derived = sum(derived, []byte(part))
	}
	key = [sha256.Size]byte(derived)
	if len(v.keys) >= keptKeys {
		clear(v.keys)
	}
	v.keys[k] = key
	return key
}

func sum(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text) // documented never to fail
	return h.Sum(nil)
}

// claim holds the parts of an Authorization header.
type claim struct{ key, day, region, headers, signature string }

// parse parses an Authorization header. It returns an error if the signature is for another service or Region.
func (v *Verifier) parse(authorization string) (c claim, err error) {
	rest, ok := strings.CutPrefix(authorization, "AWS4-HMAC-SHA256 ")
	if !ok {
		return c, ErrMissing
	}
	var credential string
	for part := range strings.SplitSeq(rest, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			c.headers = value
		case "Signature":
			c.signature = value
		}
	}
	parts := strings.Split(credential, "/") // key/date/region/service/aws4_request
	if len(parts) != 5 || parts[0] == "" || c.headers == "" || c.signature == "" {
		return c, fmt.Errorf("%w: the Authorization header is not a complete SigV4 signature", ErrMissing)
	}
	if v.region != "" && parts[2] != v.region || parts[3] != v.service || parts[4] != "aws4_request" {
		return c, fmt.Errorf("%w: the signature is for %s in %s, not for %s in %s", ErrInvalid, parts[3], parts[2],
			v.service, v.region)
	}
	c.key, c.day, c.region = parts[0], parts[1], parts[2]
	return c, nil
}

// Package sigv4 verifies signatures of AWS's Signature Version 4 in the Authorization header of a request.
package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
	signer          *v4.Signer
}

// New returns a verifier for a service in a Region; region "" accepts any. secret returns the secret of an access key,
// or false for an unknown key. It is called concurrently. If secret is nil, a signature must be present but is not
// verified.
func New(service, region string, secret func(accessKeyID string) (string, bool)) *Verifier {
	return &Verifier{service, region, secret, v4.NewSigner()}
}

// Verify verifies the signature of a request with this body. It signs the same parts of the request again and compares
// the results. The error is or wraps ErrMissing, ErrUnknown or ErrInvalid.
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

// compare signs the request with the same parameters as the caller and compares the signatures.
func (v *Verifier) compare(r *http.Request, body []byte, c claim, secret string, date time.Time) error {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	resigned := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		// Opaque keeps the caller's escaping of the path, which is what the caller signed.
		URL:    &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query},
		Header: make(http.Header),
	}
	for name := range strings.SplitSeq(c.headers, ";") {
		switch name {
		case "host":
		case "content-length":
			resigned.ContentLength = r.ContentLength
		default:
			resigned.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	key := aws.Credentials{AccessKeyID: c.key, SecretAccessKey: secret}
	if err := v.signer.SignHTTP(context.WithoutCancel(r.Context()), key, resigned, hex.EncodeToString(sum[:]),
		v.service, c.region, date); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	ours, err := v.parse(resigned.Header.Get("Authorization"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if subtle.ConstantTimeCompare([]byte(ours.signature), []byte(c.signature)) != 1 {
		return ErrInvalid
	}
	return nil
}

// claim holds the parts of an Authorization header.
type claim struct{ key, region, headers, signature string }

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
	c.key, c.region = parts[0], parts[2]
	return c, nil
}

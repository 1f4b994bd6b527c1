// Package sigv4 checks the signatures of AWS's Signature Version 4, as they stand in the header of a request.
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

// clockSkew is how far a signature's time may be from ours.
const clockSkew = 5 * time.Minute

// What is wrong with a request; the messages are AWS's.
var (
	ErrMissing = errors.New("missing authentication token")
	ErrUnknown = errors.New("the security token included in the request is invalid")
	ErrInvalid = errors.New("the request signature we calculated does not match the signature you provided")
)

// Verifier checks the signatures for one service. It is safe for concurrent use.
type Verifier struct {
	service, region string
	secret          func(accessKeyID string) (string, bool)
	signer          *v4.Signer
}

// New makes a verifier for a service in a Region; region "": in any. secret gives the secret of an access key, false
// for an unknown one, and is called concurrently; nil: a signature must be there, and nobody looks whether it is right.
func New(service, region string, secret func(accessKeyID string) (string, bool)) *Verifier {
	return &Verifier{service, region, secret, v4.NewSigner()}
}

// Verify checks a request with its whole body, by signing once more what it says was signed. Its error is ErrMissing,
// ErrUnknown or ErrInvalid, or wraps one of them with the reason.
func (v *Verifier) Verify(r *http.Request, body []byte) error {
	c, secret, at, err := v.identify(r)
	if err != nil || v.secret == nil {
		return err
	}
	return v.compare(r, body, c, secret, at)
}

// VerifySigner checks who signed a request, and when. It is for a body that is too large to be read: such a request is
// refused anyway.
func (v *Verifier) VerifySigner(r *http.Request) error {
	_, _, _, err := v.identify(r)
	return err
}

func (v *Verifier) identify(r *http.Request) (c claim, secret string, at time.Time, err error) {
	if c, err = v.parse(r.Header.Get("Authorization")); err != nil || v.secret == nil {
		return c, "", at, err
	}
	secret, known := v.secret(c.key)
	if !known {
		return c, "", at, ErrUnknown
	}
	if at, err = time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil {
		return c, "", at, fmt.Errorf("%w: the header X-Amz-Date is missing or no time", ErrInvalid)
	}
	if skew := time.Since(at).Abs(); skew > clockSkew {
		return c, "", at, fmt.Errorf("%w: the signature's time is %s off", ErrInvalid, skew.Round(time.Second))
	}
	return c, secret, at, nil
}

// compare signs the request as its caller says that it did.
func (v *Verifier) compare(r *http.Request, body []byte, c claim, secret string, at time.Time) error {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	again := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		// Opaque, because the path is signed as it was escaped by the caller.
		URL:    &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query},
		Header: make(http.Header),
	}
	for name := range strings.SplitSeq(c.headers, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	key := aws.Credentials{AccessKeyID: c.key, SecretAccessKey: secret}
	if err := v.signer.SignHTTP(context.WithoutCancel(r.Context()), key, again, hex.EncodeToString(sum[:]), v.service,
		c.region, at); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	ours, err := v.parse(again.Header.Get("Authorization"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if subtle.ConstantTimeCompare([]byte(ours.signature), []byte(c.signature)) != 1 {
		return ErrInvalid
	}
	return nil
}

// claim is what an Authorization header says.
type claim struct{ key, region, headers, signature string }

// parse reads an Authorization header and refuses one that is for another service or Region.
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

package apigateway

import (
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
)

// clockSkew is how far a signature's time may be from ours.
const clockSkew = 5 * time.Minute

// verify checks the request's signature (SigV4, in the header) by signing what it says was signed once more. Of a body
// that is not there in full only the signer can be told, and that suffices to refuse it.
func (g *Gateway) verify(r *http.Request, body []byte, partial bool) error {
	claim, err := g.parse(r.Header.Get("Authorization"))
	if err != nil || g.c.AccessKeys == nil {
		return err
	}
	secret, ok := g.c.AccessKeys(claim.key)
	if !ok {
		return errors.New("the security token included in the request is invalid")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return errors.New("the header X-Amz-Date is missing or no time")
	}
	if skew := time.Since(at).Abs(); skew > clockSkew {
		return fmt.Errorf("the signature's time is %s off", skew.Round(time.Second))
	}
	if partial {
		return nil
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	again := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		// Opaque, because the path is signed as it was escaped by the caller.
		URL:    &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query},
		Header: make(http.Header),
	}
	for name := range strings.SplitSeq(claim.headers, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	if err := g.signer.SignHTTP(r.Context(), aws.Credentials{AccessKeyID: claim.key, SecretAccessKey: secret}, again, hex.EncodeToString(sum[:]), "execute-api", g.c.Region, at); err != nil {
		return fmt.Errorf("check the signature: %w", err)
	}
	ours, err := g.parse(again.Header.Get("Authorization"))
	if err != nil {
		return fmt.Errorf("check the signature: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(ours.signature), []byte(claim.signature)) != 1 {
		return errors.New("the request signature we calculated does not match the signature you provided")
	}
	return nil
}

// claim is what a SigV4 Authorization header says.
type claim struct{ key, headers, signature string }

// parse reads an Authorization header and refuses one that is for another service or Region.
func (g *Gateway) parse(authorization string) (c claim, err error) {
	rest, ok := strings.CutPrefix(authorization, "AWS4-HMAC-SHA256 ")
	if !ok {
		return c, errors.New("missing authentication token")
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
		return c, errors.New("the Authorization header is not a complete SigV4 signature")
	}
	if parts[2] != g.c.Region || parts[3] != "execute-api" || parts[4] != "aws4_request" {
		return c, fmt.Errorf("the signature is for %s in %s, not for execute-api in %s", parts[3], parts[2], g.c.Region)
	}
	c.key = parts[0]
	return c, nil
}

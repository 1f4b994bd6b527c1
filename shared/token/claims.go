package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// claims holds the members of a token's payload or header by their exact names. A struct would not do, because
// encoding/json accepts Sub for sub. Members are decoded when they are read, so an unused member may have any type.
type claims map[string]json.RawMessage

// has reports whether the member exists and is not null.
func (c claims) has(name string) bool {
	raw, ok := c[name]
	return ok && !bytes.Equal(raw, []byte("null"))
}

// text returns a member that must be a string, or "" if it does not exist.
func (c claims) text(name string) (string, error) {
	if !c.has(name) {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(c[name], &s); err != nil {
		return "", fmt.Errorf("token: %s is not a string", name)
	}
	return s, nil
}

// list returns a member that must be a string or a list of strings. A single string counts as one entry.
func (c claims) list(name string) (entries []string, single bool, err error) {
	if !c.has(name) {
		return nil, false, nil
	}
	var one string
	if json.Unmarshal(c[name], &one) == nil {
		return []string{one}, true, nil
	}
	var all []*string // pointers, because null would become an empty string
	if err := json.Unmarshal(c[name], &all); err != nil {
		return nil, false, fmt.Errorf("token: %s is neither a string nor a list of strings", name)
	}
	for _, entry := range all {
		if entry == nil {
			return nil, false, fmt.Errorf("token: %s has an entry that is not a string", name)
		}
		entries = append(entries, *entry)
	}
	return entries, false, nil
}

// latest is the last time that a token may hold, in seconds: the end of the year 9999.
const latest = 253402300799

// time returns a member that must be a number of seconds since 1970, or the zero time if it does not exist.
func (c claims) time(name string) (time.Time, error) {
	if !c.has(name) {
		return time.Time{}, nil
	}
	var seconds float64
	if err := json.Unmarshal(c[name], &seconds); err != nil || seconds < 0 || seconds > latest {
		return time.Time{}, fmt.Errorf("token: %s is not a number of seconds since 1970", name)
	}
	return time.Unix(int64(seconds), 0), nil
}

// header returns the header of a verified token. In the compact form the signature covers the whole header.
func header(raw string) (claims, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("token: not in the compact form, header.payload.signature")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return nil, fmt.Errorf("token: decode the header: %w", err)
	}
	var h claims
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("token: decode the header: %w", err)
	}
	return h, nil
}

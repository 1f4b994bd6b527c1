package chat

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// ServerPrefix is the prefix of all message ids that the server generates. Clients must not use it.
const ServerPrefix = "carrel."

// CheckMessageID reports whether a client may use id for a new message of a run. Valid are the run's id, a dot and a
// suffix without a dot, and ids without a dot. The error wraps ErrBadID and is written for the client.
func CheckMessageID(run RunID, id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(id, ServerPrefix):
		return fmt.Errorf("%w: ids that begin with %s are the server's", ErrBadID, ServerPrefix)
	case strings.Contains(id, ".") && !IsOwnMessageID(run, id):
		return fmt.Errorf("%w: with a dot in it, it must be the run's id, a dot and a suffix without a dot", ErrBadID)
	}
	return nil
}

// IsOwnMessageID reports whether a message id has the form run.suffix with the id of its own run. No message of another
// run can have such an id.
func IsOwnMessageID(run RunID, id string) bool {
	suffix, own := strings.CutPrefix(id, string(run)+".")
	return own && suffix != "" && !strings.Contains(suffix, ".")
}

// NewID returns a unique id: a UUID of version 7, which contains the time now.
func NewID(now time.Time) string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	ms := now.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

package chat

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// ServerPrefix begins the ids of the messages that the server makes, and of no others.
const ServerPrefix = "carrel."

// CheckMessageID reports whether a client may give a new message of a run this id: the run's id, a dot and a suffix
// without a dot, or an id without a dot. The error wraps ErrBadID and is written for the client.
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

// IsOwnMessageID reports whether a message's id has its run's id in it: run.suffix. No other run's message has it then.
func IsOwnMessageID(run RunID, id string) bool {
	suffix, own := strings.CutPrefix(id, string(run)+".")
	return own && suffix != "" && !strings.Contains(suffix, ".")
}

// NewID makes an id that nobody has: a UUID of version 7, which tells the time it was made.
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

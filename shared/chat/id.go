package chat

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// NewID makes an id that nobody has and that sorts by the time it was made: a UUID of version 7. Thread lists are in
// the order of ids, so clients make thread ids like this one too.
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

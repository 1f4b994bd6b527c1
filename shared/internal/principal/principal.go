// Package principal holds the type behind chat.User: the proof that a token was verified. It lies below an
// internal folder so that the compiler keeps it from functions/, infra/ and everything else that is not part of
// the edge; shared/arch names the few files of shared/ that may import it.
package principal

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// maxKey is the longest escaped id in bytes. Longer ones are hashed: tenant ids and session tags end at 256.
const maxKey = 128

// hashPrefix marks a hashed key. No escaped id begins with it: escape sees to that.
const hashPrefix = "h="

// ErrNoUser is returned where a zero User is given or would be made.
var ErrNoUser = errors.New("principal: no user")

// User is one signed-in user. It is comparable, and the zero User is nobody: everything that takes a User refuses
// it. Only the edge makes one (New, FromKey).
type User struct{ key string }

// New makes the User of a verified token's issuer and subject. The issuer only tells hashed (long) subjects apart:
// a deployment trusts one issuer. An empty subject gives ErrNoUser.
func New(issuer, subject string) (User, error) {
	if subject == "" {
		return User{}, fmt.Errorf("%w: the subject is empty", ErrNoUser)
	}
	if key := escape(subject); len(key) <= maxKey {
		return User{key: key}, nil
	}
	sum := sha256.Sum256([]byte(issuer + "\x00" + subject))
	return User{key: hashPrefix + hashed(sum[:])}, nil
}

// FromKey restores a User from a key that the edge wrote itself earlier: a tenant id, an authorizer's context, an
// owner record. It refuses what Key cannot have returned.
func FromKey(key string) (User, error) {
	if key == "" {
		return User{}, ErrNoUser
	}
	if len(key) > maxKey || !wellFormed(key) {
		return User{}, fmt.Errorf("principal: malformed user key of %d bytes", len(key))
	}
	return User{key: key}, nil
}

// Key is the user's id escaped injectively into [A-Za-z0-9._=-], at most 128 bytes: what partition keys, tenant ids
// and session tags carry. It is empty only for the zero User.
func (u User) Key() string { return u.key }

// IsZero reports whether u is nobody.
func (u User) IsZero() bool { return u.key == "" }

// Hash is a short one-way name of the user, for logs and metrics, where the id itself must not stand.
func (u User) Hash() string {
	if u.IsZero() {
		return "nobody"
	}
	sum := sha256.Sum256([]byte("carrel user " + u.key))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// String is Hash, so that printing a User by accident discloses nothing.
func (u User) String() string { return "user:" + u.Hash() }

// Format prints String for every verb: %d and %#v would print the id.
func (u User) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, u.String()) // an error of the writer is its owner's to see
}

// LogValue keeps the id out of structured logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.Hash()) }

func hashed(sum []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum)
}

const upperHex = "0123456789ABCDEF"

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// escape writes every byte that is not plain as =XX. The first h of an id that would begin like a hashed key is
// written =68, so that the two forms cannot meet.
func escape(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if plain(c) && (i > 0 || c != 'h' || len(id) < 2 || plain(id[1])) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// wellFormed reports whether key is an output of New: plain bytes and =XX of bytes that need it, or a hash.
func wellFormed(key string) bool {
	if sum, ok := strings.CutPrefix(key, hashPrefix); ok {
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(sum)
		return err == nil && len(raw) == sha256.Size && hashed(raw) == sum // decoding passes over line ends and spare bits
	}
	var id strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] != '=' {
			id.WriteByte(key[i])
			continue
		}
		if i+2 >= len(key) {
			return false
		}
		hi, lo := strings.IndexByte(upperHex, key[i+1]), strings.IndexByte(upperHex, key[i+2])
		if hi < 0 || lo < 0 {
			return false
		}
		id.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return escape(id.String()) == key
}

// Package principal holds the type behind chat.User: the proof that a token was verified. It is an internal package, so
// the compiler rejects imports from functions/ and infra/. A test in shared/arch names the few files of shared/ that
// may import it.
package principal

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// maxKey is the longest escaped id in bytes. Longer ids are hashed, because a tenant id or session tag has at most 256
// characters.
const maxKey = 128

// hashPrefix marks a hashed key. escape never returns a string with this prefix.
const hashPrefix = "h="

// ErrNoUser is returned when a function is given the zero User or would return it.
var ErrNoUser = errors.New("principal: no user")

// User is a signed-in user. It is comparable. The zero User stands for no user, and every function that takes a User
// refuses it. Only the edge creates a User, with New or FromKey.
type User struct{ key string }

// New returns the User of a verified token. A deployment trusts only one issuer, so the issuer is a part of the key
// only where the subject is too long and is hashed. An empty subject returns ErrNoUser.
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

// FromKey returns the User of a key that the edge wrote earlier: to a tenant id, an authorizer's context or an owner
// record. It returns an error for a string that Key cannot have returned.
func FromKey(key string) (User, error) {
	if key == "" {
		return User{}, ErrNoUser
	}
	if len(key) > maxKey || !wellFormed(key) {
		return User{}, fmt.Errorf("principal: malformed user key of %d bytes", len(key))
	}
	return User{key: key}, nil
}

// Key returns the user's id, escaped injectively into at most 128 bytes of [A-Za-z0-9._=-]. Partition keys, tenant ids
// and session tags hold it. It is empty only for the zero User.
func (u User) Key() string { return u.key }

// IsZero reports whether u is the zero User.
func (u User) IsZero() bool { return u.key == "" }

// Hash returns a short one-way hash of the user, for logs and metrics, which must not hold the id itself.
func (u User) Hash() string {
	if u.IsZero() {
		return "nobody"
	}
	sum := sha256.Sum256([]byte("carrel user " + u.key))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// String returns the hash, so that printing a User by accident does not disclose the id.
func (u User) String() string { return "user:" + u.Hash() }

// Format prints String for every verb. Without it, %d and %#v would print the id.
func (u User) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, u.String()) // the caller of fmt sees an error of its writer
}

// LogValue returns the hash, which keeps the id out of structured logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.Hash()) }

func hashed(sum []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum)
}

const upperHex = "0123456789ABCDEF"

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// escape replaces each byte that is not plain by =XX. If the result would begin like a hashed key, it replaces the
// first h by =68, so that an escaped id and a hashed key are never equal.
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

// wellFormed reports whether New can have made this key: plain bytes and =XX of all other bytes, or a hash.
func wellFormed(key string) bool {
	if sum, ok := strings.CutPrefix(key, hashPrefix); ok {
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(sum)
		// the decoder ignores line ends and unused bits
		return err == nil && len(raw) == sha256.Size && hashed(raw) == sum
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

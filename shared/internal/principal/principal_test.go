package principal_test

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"carrel/shared/internal/principal"
)

const issuer = "https://issuer.test"

func user(t testing.TB, subject string) principal.User {
	t.Helper()
	u, err := principal.New(issuer, subject)
	if err != nil {
		t.Fatalf("New(%q): %v", subject, err)
	}
	return u
}

func TestKey(t *testing.T) {
	for _, c := range []struct{ subject, want string }{
		{"bob", "bob"},
		{"bobby", "bobby"},
		{"a#b", "a=23b"},
		{"a=23b", "a=3D23b"},
		{"auth0|abc", "auth0=7Cabc"},
		{"h", "h"},
		{"hans", "hans"},
		{"h=x", "=68=3Dx"}, // h=x unescaped would have the prefix of a hash
		{"h#x", "=68=23x"},
		{"é", "=C3=A9"},
		{" ", "=20"},
		{strings.Repeat("x", 128), strings.Repeat("x", 128)},
	} {
		if got := user(t, c.subject).Key(); got != c.want {
			t.Errorf("%q gives %q, want %q", c.subject, got, c.want)
		}
	}
}

func TestNew_LongSubject(t *testing.T) {
	long := strings.Repeat("x", 129)
	a, b := user(t, long), user(t, long+"x")
	if !strings.HasPrefix(a.Key(), "h=") || len(a.Key()) > 64 || a == b {
		t.Errorf("keys %q and %q", a.Key(), b.Key())
	}
	other, err := principal.New("https://another.test", long)
	if err != nil || other == a {
		t.Errorf("the same subject of another issuer is the same user: %v, %v", other, err)
	}
	if u, err := principal.New(issuer, a.Key()); err != nil || u == a {
		t.Errorf("a subject equal to a hashed key is the user of that key: %v, %v", u, err)
	}
}

func TestNew_EmptySubject(t *testing.T) {
	if _, err := principal.New(issuer, ""); !errors.Is(err, principal.ErrNoUser) {
		t.Errorf("an empty subject: %v", err)
	}
	if _, err := principal.FromKey(""); !errors.Is(err, principal.ErrNoUser) {
		t.Errorf("an empty key: %v", err)
	}
	var nobody principal.User
	if !nobody.IsZero() || nobody.Key() != "" || nobody.Hash() != "nobody" || user(t, "bob").IsZero() {
		t.Errorf("the zero user is %v", nobody)
	}
}

func TestFromKey_MalformedKey(t *testing.T) {
	t.Attr("row", "B3: only an escaped key is accepted as a key")
	refused := 0
	for _, key := range []string{
		"a#b", "a b", "é", "a|b", "=", "a=", "a=2", "a=2g", "a=2a", "a=61", "=68", "=68ans", "h=", "h=AA", "h#x",
		"h=" + strings.Repeat("A", 51), "h=" + strings.Repeat("a", 52), "h=" + strings.Repeat("A", 51) + "=",
		"h=" + strings.Repeat("A", 51) + "B", "h=" + strings.Repeat("A", 52) + "\n",
		strings.Repeat("x", 129), "U#bob", "bob#T#t1",
	} {
		if u, err := principal.FromKey(key); err == nil {
			t.Errorf("%q was accepted as %v", key, u)
			continue
		}
		refused++
	}
	t.Attr("figure", fmt.Sprintf("%d malformed keys were refused", refused))
}

// Printing a User by accident must not write the id to a log.
func TestUser_PrintsHashOnly(t *testing.T) {
	u := user(t, "bob@example.org")
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("run", "user", u)
	for _, format := range []string{"%v", "%s", "%+v", "%#v", "%d", "%q", "%x"} {
		fmt.Fprintf(&b, format+" "+format, u, &u)
	}
	if text := b.String(); strings.Contains(text, "bob") || strings.Contains(text, u.Key()) {
		t.Errorf("the text holds the id: %s", text)
	}
}

// For every pair of subjects, keys keep to their alphabet and length, and FromKey returns the user of a key. Two
// subjects never have the same key, and no key with a separator appended is a prefix of the other.
func FuzzKey(f *testing.F) {
	f.Attr("row", "B3: the escaping of keys is injective")
	for _, pair := range [][2]string{
		{"bob", "bobby"}, {"a", "a#b"}, {"a#b", "a=23b"}, {"h", "h=x"}, {"h#", "=68"}, {"é", "e\u0301"},
		{"\x00", "\xff"},
		{strings.Repeat("x", 128), strings.Repeat("x", 129)}, {strings.Repeat("é", 300),
			"h=" + strings.Repeat("A", 52)},
		{"=68", "h="}, {"a", "a#T#t1#e"},
	} {
		f.Add(pair[0], pair[1])
	}
	alphabet := regexp.MustCompile(`\A[A-Za-z0-9._=-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		u, v := user(t, a), user(t, b)
		for _, x := range []principal.User{u, v} {
			if !alphabet.MatchString(x.Key()) {
				t.Errorf("key %q", x.Key())
			}
			if back, err := principal.FromKey(x.Key()); err != nil || back != x {
				t.Errorf("FromKey(%q) = %v, %v", x.Key(), back, err)
			}
		}
		if (a == b) != (u == v) || (a == b) != (u.Hash() == v.Hash()) {
			t.Errorf("the subjects %q and %q have the keys %q and %q", a, b, u.Key(), v.Key())
		}
		if a != b && strings.HasPrefix(v.Key()+"#", u.Key()+"#") {
			t.Errorf("the key %q lies in the partition of the key %q", v.Key(), u.Key())
		}
	})
}

// Every string that FromKey accepts is the key of exactly one user.
func FuzzFromKey(f *testing.F) {
	for _, key := range []string{"bob", "a=23b", "=68=3Dx", "h=" + strings.Repeat("A", 52),
		"h=" + strings.Repeat("A", 52) + "\n", "a#b", "=68", ""} {
		f.Add(key)
	}
	alphabet := regexp.MustCompile(`\A[A-Za-z0-9._=-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, key string) {
		u, err := principal.FromKey(key)
		if err != nil {
			if !u.IsZero() {
				t.Errorf("%q was refused, but returned the user %q", key, u.Key())
			}
			return
		}
		if u.Key() != key || !alphabet.MatchString(key) {
			t.Errorf("FromKey(%q) returned a user with the key %q", key, u.Key())
		}
	})
}

// Package chattest makes users for tests. It takes a testing.TB, so production code cannot call it.
package chattest

import (
	"testing"

	"carrel/shared/chat"
	"carrel/shared/internal/principal"
)

// Issuer is the issuer of every user that this package makes.
const Issuer = "https://issuer.test"

// User makes the user with this subject.
func User(tb testing.TB, subject string) chat.User {
	tb.Helper()
	u, err := principal.New(Issuer, subject)
	if err != nil {
		tb.Fatalf("chattest: user %q: %v", subject, err)
	}
	return u
}

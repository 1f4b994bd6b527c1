package oidc_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// No address rotates the keys, so that no web page or other client of the issuer can do it.
func TestKeys_NotRotatedByRequest(t *testing.T) {
	s := newSite(t)
	_, before := s.token(url.Values{"user": {"carol"}})
	for _, path := range []string{"/rotate", "/keys", "/keys/rotate"} {
		response, err := s.client.Post(s.url+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 404 && response.StatusCode != 405 {
			t.Errorf("POST %s: %d", path, response.StatusCode)
		}
	}
	_, after := s.token(url.Values{"user": {"carol"}})
	if strings.Split(before.Access, ".")[0] != strings.Split(after.Access, ".")[0] {
		t.Error("the signing key changed")
	}
}

// Keys survive a restart. After a rotation, tokens of the earlier key stay valid.
func TestKeys_RotateAndRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "keys.pem")
	first := start(t, file)
	_, before := first.token(url.Values{"user": {"carol"}})
	if err := first.issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	_, after := first.token(url.Values{"user": {"carol"}})
	if strings.Split(before.Access, ".")[0] == strings.Split(after.Access, ".")[0] {
		t.Error("the rotation did not change the key id")
	}
	for _, token := range []string{before.Access, after.Access} {
		first.claims(token)
	}
	second := start(t, file)
	_, restarted := second.token(url.Values{"user": {"carol"}})
	if strings.Split(restarted.Access, ".")[0] != strings.Split(after.Access, ".")[0] {
		t.Error("the restart changed the key")
	}
}

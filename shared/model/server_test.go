package model_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// serve serves a handler until the test ends, and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

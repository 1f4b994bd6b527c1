package guardedhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// page requests an address as Get does, with 1,000 bytes at most.
func page(t *testing.T, c *http.Client, address string) (Page, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return Get(ctx, c, address, "text/html", 1000)
}

// A redirect within the host is followed, and one to another host is reported and sent nothing.
func TestGet_Redirects(t *testing.T) {
	t.Attr("row", "D4: a page cannot redirect a run to another host")
	reached := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/steal?secret", http.StatusFound)
		case "/within":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		default:
			w.Header().Set("Content-Type", "Text/HTML; charset=UTF-8")
			fmt.Fprint(w, "there")
		}
	}))
	defer server.Close()
	c := New(Config{Loopback: true})
	got, err := page(t, c, server.URL+"/away")
	if err != nil || got.Moved != other.URL+"/steal?secret" || len(got.Body) != 0 || reached != 0 {
		t.Errorf("a redirect to another host: %+v, %v; it was reached %d times", got, err, reached)
	}
	got, err = page(t, c, server.URL+"/within")
	if err != nil || got.Address != server.URL+"/there" || string(got.Body) != "there" || got.Type != "text/html" ||
		got.Charset != "utf-8" || got.Moved != "" {
		t.Errorf("a redirect within the host: %+v, %v", got, err)
	}
	if _, err := page(t, c, server.URL+"/round"); err == nil || !strings.Contains(err.Error(), "3 redirects") {
		t.Errorf("a circle of redirects: %v", err)
	}
	t.Attr("figure", fmt.Sprintf("%d requests at the other host", reached))
}

// A long page is cut while it is read.
func TestGet_LongPage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 1 << 20 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return // as the client has closed the connection
			}
		}
		t.Error("a GB was read")
	}))
	defer server.Close()
	got, err := page(t, New(Config{Loopback: true}), server.URL)
	if err != nil || !got.Cut || len(got.Body) != 1000 {
		t.Errorf("%d bytes, cut %v, %v", len(got.Body), got.Cut, err)
	}
}

// An error does not repeat the address, which may hold what a person wrote.
func TestGet_Errors(t *testing.T) {
	c := New(Config{resolver: resolver(t, "10.0.0.1")})
	for _, address := range []string{
		"https://private.example/secret", "http://public.example/secret", "https://secret@public.example/",
		"https://пример.example/secret", "secret", "https://h.example:secret/", "https://169.254.169.254/secret",
		"https://" + strings.Repeat("a", maxAddress) + "/secret",
	} {
		_, err := page(t, c, address)
		if !errors.Is(err, ErrRefused) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v, want a refusal without the address", address, err)
		}
	}
	if host, err := Host("https://WWW.Example.com.:443/a"); host != "www.example.com" || err != nil {
		t.Errorf("the host is %q, %v", host, err)
	}
}

package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/fetch"
	"carrel/shared/usercontext"
)

// call calls the tool in a run that may use it.
func call(ctx context.Context, t *testing.T, c fetch.Config, said tool.Call) tool.Result {
	t.Helper()
	made, err := fetch.New(c)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tool.NewRegistry(made)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{fetch.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer uc.Close(context.Background())
	d, err := tool.NewDispatcher(uc, registry, registry.Names())
	if err != nil {
		t.Fatal(err)
	}
	d.Logf = func(format string, args ...any) { t.Errorf("logged: "+format, args...) } // may hold a person's words
	said.ID, said.Name = "c", fetch.Name
	return d.Call(ctx, said)
}

// get reads an address that needs no question.
func get(t *testing.T, c fetch.Config, address string) tool.Result {
	t.Helper()
	return call(t.Context(), t, c, tool.Call{Arguments: fmt.Sprintf(`{"url":%q}`, address), Approved: true})
}

func TestFetch(t *testing.T) {
	long := "<p>" + strings.Repeat("word ", 100<<10)
	pages := map[string]struct{ kind, body, want string }{
		"/page": {"text/html; charset=utf-8", "<title>News</title><p>It is <b>fine</b>.",
			"says:\n\nNews\n\nIt is fine."},
		"/plain":  {"text/plain", "one\n  two", "says:\n\none\n  two"},
		"/json":   {"application/feed+json", `{"a":1}`, `{"a":1}`},
		"/old":    {"text/html; charset=ISO-8859-1", "caf\xe9", "café"},
		"/broken": {"text/plain", "caf\xe9", "caf\uFFFD"},
		"/hidden": {"text/plain", "a\u200Bb\U000E0041c", "abc"},
		"/long":   {"text/html", long, "[cut: the result has "},
		"/huge":   {"text/html", strings.Repeat(" ", 3<<20) + "<p>text", "The page has no text"},
		"/pdf":    {"application/pdf", "%PDF", `of the type "application/pdf", which is not text`},
		"/none":   {"", "\x00\x01", "which is not text"},
		"/empty":  {"text/html", "<script>x</script>", "The page has no text"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := pages[r.URL.Path]
		if !ok {
			http.Error(w, "instructions for the model", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", p.kind)
		fmt.Fprint(w, p.body)
	}))
	defer server.Close()
	c := fetch.Config{On: true, Loopback: true}
	for path, p := range pages {
		got := get(t, c, server.URL+path)
		if !strings.Contains(got.Content, p.want) || !got.Outside || len(got.Content) > 64<<10 {
			t.Errorf("%s: %.300q, outside %v, want %q", path, got.Content, got.Outside, p.want)
		}
	}
	if got := get(t, c, server.URL+"/page"); !strings.HasPrefix(got.Content, server.URL+"/page says:") {
		t.Errorf("the result does not name the page: %s", got.Content)
	}
	if got := get(t, c, server.URL+"/nothing"); got.Outcome != tool.Failed ||
		got.Content != "The server answered with the status 404." {
		t.Errorf("a missing page: %+v", got)
	}
}

// Without the switch for a developer's machine, nothing of this machine and its network is read, and the model does not
// learn what there is.
func TestFetch_Refused(t *testing.T) {
	t.Attr("row", "D4: the tool fetch reaches public addresses only")
	reached := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer server.Close()
	addresses := []string{
		server.URL, strings.Replace(server.URL, "http:", "https:", 1), "https://localhost/", "https://10.0.0.1/",
		"https://169.254.169.254/latest/meta-data/", "https://[::ffff:127.0.0.1]/",
		"file:///etc/passwd", "https://user:word@example.com/", "", "nothing",
	}
	for _, address := range addresses {
		got := get(t, fetch.Config{On: true}, address)
		if got.Outcome != tool.Failed || !strings.HasPrefix(got.Content, "This address cannot be read.") {
			t.Errorf("%s: %+v", address, got)
		}
	}
	if reached > 0 {
		t.Errorf("the server on this machine was reached %d times", reached)
	}
	t.Attr("figure", fmt.Sprintf("%d addresses, and %d requests at a server on this machine", len(addresses), reached))
}

// After a text from outside, a person decides about each host that neither they wrote nor the deployment allows.
func TestFetch_Questions(t *testing.T) {
	t.Attr("row", "D4: after text from outside, a person decides about each further host")
	t.Attr("figure", "10 addresses, each with and without text from outside")
	c, err := fetch.Parse("docs.example.com,*.example.org")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context()) // so that no request is made
	cancel()
	for address, asks := range map[string]bool{
		"https://evil.example/?q=secret": true, "https://example.com/": true, "https://DOCS.example.com/a": false,
		"https://a.b.example.org/": false, "https://example.org/": true, "https://notexample.org/": true,
		"https://docs.example.com.evil.example/": true, "https://docs.example.com@evil.example/": true,
		"https://wrote.example:8443/x": false, "https://a.wrote.example/": true,
	} {
		for name, outside := range map[string]bool{"outside": true, "nothing outside": false} {
			before := tool.Conversation{Outside: outside, Person: []string{"see https://wrote.example/x?y"}}
			got := call(ended, t, c, tool.Call{Arguments: fmt.Sprintf(`{"url":%q}`, address),
				Before: func() tool.Conversation { return before }})
			if asked := got.Outcome == tool.Asked; asked != (asks && outside) {
				t.Errorf("%s, %s: %+v", address, name, got)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for text, on := range map[string]bool{"": false, "off": false, "on": true, "a.example,*.b.example": true} {
		if c, err := fetch.Parse(text); err != nil || c.On != on {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	for _, text := range []string{"On", "yes", "*", "*.", "localhost", "https://a.example", "a.example,", "A.example",
		"a..example", ".example.com", "a.example b.example"} {
		if c, err := fetch.Parse(text); err == nil || c.On {
			t.Errorf("%q: %+v, want an error that names it", text, c)
		}
	}
}

// However broken a page is, reading it takes a time that grows with its length only: these pages would take hours
// otherwise.
func TestFetch_BrokenPages(t *testing.T) {
	const n = 300 << 10
	for name, part := range map[string]string{
		"open quotes": `<a x="`, "open tags": "<a ", "open comments": "<!--", "open scripts": "<script>",
		"less-than": "<", "entities": "&", "attributes": "<a href=href=", "pre": "<pre>", "links": "<a href='/'>",
	} {
		body := strings.Repeat(part, n)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if _, err := bytes.NewBufferString("read me " + body).WriteTo(w); err != nil {
				t.Error(err)
			}
		}))
		got := get(t, fetch.Config{On: true, Loopback: true}, server.URL)
		if got.Outcome != tool.OK || !strings.Contains(got.Content, "read me") {
			t.Errorf("%s: %s %.200q", name, got.Outcome, got.Content)
		}
		server.Close()
	}
}

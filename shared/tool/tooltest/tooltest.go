// Package tooltest provides test data about tools: the isolation case and attacks of each tool (cases.txtar), and
// prompt injections, which are conversations with a model that obeys every text it reads (injections.txtar).
package tooltest

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"carrel/shared/tool"
)

//go:embed injections.txtar
var injections []byte

// Injection is one conversation of one user with that model.
type Injection struct {
	Name   string
	Stack  bool           // it needs only the built-in tools
	Grants []string       // the grants of the user's token
	Notes  []string       // the user's notes before the conversation, oldest first
	Page   string         // what a page of the web says; "": no page is served
	Script string         // the script of the model
	Gets   []tool.Outcome // the expected outcomes of the calls
}

// Other is the user whose data the injected text requests.
type Other struct{ User, Key, Thread, Run string }

// Injections reads the conversations.
func Injections(tb testing.TB) []Injection {
	tb.Helper()
	var all []Injection
	for _, f := range txtar.Parse(injections).Files {
		i := Injection{Name: f.Name}
		for line := range strings.Lines(string(f.Data)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			key, text, _ := strings.Cut(line, ":")
			i.add(tb, key, strings.TrimSpace(named(tb, text)))
		}
		all = append(all, i)
	}
	return all
}

func (i *Injection) add(tb testing.TB, key, text string) {
	tb.Helper()
	switch key {
	case "stack":
		i.Stack = text == "yes"
	case "grants":
		i.Grants = strings.Fields(text)
	case "note":
		i.Notes = append(i.Notes, text)
	case "page":
		i.Page += text + "\n"
	case "says":
		i.Script += text + "\n"
	case "gets":
		for _, o := range strings.Fields(text) {
			i.Gets = append(i.Gets, tool.Outcome(o))
		}
	default:
		tb.Fatalf("injections.txtar, %s: unknown field %q", i.Name, key)
	}
}

// Served returns the conversation with the addresses of its page filled in, which a server on this machine then serves
// until the test ends.
func (i Injection) Served(tb testing.TB) Injection {
	if i.Page == "" {
		return i
	}
	page := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == strings.TrimPrefix(page, "http://") {
			fmt.Fprint(w, i.Page)
			return
		}
		tb.Errorf("%s: a request to %s%s", i.Name, r.Host, r.URL)
	}))
	tb.Cleanup(server.Close)
	page = server.URL
	addresses := strings.NewReplacer("$PAGE", page, "$ELSEWHERE", strings.Replace(page, "127.0.0.1", "localhost", 1))
	i.Page, i.Script = addresses.Replace(i.Page), addresses.Replace(i.Script)
	return i
}

// named replaces the notation {U+0000} by the character.
func named(tb testing.TB, text string) string {
	return regexp.MustCompile(`\{U\+[0-9A-F]{4}\}`).ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseUint(s[3:7], 16, 32)
		if err != nil {
			tb.Fatal(err)
		}
		return string(rune(n))
	})
}

// Against returns the conversation with the other user's names filled in.
func (i Injection) Against(o Other) Injection {
	names := strings.NewReplacer("$BOBKEY", o.Key, "$BOBTHREAD", o.Thread, "$BOBRUN", o.Run, "$BOB", o.User)
	i.Notes, i.Script = slices.Clone(i.Notes), names.Replace(i.Script)
	for n := range i.Notes {
		i.Notes[n] = names.Replace(i.Notes[n])
	}
	return i
}

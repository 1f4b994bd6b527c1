package arch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/gateway/invoke"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/usercontext"
	"carrel/shared/usercreds"
)

// wire records each request and answers none.
type wire struct{ asked []string }

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, r.Method+" "+r.URL.String())
	return nil, errors.New("no request is allowed")
}

func (w *wire) aws() aws.Config {
	return aws.Config{Region: "us-east-1", HTTPClient: w,
		Credentials:      credentials.NewStaticCredentialsProvider("id", "s", ""),
		RetryMaxAttempts: 1}
}

// listed records calls that list or remove connections.
type listed struct{ *wire }

func (l listed) RemoveConnection(context.Context, chat.ConnectionID) error {
	l.asked = append(l.asked, "remove")
	return nil
}

func (l listed) Connections(context.Context) ([]chat.Connection, error) {
	l.asked = append(l.asked, "connections")
	return nil, nil
}

// taker calls a function with a user and returns its result, if any, and its error. The function's requests go to the
// wire.
type taker func(t *testing.T, u chat.User, w *wire) (made any, err error)

// takers returns all exported functions of shared/ that take a user.
func takers() map[string]taker {
	turn := func(w *wire) *invoke.Invoker { return invoke.New(w.aws(), "turn", gateway.PerTenant) }
	return map[string]taker{
		"shared/store.Table.For": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return store.New(store.NewClient(w.aws()), store.Config{Name: "t"}).For(u)
		},
		"shared/usercreds.Tables.For": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return usercreds.New(w.aws(), "arn:aws:iam::000000000000:role/user", store.Config{Name: "t"}).For(u)
		},
		"shared/usercreds.Tables.Sign": func(t *testing.T, u chat.User, w *wire) (any, error) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			tables := usercreds.New(w.aws(), "arn:aws:iam::000000000000:role/user", store.Config{Name: "t"})
			return nil, tables.Sign(t.Context(), u, "lambda", "", r)
		},
		"shared/gateway.EncodeTurn": func(_ *testing.T, u chat.User, _ *wire) (any, error) {
			event, _, err := gateway.EncodeTurn(u, gateway.TurnEvent{Run: "r1"}, gateway.Shared)
			return event, err
		},
		"shared/gateway/invoke.Invoker.Turn": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return nil, turn(w).Turn(t.Context(), u, "r1")
		},
		"shared/gateway/invoke.Invoker.EraseThread": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return nil, turn(w).EraseThread(t.Context(), u, "t1", "e1")
		},
		"shared/gateway/invoke.Invoker.EraseUser": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return nil, turn(w).EraseUser(t.Context(), u)
		},
		"shared/lasthop.Broadcast": func(t *testing.T, u chat.User, w *wire) (any, error) {
			return nil, lasthop.Broadcast(t.Context(), lasthop.Recipients{User: u, Connections: listed{w}})
		},
		"shared/usercontext.New": func(t *testing.T, u chat.User, w *wire) (any, error) {
			var g usercontext.Gauge
			c, err := usercontext.New(t.Context(), usercontext.Config{User: u, Thread: "t1", Run: "r1", Request: "q1",
				Gauge: &g})
			if n := g.Counts(); n != (usercontext.Counts{}) {
				t.Errorf("a context was counted: %+v", n)
			}
			return c, err
		},
	}
}

// refusesNobody calls a taker with the zero User and reports every effect other than a refusal.
func refusesNobody(t *testing.T, name string, take taker, u chat.User) {
	t.Helper()
	w := &wire{}
	made, err := take(t, u, w)
	if !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("%s accepts the zero User: %v, want chat.ErrNoUser", name, err)
	}
	if made != nil && !reflect.ValueOf(made).IsZero() {
		t.Errorf("%s made %T for the zero User", name, made)
	}
	if len(w.asked) > 0 {
		t.Errorf("%s made requests for the zero User: %v", name, w.asked)
	}
}

// TestTakers_ZeroUser calls each function that takes a user with the zero User: it must refuse it without an
// effect.
func TestTakers_ZeroUser(t *testing.T) {
	t.Attr("row", "B1: each function that takes a user rejects the zero User")
	takes, _ := handlers(repository(t))
	all := takers()
	for name, take := range all {
		refusesNobody(t, name, take, chat.User{})
	}
	for name, record := range recorders() {
		if _, err := record(t, chat.User{}, &wire{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all[name] = record
	}
	for _, problem := range uncovered(takes, all) {
		t.Error(problem)
	}
	if !t.Failed() {
		t.Attr("figure",
			fmt.Sprintf("%d functions take a user: %d refuse the zero User without a request, %d records it as the "+
				"zero User",
				len(all), len(takers()), len(recorders())))
	}
}

// uncovered compares the functions that take a user with the cases.
func uncovered(takes map[string]bool, cases map[string]taker) []string {
	var found []string
	for name, yes := range takes {
		if cases[name] == nil && yes {
			found = append(found,
				name+" takes a user, and no case shows that it refuses the zero User: add it to takers")
		}
	}
	for name := range cases {
		if !takes[name] {
			found = append(found, name+" takes no user: remove it from takers")
		}
	}
	slices.Sort(found)
	return found
}

// TestTakers_Planted plants functions that take a user in every possible way.
func TestTakers_Planted(t *testing.T) {
	t.Attr("row", "B1: each function that takes a user is tried with the zero User")
	takes, _ := handlers(planted(t, `
-- shared/internal/principal/a.go --
package principal
type User struct{ key string }
func (u User) Key() string { return u.key }
-- shared/chat/a.go --
package chat
import "carrel/shared/internal/principal"
type User = principal.User
-- shared/tool/a.go --
package tool
import people "carrel/shared/chat"
type Config struct { Name string; Of people.User }
type Hidden struct { of people.User }
type Nested struct { Config }
type Tool struct{}
type hidden struct{}
func Plain(n int, u people.User) {}
func Pointer(*people.User) {}
func Many(all ...people.User) {}
func ByName(all map[string][]people.User) {}
func Whole(Config) {}
func Deep(*Nested) {}
func Generic[T any](t T, of chan people.User) {}
func Asks(who func() people.User) {}
func (*Tool) Method(people.User) {}
func (hidden) Method(people.User) {}
func Not(Hidden) {}
func NotEither(i interface{ For(people.User) }) {}
func Gives() people.User { panic(0) }
func unexported(people.User) {}
-- shared/chat/chattest/a.go --
package chattest
import "carrel/shared/chat"
func Test(chat.User) {}
`))
	var got []string
	for name, yes := range takes {
		if yes {
			got = append(got, strings.TrimPrefix(name, "shared/tool."))
		}
	}
	slices.Sort(got)
	want := []string{"Asks", "ByName", "Deep", "Generic", "Many", "Plain", "Pointer", "Tool.Method", "Whole",
		"hidden.Method"}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	missing := strings.Join(uncovered(takes, map[string]taker{"shared/tool.Not": nil}), "\n")
	for _, want := range []string{"shared/tool.Plain takes a user, and no case", "shared/tool.Not takes no user"} {
		if !strings.Contains(missing, want) {
			t.Errorf("the comparison does not report %q: %s", want, missing)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d of %d planted ways to take a user were found", len(got), len(want)))
}

// recorders returns the functions that accept the zero User: they only record whose request it was.
func recorders() map[string]taker {
	return map[string]taker{
		"shared/monitor.Monitor.Violation": func(t *testing.T, u chat.User, w *wire) (any, error) {
			var output strings.Builder
			monitor.New(&output, "f", slog.New(slog.DiscardHandler)).Violation(t.Context(), "planted", u)
			if !strings.Contains(output.String(), `"UserHash":"nobody"`) {
				return nil, fmt.Errorf("it recorded %s", &output)
			}
			return nil, nil
		},
	}
}

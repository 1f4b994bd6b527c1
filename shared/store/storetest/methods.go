package storetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/store"
)

// Methods makes a table of this name, furnishes it for as and for somebody else, and calls every method of the store
// once for as, with names that both have: each through f, which gets the method's name and may call it as often as it
// likes. All requests are db's, the furnishing's too: whoever wants others for the methods changes db's credentials in
// f.
func Methods(t *testing.T, db *dynamodb.Client, name, as string, f func(method string, call func() error)) {
	t.Helper()
	w, _, both := furnishedIn(newWorld(t, db, name), as+" beside", 0)
	for method, p := range probes() {
		c := caller{World: w.fresh(t, as), as: as, names: &both}
		c.mine = c.As(as)
		c.holder = c.furnish(c.mine, both, "words of mine")
		c.met = true
		if method == "Store.Admit" { // what it answers
			c.ask(c.mine, both, "words of mine")
		}
		f(method, func() error {
			at := c.Clock.ahead.Load()
			defer c.Clock.ahead.Store(at) // each call has the time that the first one had
			_, err := p.call(c)
			return err
		})
	}
}

// Uncovered compares the methods that there are with the cases and says what is missing or has no method any more.
func Uncovered[P any](cases map[string]P) []string {
	methods := []string{}
	for _, typ := range []reflect.Type{reflect.TypeFor[*store.Table](), reflect.TypeFor[*store.Store](),
		reflect.TypeFor[*store.Lease]()} {
		for m := range typ.Methods() {
			methods = append(methods, typ.Elem().Name()+"."+m.Name)
		}
	}
	var problems []string
	for _, m := range methods {
		if _, ok := cases[m]; !ok {
			problems = append(problems, m+" has no isolation case: add one to probes")
		}
	}
	for name := range cases {
		if !slices.Contains(methods, name) {
			problems = append(problems, name+" has an isolation case but is no method any more: remove it")
		}
	}
	return problems
}

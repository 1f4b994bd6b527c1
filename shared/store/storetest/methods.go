package storetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/store"
)

// Methods creates a table with this name, stores items for the user as and for another user, and passes the call of
// every method of the store to f. The calls act for as, with names that both users have. f gets the name of the method
// and may make the call more than once. All requests use db, also the requests that store the items: to make the calls
// with other credentials, change the credentials of db in f.
func Methods(t *testing.T, db *dynamodb.Client, name, as string, f func(method string, call func() error)) {
	t.Helper()
	w, _, both := populatedIn(newWorld(t, db, name), as+" beside", 0)
	for method, p := range probes() {
		c := caller{World: w.fresh(t, as), as: as, names: &both}
		c.store = c.As(as)
		c.lease = c.populate(c.store, both, callerText)
		c.single = true
		if method == "Store.Admit" { // the interrupt that the call responds to
			c.ask(c.store, both, callerText)
		}
		f(method, func() error {
			ahead := c.Clock.ahead.Load()
			defer c.Clock.ahead.Store(ahead) // each call starts at the time of the first call
			_, err := p.call(c)
			return err
		})
	}
}

// Uncovered compares the methods of the store with the cases. It reports each method without a case and each case
// without a method.
func Uncovered[P any](cases map[string]P) []string {
	methods := []string{}
	for _, typ := range []reflect.Type{reflect.TypeFor[*store.Table](), reflect.TypeFor[*store.Store](),
		reflect.TypeFor[*store.Lease](), reflect.TypeFor[*store.Rows]()} {
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
			problems = append(problems, name+" has an isolation case, but the method does not exist: remove the case")
		}
	}
	return problems
}

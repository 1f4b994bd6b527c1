package proxy_test

import (
	"fmt"
	"testing"

	"carrel/infra/local/dynamodb/proxy"
)

// A hook sees each request of a caller in order and chooses its fault. Its function after runs between the effect and
// the response.
func TestHook(t *testing.T) {
	b := start(t, proxy.Faults{})
	c := b.client(b.URL(), "A", 1)
	faults := []proxy.Fault{proxy.Fine, proxy.Broken, proxy.Lost, proxy.Throttled, proxy.Conflict, proxy.Fine}
	var after []int
	b.SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "function A" || r.Operation != "PutItem" {
			t.Errorf("the hook was called for %+v", r)
		}
		return faults[r.N-1], func() { after = append(after, r.N) }
	})
	for i, want := range []bool{true, false, true, false, false, true} {
		id := fmt.Sprint("hooked", i)
		if err := put(t.Context(), c, id, 1); (err == nil) != (faults[i] == proxy.Fine) {
			t.Errorf("request %d: %v", i, err)
		}
		if b.written(id) != want {
			t.Errorf("request %d was written: %v, want %v", i, !want, want)
		}
	}
	if fmt.Sprint(after) != "[1 3 6]" {
		t.Errorf("after ran for the requests %v", after)
	}
}

package usercontext_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// walker finds everything that can be reached from a value by pointers, maps, slices and channels. What a closure holds
// it cannot see: the clean-ups of a user context are closures, and point back to what they clean until Close drops them.
type walker struct {
	seen   map[uintptr]string // where each thing was reached first
	path   []uintptr
	cycles []string
}

func walk(root any) *walker {
	w := &walker{seen: map[uintptr]string{}}
	w.visit(reflect.ValueOf(root), "")
	return w
}

func (w *walker) visit(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			w.visit(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			w.visit(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			w.visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan:
		if !v.IsNil() && !(v.Kind() == reflect.Slice && v.Cap() == 0) {
			w.enter(v, path)
		}
	}
}

func (w *walker) enter(v reflect.Value, path string) {
	if v.Kind() == reflect.Pointer && v.Type().Elem().Size() == 0 {
		return // nothing is there; all such pointers are one
	}
	at := v.Pointer()
	if slices.Contains(w.path, at) && !standard(v.Type()) {
		w.cycles = append(w.cycles, fmt.Sprintf("%s (%s) leads back to %s", path, v.Type(), w.seen[at]))
	}
	if _, known := w.seen[at]; known {
		return
	}
	w.seen[at] = fmt.Sprintf("%s (%s)", path, v.Type())
	w.path = append(w.path, at)
	switch v.Kind() {
	case reflect.Pointer:
		w.visit(v.Elem(), path)
	case reflect.Map:
		for _, k := range v.MapKeys() {
			w.visit(k, path+"{key}")
			w.visit(v.MapIndex(k), fmt.Sprintf("%s{%v}", path, k))
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
	w.path = w.path[:len(w.path)-1]
}

// standard are Go's own types: its contexts point to their children and back.
func standard(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return !strings.HasPrefix(t.PkgPath(), "carrel/")
}

// allowed are what two users' runs may both hold, by what the walk calls them or by its type, with the reason.
func allowed() map[string]string {
	return map[string]string{
		".Context.gauge (*usercontext.Gauge)":                    "the process's count of contexts: numbers, under a lock",
		".Tools.tools{calculator}.spec.Schema (json.RawMessage)": "a tool's schema: never written, and copied for who asks",
		"(*time.Location)":      "the machine's time zone",
		"(*errors.errorString)": "a named error, which nobody can write",
	}
}

// shared are the things that both hold and may not.
func shared(a, b *walker) (found []string, used map[string]bool) {
	used = map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(a.seen)) {
		where := a.seen[at]
		if _, both := b.seen[at]; !both {
			continue
		}
		kind := where[strings.LastIndex(where, "("):]
		if allowed()[where] == "" && allowed()[kind] == "" {
			found = append(found, where)
		}
		used[where], used[kind] = true, true
	}
	return found, used
}

// Two users' runs in one warm process, with all that is made for each and after all that a run does, share nothing that can
// be written, and nothing of one points in a circle.
func TestTwoRunsShareNothing(t *testing.T) {
	d := deploy(t)
	alice := d.session(t, chattest.User(t, "alice"), chat.Limits{}, converses{})
	bob := d.session(t, chattest.User(t, "bob"), chat.Limits{}, converses{})
	sessions := []*session{alice, bob}
	for _, s := range sessions {
		child(t, child(t, s.Context, "q2"), "q3")
		if end := s.run(t); end.Outcome == nil {
			t.Fatalf("the run ended with %+v", end)
		}
		must(t, s.Context.OnClose("look", func(context.Context) error { return nil }))
	}
	a, b := walk(alice), walk(bob)
	for _, s := range sessions {
		must(t, s.Context.Close(context.Background()))
	}
	afterA, afterB := walk(alice), walk(bob)
	if len(a.seen) < 40 {
		t.Errorf("the walk saw %d things only", len(a.seen))
	}
	found, used := shared(a, b)
	foundAfter, usedAfter := shared(afterA, afterB)
	for _, where := range append(found, foundAfter...) {
		t.Errorf("both hold %s", where)
	}
	for where, why := range allowed() {
		if !used[where] && !usedAfter[where] {
			t.Errorf("%s is allowed (%s) and not shared: take it out", where, why)
		}
	}
	for _, c := range slices.Concat(a.cycles, b.cycles, afterA.cycles, afterB.cycles) {
		t.Errorf("a circle: %s", c)
	}
}

// The walk must notice what it is for.
func TestTheWalkNotices(t *testing.T) {
	type node struct {
		cache map[string]*int
		next  any
		free  chan int
	}
	n, both := 1, make(chan int)
	for name, two := range map[string][2]*node{
		"a shared map":     {{cache: map[string]*int{"x": &n}}, {cache: map[string]*int{"y": &n}}},
		"a shared channel": {{free: both}, {next: &node{free: both}}},
	} {
		if found, _ := shared(walk(two[0]), walk(two[1])); len(found) == 0 {
			t.Errorf("%s was not noticed", name)
		}
	}
	circle := &node{}
	circle.next = []any{map[string]any{"back": circle}}
	if w := walk(circle); len(w.cycles) == 0 {
		t.Error("a circle was not noticed")
	}
}

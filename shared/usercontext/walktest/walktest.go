// Package walktest finds the memory that two values share, and cycles of pointers. Tests use it to show that the runs
// of two users in one process share nothing that can be written.
package walktest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Walk holds everything that can be reached from a value by pointers, maps, slices and channels. It cannot see the
// variables that a closure holds. The clean-ups of a user context are closures, which hold the objects that they clean
// until Close drops them.
type Walk struct {
	Seen   map[uintptr]string // by address: the path by which it was reached first, and its type
	Cycles []string

	closed []string
	path   []uintptr
}

// From returns the walk from root, which must not change during the call. It records pointers to the closed types,
// written like (*store.Table), but does not follow them.
func From(tb testing.TB, root any, closed ...string) *Walk {
	tb.Helper()
	w := &Walk{Seen: map[uintptr]string{}, closed: closed}
	w.visit(reflect.ValueOf(root), "")
	return w
}

func (w *Walk) visit(v reflect.Value, path string) {
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

func (w *Walk) enter(v reflect.Value, path string) {
	if v.Kind() == reflect.Pointer && v.Type().Elem().Size() == 0 {
		return // all pointers to values of size 0 may be equal
	}
	at := v.Pointer()
	if slices.Contains(w.path, at) && !standard(v.Type()) {
		w.Cycles = append(w.Cycles, fmt.Sprintf("%s (%s) leads back to %s", path, v.Type(), w.Seen[at]))
	}
	if _, known := w.Seen[at]; known {
		return
	}
	w.Seen[at] = fmt.Sprintf("%s (%s)", path, v.Type())
	if slices.Contains(w.closed, fmt.Sprintf("(%s)", v.Type())) {
		return
	}
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

// standard reports whether a type is not of this module. Contexts of the standard library point to their children and
// back.
func standard(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return !strings.HasPrefix(t.PkgPath(), "carrel/")
}

// Shared returns what both walks reached and is not allowed. allowed maps a path or a type, in parentheses, to the
// reason why it may be shared. used holds the paths and types that both walks reached, so that a test can find stale
// entries.
func Shared(a, b *Walk, allowed map[string]string) (found []string, used map[string]bool) {
	used = map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(a.Seen)) {
		where := a.Seen[at]
		if _, both := b.Seen[at]; !both {
			continue
		}
		kind := where[strings.LastIndex(where, "("):]
		if allowed[where] == "" && allowed[kind] == "" {
			found = append(found, where)
		}
		used[where], used[kind] = true, true
	}
	return found, used
}

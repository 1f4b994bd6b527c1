package template_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"carrel/infra/template/templatetest"
)

// object is a JSON object: the transformed template has too many shapes for types.
type object = map[string]any

// transformed is what CloudFormation gets: the resources by logical id.
func transformed(t *testing.T) object {
	t.Helper()
	return templatetest.Transformed(t)
}

// at follows a path of member names; nil if it leads nowhere.
func at(v any, path ...string) any {
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	return v
}

// text is a value as one line of JSON, short enough to be compared and read.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(strings.TrimSpace(b.String()), `"`, "")
}

// list is a value as a list: one value is a list of one.
func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// each calls f with the resources of a type, in the order of their ids, and fails if there is none.
func each(t *testing.T, resources object, kind string, f func(id string, resource any)) {
	t.Helper()
	found := false
	for id, r := range resources {
		if at(r, "Type") == kind {
			found = true
			f(id, r)
		}
	}
	if !found {
		t.Errorf("there is no %s", kind)
	}
}

// equal compares what a path leads to with its text.
func equal(t *testing.T, resources object, want string, path ...string) {
	t.Helper()
	if got := text(at(resources, path...)); got != want {
		t.Errorf("%s:\n got %s\nwant %s", strings.Join(path, "."), got, want)
	}
}

// references are the resources that a value refers to.
func references(v any, found func(id string)) {
	switch v := v.(type) {
	case []any:
		for _, member := range v {
			references(member, found)
		}
	case object:
		if name, ok := v["Ref"].(string); ok {
			found(name)
		}
		if get := v["Fn::GetAtt"]; get != nil {
			id, _, _ := strings.Cut(list(get)[0].(string), ".")
			found(id)
		}
		own := object{}
		if sub := list(v["Fn::Sub"]); len(sub) > 0 {
			if len(sub) == 2 {
				own = sub[1].(object)
			}
			for _, m := range regexp.MustCompile(`\$\{([^!}.]+)[^}]*\}`).FindAllStringSubmatch(sub[0].(string), -1) {
				if own[m[1]] == nil {
					found(m[1])
				}
			}
		}
		for _, member := range v {
			references(member, found)
		}
	}
}

// What waits for itself cannot be made. (cfn-lint finds this too; it looks at one resource's part of a circle at a
// time.)
func TestOrder_NoCycle(t *testing.T) {
	resources := transformed(t)
	after := func(id string) (ids []string) {
		found := func(to string) {
			if resources[to] != nil && !slices.Contains(ids, to) {
				ids = append(ids, to)
			}
		}
		references(at(resources, id, "Properties"), found)
		for _, to := range list(at(resources, id, "DependsOn")) {
			found(to.(string))
		}
		return ids
	}
	done := map[string]bool{}
	var visit func(path []string)
	visit = func(path []string) {
		id := path[len(path)-1]
		if slices.Contains(path[:len(path)-1], id) {
			t.Fatalf("a circle: %s", strings.Join(path, " -> "))
		}
		if !done[id] {
			for _, to := range after(id) {
				visit(append(slices.Clone(path), to))
			}
			done[id] = true
		}
	}
	for id := range resources {
		visit([]string{id})
	}
	// The longest way there is goes through most of the template: were no reference found, it would not.
	if !slices.Contains(after("AuthorizeFunction"), "PageSignIn") || !slices.Contains(after("PageHeaders"), "Api") {
		t.Error("authorize does not wait for the page's client, or the page's headers for the API: the test looks at " +
			"nothing")
	}
}

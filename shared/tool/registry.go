package tool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Registry is a frozen set of tools. All runs share the deployment's registry, so it holds no user's data.
type Registry struct {
	tools map[string]Tool
}

// NewRegistry freezes a set of tools. A duplicate or invalid name, an empty grant, contradictory effects and a limit
// out of range are errors.
func NewRegistry(tools ...Tool) (*Registry, error) {
	r := &Registry{tools: make(map[string]Tool, len(tools))}
	for _, t := range tools {
		if err := r.add(t); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// add adds one tool to a registry that is being made.
func (r *Registry) add(t Tool) error {
	name := t.spec.Name
	if t.call == nil {
		return errors.New("register tools: a tool was not made by Define or Raw")
	}
	if !goodName(name) {
		return fmt.Errorf("register tool %q: a name is 1 to 64 of [A-Za-z0-9_-]", name)
	}
	if t.grant == "" {
		return fmt.Errorf("register tool %q: it needs a grant, because every user could call it otherwise", name)
	}
	if t.effects.ReadOnly && t.effects.Destructive {
		return fmt.Errorf("register tool %q: it is declared both read-only and destructive", name)
	}
	if err := t.limits.check(); err != nil {
		return fmt.Errorf("register tool %q: %w", name, err)
	}
	if _, twice := r.tools[name]; twice {
		return fmt.Errorf("register tool %q: the name is used twice", name)
	}
	r.tools[name] = t
	return nil
}

// Names returns the names of all tools, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.tools)) }

// Effects returns the declared effects of a named tool, and false if the registry lacks the tool.
func (r *Registry) Effects(name string) (Effects, bool) {
	t, ok := r.tools[name]
	return t.effects, ok
}

// Grant returns the grant that a named tool needs, and false if the registry lacks the tool.
func (r *Registry) Grant(name string) (string, bool) {
	t, ok := r.tools[name]
	return t.grant, ok
}

// With returns a new registry with further tools, such as the tools of one run that work on its user's data. r does not
// change. The errors are those of NewRegistry.
func (r *Registry) With(more ...Tool) (*Registry, error) {
	return NewRegistry(append(slices.Collect(maps.Values(r.tools)), more...)...)
}

// goodName checks a name by the rule of the model providers, which reject a whole request because of one bad name.
func goodName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= 64
}

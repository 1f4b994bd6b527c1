package tool

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"carrel/shared/usercontext"
)

// Source provides tools that are known at run time only, such as those of MCP servers. Tools returns the tools for one
// run. It may return tools together with an error: a failure costs only the tools that it is about. It must return soon
// after ctx has ended. All runs share a Source, so it holds no user's data, and it is safe for concurrent use.
type Source interface {
	Tools(ctx context.Context, uc *usercontext.Context) ([]Tool, error)
}

// WithSources returns a new registry with the tools of the sources for one run, which it asks concurrently. report
// receives each failure, and it may be called concurrently. A source that fails or panics costs its own tools only, and
// a tool that cannot be registered, such as one whose name is taken, costs only itself.
func (r *Registry) WithSources(ctx context.Context, uc *usercontext.Context, report func(error),
	sources ...Source) *Registry {
	all := &Registry{tools: maps.Clone(r.tools)}
	found := make([]chan []Tool, len(sources))
	for i, s := range sources {
		tools := make(chan []Tool, 1)
		found[i] = tools
		list := func(context.Context) {
			defer close(tools)
			tools <- toolsOf(ctx, uc, report, s)
		}
		if err := uc.Go("list the tools of a source", list); err != nil {
			report(err)
			close(tools)
		}
	}
	for _, tools := range found {
		for _, t := range <-tools {
			if err := all.add(t); err != nil {
				report(err)
			}
		}
	}
	return all
}

// toolsOf returns the tools of one source.
func toolsOf(ctx context.Context, uc *usercontext.Context, report func(error), s Source) (tools []Tool) {
	defer func() {
		if v := recover(); v != nil {
			tools = nil
			report(fmt.Errorf("list the tools of a source: panic: %v", v))
		}
	}()
	tools, err := s.Tools(ctx, uc)
	if err != nil {
		report(fmt.Errorf("list the tools of a source: %w", err))
	}
	return tools
}

// From returns a copy of the tool that names the source that provides it, such as mcp:github. An agent can name all
// tools of a source.
func (t Tool) From(source string) Tool {
	t.origin = source
	return t
}

// Match returns the names of the tools that an agent's patterns select, sorted. A pattern is the name of a tool, or it
// has the wildcards of path.Match, such as notes_*. For the tools of a source it begins with the name of the source,
// as mcp:github/* does; a pattern without a source selects no tool of one. A name without wildcards that the registry
// lacks is an error. A pattern may match nothing, because a source can be down.
func (r *Registry) Match(patterns ...string) ([]string, error) {
	selected := map[string]bool{}
	for _, pattern := range patterns {
		source, name, ofSource := cutLast(pattern)
		if !ofSource {
			name = pattern
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, fmt.Errorf("select tools by %q: %w", pattern, err)
		}
		if _, there := r.tools[name]; !ofSource && !there && !strings.ContainsAny(name, `*?[\`) {
			return nil, fmt.Errorf("select tools: no tool has the name %q", name)
		}
		for _, t := range r.tools {
			if t.selected(source, name) {
				selected[t.spec.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(selected)), nil
}

// cutLast splits a pattern such as mcp:github/* into the source and the pattern of its tools' names.
func cutLast(pattern string) (source, name string, ok bool) {
	at := strings.LastIndex(pattern, "/")
	if at < 0 {
		return "", pattern, false
	}
	return pattern[:at], pattern[at+1:], true
}

// selected reports whether a pattern selects the tool.
func (t Tool) selected(source, name string) bool {
	own, err := path.Match(source, t.origin)
	if err != nil || !own || (source == "") != (t.origin == "") {
		return false
	}
	matched, err := path.Match(name, t.spec.Name)
	return err == nil && matched
}

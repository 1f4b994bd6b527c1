package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// source is a Source in memory.
type source func(ctx context.Context, uc *usercontext.Context) ([]tool.Tool, error)

func (s source) Tools(ctx context.Context, uc *usercontext.Context) ([]tool.Tool, error) {
	return s(ctx, uc)
}

// named makes a raw tool of that name, from a source if one is named.
func named(t *testing.T, name, from string) tool.Tool {
	t.Helper()
	made, err := tool.Raw(tool.Spec{Name: name, Schema: json.RawMessage(`{"type":"object"}`)}, "order",
		func(context.Context, json.RawMessage) (tool.Output, error) { return tool.Output{Text: from}, nil })
	if err != nil {
		t.Fatal(err)
	}
	return made.From(from)
}

// A source that fails, panics, or has a tool that cannot be registered costs its own tools only.
func TestRegistry_WithSources(t *testing.T) {
	uc := contextOf(t, "order")
	registry, err := tool.NewRegistry(named(t, "own", ""))
	if err != nil {
		t.Fatal(err)
	}
	gives := func(err error, tools ...tool.Tool) source {
		return func(context.Context, *usercontext.Context) ([]tool.Tool, error) { return tools, err }
	}
	var mu sync.Mutex
	var reported []string
	report := func(err error) { mu.Lock(); defer mu.Unlock(); reported = append(reported, err.Error()) }
	more := registry.WithSources(t.Context(), uc, report,
		gives(errors.New("the server is down")),
		gives(nil, named(t, "one", "mcp:a"), named(t, "own", "mcp:a"), named(t, "bad name", "mcp:a"), tool.Tool{}),
		source(func(context.Context, *usercontext.Context) ([]tool.Tool, error) { panic("broken") }),
		gives(errors.New("half of it is down"), named(t, "two", "mcp:b"), named(t, "one", "mcp:b")))
	if got := more.Names(); !slices.Equal(got, []string{"one", "own", "two"}) {
		t.Errorf("the run has the tools %q", got)
	}
	if got := registry.Names(); !slices.Equal(got, []string{"own"}) {
		t.Errorf("the deployment's registry became %q", got)
	}
	all := strings.Join(reported, "\n")
	for _, want := range []string{"the server is down", `"own": the name is used twice`, `"bad name"`, "made by Define",
		"panic: broken", "half of it is down", `"one": the name is used twice`} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not reported; the reports are\n%s", want, all)
		}
	}
	d, err := tool.NewDispatcher(uc, more, more.Names())
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"own": "", "one": "mcp:a", "two": "mcp:b"} {
		if got := d.Call(uc.Context(), tool.Call{ID: name, Name: name}); got.Content != from {
			t.Errorf("a call of %s was made by the source %q, want %q", name, got.Content, from)
		}
	}
}

// An agent names tools, and all tools of a source, by patterns. A pattern without a source selects no tool of one, so
// that a server cannot give itself to an agent by the name of a tool.
func TestRegistry_Match(t *testing.T) {
	registry, err := tool.NewRegistry(named(t, "notes_save", ""), named(t, "notes_list", ""), named(t, "clock", ""),
		named(t, "notes_theirs", "mcp:notes"), named(t, "git_read", "mcp:git"), named(t, "git_write", "mcp:git"),
		named(t, "my_git_read", "user:git"))
	if err != nil {
		t.Fatal(err)
	}
	for patterns, want := range map[string]string{
		"":                        "[]",
		"clock":                   "[clock]",
		"notes_*":                 "[notes_list notes_save]",
		"*":                       "[clock notes_list notes_save]",
		"mcp:git/*":               "[git_read git_write]",
		"mcp:git/git_r*":          "[git_read]",
		"mcp:git/git_read clock":  "[clock git_read]",
		"mcp:*/*":                 "[git_read git_write notes_theirs]",
		"mcp:down/*":              "[]",
		"mcp:down/name":           "[]",
		"notes_theirs":            "[]",
		"clock clock *":           "[clock notes_list notes_save]",
		"diary":                   `no tool has the name "diary"`,
		"notes_[":                 "syntax error in pattern",
		"mcp:git/notes_* notes_l": `no tool has the name "notes_l"`,
	} {
		got, err := registry.Match(strings.Fields(patterns)...)
		if text := fmt.Sprint(got, err); !strings.Contains(text, want) || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q selects %s, want %s", patterns, text, want)
		}
	}
}

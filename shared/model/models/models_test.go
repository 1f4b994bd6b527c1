package models_test

import (
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/models"
	"carrel/shared/model/modeltest"
)

func with(t *testing.T, env map[string]string) *models.Models {
	t.Helper()
	m, err := models.New(models.Config{File: agents.Models(), Getenv: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func names(all []engine.Candidate) string {
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

func TestCandidates_Roles(t *testing.T) {
	env := map[string]string{"MODEL": "openai:gpt-5", "CHEAP_MODEL": "ollama:qwen3",
		"FALLBACK_MODELS": "ollama:a, ollama:b",
		"OPENAI_API_KEY":  "k"}
	for _, c := range []struct {
		env   map[string]string
		roles string
		want  string
	}{
		{nil, "default", "scripted"},
		{nil, "cheap", "scripted"},
		{env, "default", "openai:gpt-5 ollama:a ollama:b"},
		{env, "cheap", "ollama:qwen3"},
		{map[string]string{"MODEL": "ollama:a"}, "cheap", "ollama:a"},
		{env, "ollama:x:7b default", "ollama:x:7b openai:gpt-5 ollama:a ollama:b"},
		{env, "ollama:a default", "ollama:a openai:gpt-5 ollama:b"},
	} {
		got, err := with(t, c.env).Candidates(strings.Fields(c.roles)...)
		if err != nil || names(got) != c.want {
			t.Errorf("%s: got %q and error %v, want %q", c.roles, names(got), err, c.want)
		}
	}
}

func TestCandidates_Facts(t *testing.T) {
	m := with(t, map[string]string{"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"})
	for name, want := range map[string][2]int{
		"openai:gpt-4o-2024-11-20":       {128000, 16384},
		"openai:gpt-4.1-mini-2025-04-14": {1047576, 32768},
		"gemini:unheard-of":              {32 << 10, 4 << 10},
		"ollama:unheard-of":              {8 << 10, 4 << 10},
	} {
		got, err := m.Candidates(name)
		if err != nil || got[0].Context != want[0] || got[0].MaxOutput != want[1] {
			t.Errorf("%s: got %+v and error %v, want context and output %v", name, got, err, want)
		}
	}
}

// An operator reads all faults of a configuration at once.
func TestCandidates_Faults(t *testing.T) {
	m := with(t, map[string]string{"MODEL": "openai:gpt-5", "FALLBACK_MODELS": "gemini:gemini-2.5-pro nothing acme:x"})
	_, err := m.Candidates("default")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"OPENAI_API_KEY", "GEMINI_API_KEY", "nothing", `"acme"`, "ollama"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s: %v", want, err)
		}
	}
}

func TestNew_Faults(t *testing.T) {
	file := `
endpoints:
  - {name: A, api: chat, url: "https://a.test"}
  - {name: b, api: telepathy, url: "ftp://b.test"}
  - {name: c, api: chat, url: "https://user:password@c.test", auth: basic}
  - {name: d, api: chat, url: "https://d.test", quirks: odd}
  - {name: d, api: chat, url: "https://d.test", quirks: {odd: true}}
models:
  m: {context: 10, output: 20, thinks: sometimes}
`
	_, err := models.New(models.Config{File: []byte(file), Getenv: func(string) string { return "" }})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"A": a name has`, `not "telepathy"`, `not "ftp://b.test"`,
		"must not have a password",
		`not "basic"`, `not "odd"`, "field odd not found", "used twice", `not "sometimes"`,
		"output must be at most context"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
}

// OPENAI_BASE_URL calls any server that speaks Chat Completions, on this machine without a key.
func TestCandidates_BaseURL(t *testing.T) {
	s := modeltest.New(t, modeltest.Chat)
	got, err := with(t, map[string]string{"OPENAI_BASE_URL": s.URL + "/v1/"}).Candidates("openai:" + modeltest.Model)
	if err != nil {
		t.Fatal(err)
	}
	r := engine.Request{Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "Hi."}}}
	text := ""
	for d, err := range got[0].Stream(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		text += d.Text
	}
	if text != "OK." || s.Requests()[0].Header.Get("Authorization") != "" {
		t.Errorf("got %q with the header %q", text, s.Requests()[0].Header.Get("Authorization"))
	}
}

// A server that speaks Responses is called so. Another value of OPENAI_API is an error.
func TestCandidates_ResponsesServer(t *testing.T) {
	s := modeltest.New(t, modeltest.Responses, modeltest.Reply{Answer: modeltest.Answer{
		Parts: []modeltest.Part{{Text: "hello"}}}})
	env := map[string]string{"OPENAI_BASE_URL": s.URL + "/v1", "OPENAI_API": "responses"}
	got, err := with(t, env).Candidates("openai:" + modeltest.Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range got[0].Model.Stream(t.Context(), engine.Request{Settings: engine.Settings{MaxTokens: 10},
		Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "hi"}}}) {
		if err != nil {
			t.Error(err)
		}
	}
	if r := s.Requests(); len(r) != 1 || !strings.HasSuffix(r[0].Path, "/v1/responses") {
		t.Errorf("the server received %+v", r)
	}
	_, err = models.New(models.Config{File: agents.Models(), Getenv: func(name string) string {
		return map[string]string{"OPENAI_API": "telepathy"}[name]
	}})
	if err == nil || !strings.Contains(err.Error(), "OPENAI_API") {
		t.Errorf("another API: %v", err)
	}
}

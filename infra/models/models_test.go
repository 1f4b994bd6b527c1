package models_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/model/modeltest"
)

// within bounds one test, the start of its stack included.
const within = 3 * time.Minute

// secret is the provider's key in these tests.
const secret = "sk-test-0123456789abcdef"

// start runs a stack whose default model is at this address, and opens a window.
func start(t *testing.T, model, url string) (*stack.Stack, *testkit.Device, context.Context) {
	t.Helper()
	return startWith(t, model, url, nil)
}

// startWith is start with further environment variables of turn.
func startWith(t *testing.T, model, url string, more map[string]string) (*stack.Stack, *testkit.Device,
	context.Context) {
	t.Helper()
	env := map[string]string{"OPENAI_BASE_URL": url, "OPENAI_API_KEY": secret, "ANTHROPIC_BASE_URL": url,
		"ANTHROPIC_API_KEY": secret, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url}
	maps.Copy(env, more)
	s := kit.Start(t, stack.Config{Parameters: map[string]string{"Model": model}, TurnEnv: env})
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	u := testkit.NewUser("alice", 1)
	return s, testkit.Open(t, ctx, s.Endpoints(), u, u.Threads[0]), ctx
}

// aimock starts the imitation of the providers until the test ends, and returns its address.
func aimock(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		testkit.MissingTool(t, "node is not installed")
	}
	program := testkit.Path(t, "infra/models/node_modules/@copilotkit/aimock/dist/cli.js")
	if _, err := os.Stat(program); err != nil {
		testkit.MissingTool(t, "aimock is not installed: run `npm ci` in infra/models")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, node, program, "-h", "127.0.0.1", "-p", fmt.Sprint(port), "-f",
		"testdata/fixtures.json", "--log-level", "warn")
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatalf("start aimock: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was killed
		if t.Failed() {
			t.Logf("aimock: %s", out.String())
		}
	})
	client := &http.Client{Timeout: time.Second}
	testkit.Eventually(t, t.Context(), "aimock listens", func() bool {
		r, err := client.Get(url + "/health")
		return err == nil && r.Body.Close() == nil
	})
	return url
}

// A run calls a model that Carrel's own tests have not written, and a tool.
func TestAimock_OpenAI(t *testing.T) {
	t.Parallel()
	_, d, ctx := start(t, "openai:gpt-4o", aimock(t)+"/v1")
	d.Ask(t, ctx, "greet", "Grüezi from aimock 🙂.")
	d.Ask(t, ctx, "calculate 12*(3+4)", "The calculator says 84.")
}

// A person sees the text and the result of a tool call. The history of a second question is accepted.
func TestChat_ToolCall(t *testing.T) {
	t.Parallel()
	server := modeltest.New(t, modeltest.Chat,
		modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Reasoning: "Let me think."},
			{Text: "I calculate."}, {Call: &modeltest.Call{ID: "c1", Name: "calculator",
				Arguments: `{"expression":"6*7"}`}}}}},
		modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "It is 42."}}}},
		modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "You are welcome."}}}})
	_, d, ctx := start(t, "openai:"+modeltest.Model, server.URL+"/v1")
	d.Ask(t, ctx, "calculate 6*7", "It is 42.")
	d.Ask(t, ctx, "thanks", "You are welcome.")
	if refused := server.Refused(); len(refused) > 0 {
		t.Errorf("the server refused: %q", refused)
	}
	requests := server.Requests()
	if len(requests) != 3 {
		t.Fatalf("%d requests, want 3", len(requests))
	}
	if !strings.Contains(requests[1].Body, `"content":"42"`) {
		t.Errorf("the second request lacks the tool's result: %s", requests[1].Body)
	}
	if auth := requests[0].Header.Get("Authorization"); auth != "Bearer "+secret {
		t.Errorf("the request has the header %q", auth)
	}
}

// A provider repeats key and prompt in its errors. Neither reaches the person or the log.
func TestChat_SecretsStayInside(t *testing.T) {
	t.Parallel()
	server := modeltest.New(t, modeltest.Chat, modeltest.Reply{Status: http.StatusBadRequest, Code: "invalid_value"})
	s, d, ctx := start(t, "openai:"+modeltest.Model, server.URL+"/v1")
	d.RunScript(t, ctx, "the-user-wrote-this")
	for _, m := range d.Messages() {
		if strings.Contains(string(m), secret) {
			t.Errorf("the key reached the person: %s", m)
		}
	}
	if st := d.State(); testkit.Says(st, agui.RoleAssistant, "the-user-wrote-this") {
		t.Errorf("the provider's error reached the person: %+v", st)
	}
	log, err := os.ReadFile(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "code invalid_value") {
		t.Error("the log lacks the provider's code")
	}
	if strings.Contains(string(log), secret) || strings.Contains(string(log), "the-user-wrote-this") {
		t.Error("the log has the key or the prompt")
	}
}

// The other wires take the same path: a tool call, its result, and the answer.
func TestProviders_ToolCall(t *testing.T) {
	t.Parallel()
	for wire, model := range map[modeltest.Wire]string{modeltest.Messages: "anthropic:" + modeltest.Model,
		modeltest.Converse: "bedrock:eu." + modeltest.Model} {
		t.Run(string(wire), func(t *testing.T) {
			t.Parallel()
			server := modeltest.New(t, wire,
				modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "I calculate."},
					{Call: &modeltest.Call{ID: "c1", Name: "calculator", Arguments: `{"expression":"6*7"}`}}}}},
				modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "It is 42."}}}})
			url := server.URL
			if wire == modeltest.Messages {
				url += "/v1"
			}
			_, d, ctx := start(t, model, url)
			d.Ask(t, ctx, "calculate 6*7", "It is 42.")
			if refused := server.Refused(); len(refused) > 0 {
				t.Errorf("the server refused: %q", refused)
			}
		})
	}
}

// The same through Responses.
func TestAimock_Responses(t *testing.T) {
	t.Parallel()
	_, d, ctx := startWith(t, "openai:gpt-4o", aimock(t)+"/v1", map[string]string{"OPENAI_API": "responses"})
	d.Ask(t, ctx, "greet", "Grüezi from aimock 🙂.")
	d.Ask(t, ctx, "calculate 12*(3+4)", "The calculator says 84.")
}

// Through Responses, a tool call, its result and the answer take the same path.
func TestResponses_ToolCall(t *testing.T) {
	t.Parallel()
	server := modeltest.New(t, modeltest.Responses,
		modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "I calculate."},
			{Call: &modeltest.Call{ID: "c1", Name: "calculator", Arguments: `{"expression":"6*7"}`}}}}},
		modeltest.Reply{Answer: modeltest.Answer{Parts: []modeltest.Part{{Text: "It is 42."}}}})
	_, d, ctx := startWith(t, "openai:"+modeltest.Model, server.URL+"/v1", map[string]string{"OPENAI_API": "responses"})
	d.Ask(t, ctx, "calculate 6*7", "It is 42.")
	if refused := server.Refused(); len(refused) > 0 {
		t.Errorf("the server refused: %q", refused)
	}
	requests := server.Requests()
	if len(requests) != 2 || !strings.HasSuffix(requests[1].Path, "/responses") ||
		!strings.Contains(requests[1].Body, "function_call_output") {
		t.Errorf("%d requests, of which the second lacks the result: %+v", len(requests), requests)
	}
}

func TestAimock_Anthropic(t *testing.T) {
	t.Parallel()
	_, d, ctx := start(t, "anthropic:claude-sonnet-4-5", aimock(t)+"/v1")
	d.Ask(t, ctx, "calculate 12*(3+4)", "The calculator says 84.")
}

package input_test

import (
	"carrel/infra/testkit"

	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/stack"
	"carrel/shared/wire"
)

// The sender of bad input is sent an error that names the fault, and that socket and all others stay open.
func TestBadInput(t *testing.T) {
	t.Attr("row", "C5: bad tokens (audience, issuer, key, kind, time, form), foreign origins, malformed input")
	s := kit.Start(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f := &fixture{ctx: ctx, s: s}
	t.Run("frames", f.badFrames)
	t.Run("closes", f.closes)
	t.Run("tokens", f.badTokens)
	t.Run("origins", f.badOrigins)
	t.Run("the token expires on an open socket", f.tokenExpires)
	t.Run("configuration", configuration)
}

// fixture is the stack that gets bad input.
type fixture struct {
	ctx context.Context
	s   *stack.Stack
}

// open opens a socket of a user.
func (f *fixture) open(t *testing.T, user string) *testkit.Raw {
	t.Helper()
	return testkit.OpenRaw(t, f.ctx, f.s.Endpoints(), user)
}

// send sends a frame and returns the next frame.
func (f *fixture) send(t *testing.T, r *testkit.Raw, frame string) testkit.Answer {
	t.Helper()
	r.MustSend(t, f.ctx, frame)
	return r.MustRead(t, f.ctx)
}

// checkOpen checks that a good frame on a socket is answered, and that its answer is the next frame.
func (f *fixture) checkOpen(t *testing.T, r *testkit.Raw) {
	t.Helper()
	id := fmt.Sprintf("good-%d", len(r.Sent))
	if a := f.send(t, r, `{"type":"ping","requestId":"`+id+`"}`); a.Type != "pong" || a.RequestID != id {
		t.Errorf("a good frame is answered with %s", a.Raw)
	}
}

// runFrame returns a frame that starts a run, with the content as JSON.
func runFrame(content string) string {
	return `{"type":"run","n":1,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user","content":` + content +
		`}]}`
}

// badFrame is a malformed frame, and the code and the field of the answer that it must get.
type badFrame struct{ name, frame, code, field string }

func badFrameCases() []badFrame {
	return []badFrame{
		{"unknown type", `{"type":"shout"}`, "bad_frame", "type"},
		{"a server's type", `{"type":"ready"}`, "bad_frame", "type"},
		{"a route of the API", `{"type":"$connect"}`, "bad_frame", "type"},
		{"no type", `{}`, "bad_frame", "type"},
		{"type of a wrong type", `{"type":7}`, "bad_frame", "type"},
		{"type in another case", `{"Type":"ping"}`, "bad_frame", "type"},
		{"missing field", `{"type":"cancel"}`, "bad_frame", "runId"},
		{"missing field of a message",
			`{"type":"run","n":1,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user"}]}`, "bad_frame",
			"messages[0].content"},
		{"extra field", `{"type":"ping","user":"bob"}`, "bad_frame", "user"},
		{"extra field within", `{"type":"hello","n":1,"cursor":{"epoch":"e","seq":1,"user":"bob"}}`, "bad_frame",
			"cursor.user"},
		{"field twice", `{"type":"cancel","runId":"a","runId":"b"}`, "bad_frame", "runId"},
		{"wrong type", `{"type":"cancel","runId":{"$ne":""}}`, "bad_frame", "runId"},
		{"text for a number", `{"type":"hello","n":"1"}`, "bad_frame", "n"},
		{"fraction", `{"type":"hello","n":1.5}`, "bad_frame", "n"},
		{"negative", `{"type":"hello","n":-1}`, "bad_frame", "n"},
		{"number beyond 2^53", `{"type":"hello","n":9007199254740993}`, "bad_frame", "n"},
		{"null", `{"type":"ping","threadId":null}`, "bad_frame", "threadId"},
		{"bad id", `{"type":"cancel","runId":"a#b"}`, "bad_frame", "runId"},
		{"empty id", `{"type":"cancel","runId":""}`, "bad_frame", "runId"},
		{"long id", `{"type":"cancel","runId":"` + strings.Repeat("x", 129) + `"}`, "bad_frame", "runId"},
		{"id with a zero byte", `{"type":"history","threadId":"a\u0000"}`, "bad_frame", "threadId"},
		{"bad request id", `{"type":"ping","requestId":"a b"}`, "bad_frame", "requestId"},
		{"no messages", `{"type":"run","n":1,"runId":"r","threadId":"t","messages":[]}`, "bad_frame", "messages"},
		{"the role system", strings.Replace(runFrame(`"x"`), `"user"`, `"system"`, 1), "bad_frame", "messages[0].role"},
		{"empty text", runFrame(`""`), "bad_frame", "messages[0].content"},
		{"over-long text", runFrame(`"` + strings.Repeat("x", wire.MaxText+1) + `"`), "too_large",
			"messages[0].content"},
		{"unknown agent", strings.Replace(runFrame(`"x"`), `"n":1`, `"n":1,"agent":"nobody"`, 1), "unknown_agent", ""},
		{"not JSON", `hello`, "bad_frame", ""},
		{"broken JSON", `{"type":"ping"`, "bad_frame", ""},
		{"two objects", `{"type":"ping"}{"type":"ping"}`, "bad_frame", ""},
		{"nothing", ``, "bad_frame", ""},
		{"an array", `[{"type":"ping"}]`, "bad_frame", ""},
		{"a string", `"ping"`, "bad_frame", ""},
		{"null alone", `null`, "bad_frame", ""},
		{"deep", strings.Repeat("[", 30_000), "bad_frame", ""},
		{"deep in a field", `{"type":"ping","cursor":` + strings.Repeat(`{"epoch":`, 3000) + `1` +
			strings.Repeat("}", 3001), "bad_frame", "cursor.epoch"},
		{"Socket.IO", `42["chat","hi"]`, "bad_frame", ""},
		{"STOMP", "CONNECT\naccept-version:1.2\n\n\x00", "bad_frame", ""},
		{"GraphQL over WebSocket", `{"type":"connection_init","payload":{}}`, "bad_frame", "type"},
		{"JSON-RPC", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "bad_frame", "type"},
		{"AG-UI over HTTP", `{"threadId":"t","runId":"r","messages":[],"tools":[],"context":[]}`, "bad_frame", "type"},
	}
}

// badFrames sends malformed frames. Each is answered with an error that names the fault.
func (f *fixture) badFrames(t *testing.T) {
	r := f.open(t, "alice")
	for _, c := range badFrameCases() {
		t.Run(c.name, func(t *testing.T) {
			a := f.send(t, r, c.frame)
			if a.Type != "error" && a.Type != "rejected" || a.Code != c.code || a.Field != c.field || a.Message == "" {
				t.Errorf("the answer is %s, want %s at %q", a.Raw, c.code, c.field)
			}
			if !strings.Contains(a.Message, c.field) {
				t.Errorf("the message %q does not name the field %s", a.Message, c.field)
			}
			f.checkOpen(t, r)
		})
	}
	t.Run("the error repeats the request's id", func(t *testing.T) {
		if a := f.send(t, r, `{"type":"cancel","requestId":"mine"}`); a.RequestID != "mine" {
			t.Errorf("the answer is %s", a.Raw)
		}
	})
}

// closes sends messages for which API Gateway closes a socket before a function gets them.
func (f *fixture) closes(t *testing.T) {
	other := f.open(t, "alice")
	for _, c := range []struct {
		name, message string
		kind          websocket.MessageType
		want          websocket.StatusCode
	}{
		{"33 KB", `{"type":"ping","x":"` + strings.Repeat("x", 33<<10) + `"}`, websocket.MessageText,
			websocket.StatusMessageTooBig},
		{"binary", `{"type":"ping"}`, websocket.MessageBinary, websocket.StatusUnsupportedData},
		{"MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", websocket.MessageBinary,
			websocket.StatusUnsupportedData},
		{"not UTF-8", "{\"type\":\"\xff\"}", websocket.MessageText, websocket.StatusInvalidFramePayloadData},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := f.open(t, "alice")
			f.checkOpen(t, r)
			if err := r.Conn.Write(f.ctx, c.kind, []byte(c.message)); err != nil {
				t.Fatal(err)
			}
			if frame, err := r.Read(f.ctx); websocket.CloseStatus(err) != c.want {
				t.Errorf("read %q, %v; want a close with %d", frame, err, c.want)
			}
			f.checkOpen(t, other)
		})
	}
}

// configuration starts the functions' own binaries, as the stack built them, with one variable at a time missing or
// wrong.
func configuration(t *testing.T) {
	aws := []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
	for function, names := range map[string][]string{
		"Authorize":  {"ISSUER", "AUDIENCE", "PAGE_CLIENT", "TOKEN_KIND", "GRANTS_CLAIM", "ORIGINS"},
		"Connect":    append([]string{"TABLE", "ENDPOINT"}, aws...),
		"Disconnect": append([]string{"TABLE"}, aws...),
		"Message":    append([]string{"TABLE", "ENDPOINT", "TURN_FUNCTION"}, aws...),
		"Turn":       append([]string{"TABLE", "ENDPOINT", "USER_ROLE", "AWS_LAMBDA_FUNCTION_NAME"}, aws...),
		"Sweep":      append([]string{"TABLE", "ENDPOINT", "USER_ROLE", "TURN_FUNCTION"}, aws...),
	} {
		env := map[string]string{}
		for _, name := range names {
			env[name] = map[string]string{"GRANTS_CLAIM": "scope", "TOKEN_KIND": "typ", "ORIGINS": "https://page.test",
				"ISSUER": "https://issuer.test", "ENDPOINT": "https://api.test/v1",
				"USER_ROLE": "arn:aws:iam::1:role/user"}[name]
			env[name] = cmp.Or(env[name], "some")
		}
		binary := built(t, function)
		t.Run(function+" with all", func(t *testing.T) { // only Lambda is missing then
			checkRefuses(t, binary, env, "AWS_LAMBDA_RUNTIME_API")
		})
		for _, name := range names {
			without := maps.Clone(env)
			delete(without, name)
			t.Run(function+" without "+name, func(t *testing.T) { checkRefuses(t, binary, without, name) })
			if slices.Contains([]string{"ISSUER", "ENDPOINT", "TOKEN_KIND", "GRANTS_CLAIM", "ORIGINS", "USER_ROLE"},
				name) {
				wrong := maps.Clone(env)
				wrong[name] = "nonsense"
				t.Run(function+" with a wrong "+name, func(t *testing.T) { checkRefuses(t, binary, wrong, name) })
			}
		}
		if function != "Authorize" {
			wrong := maps.Clone(env) // only tests set this
			wrong["CLOCK_SKEW"] = "6m"
			t.Run(function+" with a wrong CLOCK_SKEW", func(t *testing.T) {
				checkRefuses(t, binary, wrong,
					"CLOCK_SKEW")
			})
		}
		if !slices.Contains([]string{"Message", "Turn", "Sweep"}, function) {
			continue
		}
		optional := []string{"TENANT_ISOLATION", "RUNS_PER_USER", "QUEUED_PER_USER", "RUN_BURST", "RUNS_PER_HOUR",
			"RUN_SECONDS", "RUN_ATTEMPTS", "EVENT_DAYS"}
		if function == "Message" {
			optional = append(optional, "ERASE_AUTH", "FRAME_BURST", "FRAMES_PER_SECOND")
		}
		for _, name := range optional {
			wrong := maps.Clone(env) // optional, with a default
			wrong[name] = "0"
			t.Run(function+" with a wrong "+name, func(t *testing.T) { checkRefuses(t, binary, wrong, name) })
		}
	}
}

// checkRefuses checks that a function exits at once and names the variable.
func checkRefuses(t *testing.T, binary string, env map[string]string, variable string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, binary)
	c.Env = []string{}
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	output, err := c.CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited || ctx.Err() != nil {
		t.Fatalf("the function did not exit with an error: %v, %s", err, output)
	}
	if !strings.Contains(string(output), variable) {
		t.Errorf("the error does not name %s: %s", variable, output)
	}
}

// built returns a function's binary in the folder where the stack builds.
func built(t *testing.T, function string) string {
	t.Helper()
	path := testkit.Path(t, filepath.Join(".carrel", "functions", function+"Function", "bootstrap"))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the stack built no %s for %s: %v", function, runtime.GOARCH, err)
	}
	return path
}

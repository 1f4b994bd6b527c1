package audit_test

import (
	"cmp"
	"context"
	"encoding/json"
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

// Whatever is sent, the sender learns what is wrong with it, and the socket and everybody else's go on.
func TestBadInput(t *testing.T) {
	t.Attr("row", "C5: bad tokens (audience, issuer, key, kind, time, form), foreign origins, malformed input")
	b := &bench{T: t, state: t.TempDir()}
	b.stack = startWith(t, stack.Config{State: b.state})
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Run("frames", func(t *testing.T) { badFrames(t, b) })
	t.Run("closes", func(t *testing.T) { closes(t, b) })
	t.Run("tokens", func(t *testing.T) { badTokens(t, b) })
	t.Run("origins", func(t *testing.T) { badOrigins(t, b) })
	t.Run("the token expires on an open socket", func(t *testing.T) { expires(t, b) })
	t.Run("configuration", configuration)
}

// bench is a stack, and what a hostile client needs.
type bench struct {
	*testing.T
	ctx   context.Context
	state string
	stack *stack.Stack
}

// plug is a socket without a client's manners.
type plug struct {
	*websocket.Conn
	b     *bench
	asked int
}

// dial opens a socket with a token; status is that of the handshake's answer.
func (b *bench) dial(token string) (p *plug, status int, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, b.stack.Endpoints().WebSocket,
		&websocket.DialOptions{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix + token}})
	if answer != nil {
		status = answer.StatusCode
	}
	if err != nil {
		return nil, status, err
	}
	b.Cleanup(func() { conn.CloseNow() })
	return &plug{Conn: conn, b: b}, status, nil
}

// open is a socket of a user's.
func (b *bench) open(t *testing.T, user string) *plug {
	t.Helper()
	token, err := signIn(b.ctx, b.stack.Endpoints().Token, user)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := b.dial(token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plug) say(t *testing.T, kind websocket.MessageType, frame string) {
	t.Helper()
	if err := p.Write(p.b.ctx, kind, []byte(frame)); err != nil {
		t.Fatalf("sending %.60q: %v", frame, err)
	}
}

// reply is what is looked at of an answer.
type reply struct {
	Type, Code, Field, Message, RequestID string
}

func (p *plug) hear(t *testing.T) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.b.ctx, 20*time.Second)
	defer cancel()
	_, m, err := p.Read(ctx)
	if err != nil {
		t.Fatalf("no answer but %v", err)
	}
	var r reply
	if err := json.Unmarshal(m, &r); err != nil {
		t.Fatalf("%.300q: %v", m, err)
	}
	return r
}

// lives checks that a good frame is still answered, and by nothing but its answer.
func (p *plug) lives(t *testing.T) {
	t.Helper()
	p.asked++
	id := fmt.Sprintf("good-%d", p.asked)
	p.say(t, websocket.MessageText, `{"type":"ping","requestId":"`+id+`"}`)
	if r := p.hear(t); r.Type != "pong" || r.RequestID != id {
		t.Errorf("the good frame after it is answered with %+v", r)
	}
}

func asking(content string) string {
	return `{"type":"run","n":1,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user","content":` + content + `}]}`
}

// badFrame is a message that is no good frame, and the answer that it must get.
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
		{"missing field of a message", `{"type":"run","n":1,"runId":"r","threadId":"t","messages":[{"id":"m","role":"user"}]}`, "bad_frame", "messages[0].content"},
		{"extra field", `{"type":"ping","user":"bob"}`, "bad_frame", "user"},
		{"extra field within", `{"type":"hello","n":1,"cursor":{"epoch":"e","seq":1,"user":"bob"}}`, "bad_frame", "cursor.user"},
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
		{"another's role", strings.Replace(asking(`"x"`), `"user"`, `"system"`, 1), "bad_frame", "messages[0].role"},
		{"empty text", asking(`""`), "bad_frame", "messages[0].content"},
		{"over-long text", asking(`"` + strings.Repeat("x", wire.MaxText+1) + `"`), "too_large", "messages[0].content"},
		{"unknown agent", strings.Replace(asking(`"x"`), `"n":1`, `"n":1,"agent":"nobody"`, 1), "unknown_agent", ""},
		{"not JSON", `hello`, "bad_frame", ""},
		{"broken JSON", `{"type":"ping"`, "bad_frame", ""},
		{"two objects", `{"type":"ping"}{"type":"ping"}`, "bad_frame", ""},
		{"nothing", ``, "bad_frame", ""},
		{"an array", `[{"type":"ping"}]`, "bad_frame", ""},
		{"a string", `"ping"`, "bad_frame", ""},
		{"null alone", `null`, "bad_frame", ""},
		{"deep", strings.Repeat("[", 30_000), "bad_frame", ""},
		{"deep in a field", `{"type":"ping","cursor":` + strings.Repeat(`{"epoch":`, 3000) + `1` + strings.Repeat("}", 3001), "bad_frame", "cursor.epoch"},
		{"Socket.IO", `42["chat","hi"]`, "bad_frame", ""},
		{"STOMP", "CONNECT\naccept-version:1.2\n\n\x00", "bad_frame", ""},
		{"GraphQL over WebSocket", `{"type":"connection_init","payload":{}}`, "bad_frame", "type"},
		{"JSON-RPC", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "bad_frame", "type"},
		{"AG-UI over HTTP", `{"threadId":"t","runId":"r","messages":[],"tools":[],"context":[]}`, "bad_frame", "type"},
	}
}

func badFrames(t *testing.T, b *bench) {
	p := b.open(t, "alice")
	for _, c := range badFrameCases() {
		t.Run(c.name, func(t *testing.T) {
			p.say(t, websocket.MessageText, c.frame)
			r := p.hear(t)
			if r.Type != "error" && r.Type != "rejected" || r.Code != c.code || r.Field != c.field || r.Message == "" {
				t.Errorf("the answer is %+v, want %s at %q", r, c.code, c.field)
			}
			if !strings.Contains(r.Message, c.field) {
				t.Errorf("%q does not name %s to a person", r.Message, c.field)
			}
			p.lives(t)
		})
	}
	t.Run("the error repeats the request's id", func(t *testing.T) {
		p.say(t, websocket.MessageText, `{"type":"cancel","requestId":"mine"}`)
		if r := p.hear(t); r.RequestID != "mine" {
			t.Errorf("%+v", r)
		}
	})
}

// closes are the messages for which API Gateway ends a socket before a function sees them.
func closes(t *testing.T, b *bench) {
	other := b.open(t, "alice")
	for _, c := range []struct {
		name, frame string
		kind        websocket.MessageType
		want        websocket.StatusCode
	}{
		{"33 KB", `{"type":"ping","x":"` + strings.Repeat("x", 33<<10) + `"}`, websocket.MessageText, websocket.StatusMessageTooBig},
		{"binary", `{"type":"ping"}`, websocket.MessageBinary, websocket.StatusUnsupportedData},
		{"MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", websocket.MessageBinary, websocket.StatusUnsupportedData},
		{"not UTF-8", "{\"type\":\"\xff\"}", websocket.MessageText, websocket.StatusInvalidFramePayloadData},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := b.open(t, "alice")
			p.lives(t)
			p.say(t, c.kind, c.frame)
			ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
			defer cancel()
			if _, m, err := p.Read(ctx); websocket.CloseStatus(err) != c.want {
				t.Errorf("it read %q, %v; want a close with %d", m, err, c.want)
			}
			other.lives(t)
		})
	}
}

// configuration starts the functions' own binaries, as the stack built them, with one variable at a time missing or wrong.
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
			env[name] = map[string]string{"GRANTS_CLAIM": "scope", "TOKEN_KIND": "typ", "ORIGINS": "https://page.test", "ISSUER": "https://issuer.test", "ENDPOINT": "https://api.test/v1",
				"USER_ROLE": "arn:aws:iam::1:role/user"}[name]
			env[name] = cmp.Or(env[name], "some")
		}
		binary := built(t, function)
		t.Run(function+" with all", func(t *testing.T) { // what it lacks then is Lambda
			refuses(t, binary, env, "AWS_LAMBDA_RUNTIME_API")
		})
		for _, name := range names {
			without := maps.Clone(env)
			delete(without, name)
			t.Run(function+" without "+name, func(t *testing.T) { refuses(t, binary, without, name) })
			if slices.Contains([]string{"ISSUER", "ENDPOINT", "TOKEN_KIND", "GRANTS_CLAIM", "ORIGINS", "USER_ROLE"}, name) {
				wrong := maps.Clone(env)
				wrong[name] = "nonsense"
				t.Run(function+" with a wrong "+name, func(t *testing.T) { refuses(t, binary, wrong, name) })
			}
		}
		if function != "Authorize" {
			wrong := maps.Clone(env) // which only tests set
			wrong["CLOCK_SKEW"] = "6m"
			t.Run(function+" with a wrong CLOCK_SKEW", func(t *testing.T) { refuses(t, binary, wrong, "CLOCK_SKEW") })
		}
		if !slices.Contains([]string{"Message", "Turn", "Sweep"}, function) {
			continue
		}
		optional := []string{"TENANT_ISOLATION", "RUNS_PER_USER", "QUEUED_PER_USER", "RUN_BURST", "RUNS_PER_HOUR", "RUN_SECONDS", "RUN_ATTEMPTS", "EVENT_DAYS"}
		if function == "Message" {
			optional = append(optional, "ERASE_AUTH", "FRAME_BURST", "FRAMES_PER_SECOND")
		}
		for _, name := range optional {
			wrong := maps.Clone(env) // which it may lack: it has its default then
			wrong[name] = "0"
			t.Run(function+" with a wrong "+name, func(t *testing.T) { refuses(t, binary, wrong, name) })
		}
	}
}

// refuses checks that a function ends at once and says which variable is to blame.
func refuses(t *testing.T, binary string, env map[string]string, blame string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, binary)
	c.Env = []string{}
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	said, err := c.CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited || ctx.Err() != nil {
		t.Fatalf("it did not exit with an error: %v, %s", err, said)
	}
	if !strings.Contains(string(said), blame) {
		t.Errorf("it does not name %s: %s", blame, said)
	}
}

// built is a function's binary in the folder where the stack builds.
func built(t *testing.T, function string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".carrel", "functions", function+"Function", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the stack built no %s for %s: %v", function, runtime.GOARCH, err)
	}
	return path
}

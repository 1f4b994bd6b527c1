package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/endpoints"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

func TestOps_ListKillQueue(t *testing.T) {
	r := newRig(t)
	r.says("list", "No run is running")
	alice, bob := r.as("auth0|alice"), r.as("bob")
	r.admit(alice, "r1", "t1")
	h := r.claim(alice, "r1")
	r.admit(alice, "r2", "t1")
	r.admit(bob, "r1", "t1")
	r.admit(bob, "b2", "t2")
	r.says("list", "auth0|alice", "running", "queued", "bob", "admitted")
	var rows []row
	out, err := r.ops("list", "-json")
	if err := errors.Join(err, json.Unmarshal([]byte(out), &rows)); err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v: %s", len(rows), err, out)
	}
	if got := rows[0]; got.User != "auth0|alice" || got.Run != "r1" || got.Status != chat.RunRunning ||
		got.Attempts != 1 || got.Age == "" || got.Lease == "" {
		t.Errorf("the first row is %+v", got)
	}
	r.says("queue auth0|alice", "1 slots taken, 1 queued", "r1", "r2")
	r.refuses("kill r1", "2 users have a run")
	r.refuses("kill nothing", `no run "nothing" is running or queued`)
	r.refuses("kill b2 -user auth0|alice", "auth0|alice has no run")
	r.says("kill b2", "b2 of bob: it had not begun, and is cancelled now")
	r.says("kill r1 -user auth0|alice", "its cancel was requested, and it is still running")
	if _, err := h.End(t.Context(), []agui.Event{{
		Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled},
	}}); err != nil {
		t.Fatal(err)
	}
	r.says("kill r1 -user auth0|alice", "it had ended before: cancelled")
	r.says("kill-all auth0|alice", "r2 of auth0|alice: it had not begun")
	r.says("kill-all auth0|alice", "auth0|alice has no running or queued run")
	if s := r.status(bob, "r1"); s != chat.RunAdmitted {
		t.Errorf("bob's run, which was not killed, is %s", s)
	}
}

// TestHostileSubject: a user's id is printed without what would command the terminal, reorder the line or break it. In
// JSON it is the same id.
func TestHostileSubject(t *testing.T) {
	r := newRig(t)
	subject := "eve\x1b]52;c;aGk=\x07\nbob\u202e\u200b\u009b2J"
	r.admit(r.as(subject), "r1", "t1")
	for _, args := range [][]string{{"list"}, {"list", "-json"}, {"queue", subject}, {"verify", subject},
		{"kill", "r1"}, {"kill-all", subject}} {
		out, err := r.ops(args...)
		if err != nil || strings.ContainsAny(out, "\x1b\x07\u202e\u200b\u009b") || strings.Contains(out, "\nbob") {
			t.Errorf("%s: %q, %v", args[0], out, err)
		}
		var rows []row
		if len(args) == 2 && args[1] == "-json" &&
			(json.Unmarshal([]byte(out), &rows) != nil || rows[0].User != subject) {
			t.Errorf("the JSON has another user: %s", out)
		}
	}
	r.admit(r.as(subject), "r2", "t2")
	r.says("list", "eve[U+001B]]52;c;aGk=[U+0007][U+000A]bob[U+202E][U+200B][U+009B]2J")
}

// A mistyped user is unknown, however similar the name is to a real one.
func TestNamed_MistypedUser(t *testing.T) {
	r := newRig(t)
	for _, subject := range []string{"bob", "a#b", strings.Repeat("x", 200)} {
		r.admit(r.as(subject), "r1", "t1")
	}
	for _, word := range []string{"bo", "bobby", "Bob", "a", "a=23b", "bob#T", "U#bob", strings.Repeat("x", 201)} {
		for _, command := range []string{"queue", "verify", "kill-all"} {
			r.refuses(command+" "+word, "nothing is known of a user")
		}
	}
	r.refuses("kill r1 -user bobby", "nothing is known of a user")
	r.says("queue bob", "bob: 1 slots")
	r.says("queue a#b", "a#b: 1 slots")
	r.says("-key queue a=23b", "a#b: 1 slots")
	r.refuses("-key queue a#b", "nothing is known")
	r.says("queue "+strings.Repeat("x", 200), "1 slots")
}

func TestVerify(t *testing.T) {
	t.Attr("row", "E1: an operator's verify command finds leftovers")
	r := newRig(t)
	alice := r.as("alice")
	r.admit(alice, "r1", "t1")
	r.says("verify alice -scan", "all data is consistent")
	for _, item := range []map[string]types.AttributeValue{
		{"pk": text("U#alice"), "sk": text("RUN#lost"), "id": text("lost"), "status": text("running"),
			"thread": text("t9")},
		{"pk": text("C#orphan="), "sk": text("OWNER"), "user": text("alice")},
	} {
		if _, err := r.db.PutItem(t.Context(),
			&sdk.PutItemInput{TableName: aws.String("carrel"), Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := r.ops("verify", "alice", "-scan", "-json")
	var found []store.Finding
	if !errors.Is(err, errFound) || json.Unmarshal([]byte(out), &found) != nil || len(found) != 4 {
		t.Errorf("%v: %s", err, out)
	}
	for _, want := range []string{"run without slot", "live run outside of the live index", "run outside of the list",
		"owner without connection"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not find a %s:\n%s", want, out)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d planted leftovers found", len(found)))
}

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

// Of one who is being erased, that is shown.
func TestVerify_ErasedUser(t *testing.T) {
	r := newRig(t)
	if err := r.as("alice").RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.says("list", "alice", "forget")
	r.says("queue alice", "The user is being erased")
	r.says("verify alice", "all data is consistent")
}

// An operator ends a user's sessions, bars the user and lets them in again; others go on.
func TestSessions(t *testing.T) {
	r := newRig(t)
	connect := func(user, id string, signedIn time.Time) error {
		_, err := r.as(user).Connect(t.Context(),
			chat.Connection{ID: chat.ConnectionID(id), Thread: "t", SignedIn: signedIn})
		return err
	}
	long := time.Now().Add(-time.Hour)
	if err := errors.Join(connect("alice", "a1=", long), connect("alice", "a2=", long),
		connect("bob", "b=", long)); err != nil {
		t.Fatal(err)
	}
	r.says("sign-out alice", "all sessions are ended", "2 connections")
	r.says("queue alice", "0 connections", "Sign-ins up to")
	if err := connect("alice", "a3=", long); !errors.Is(err, chat.ErrSignedOut) {
		t.Errorf("the ended session connects: %v", err)
	}
	later := time.Now().Add(time.Hour)
	if err := connect("alice", "a4=", later); err != nil {
		t.Errorf("a later sign-in: %v", err)
	}
	r.says("unbar alice", "alice was not barred")
	r.says("bar alice", "1 connections", "until unbar")
	r.says("queue alice", "The user is barred")
	if err := connect("alice", "a5=", later.Add(time.Hour)); !errors.Is(err, chat.ErrSignedOut) {
		t.Errorf("a barred user connects: %v", err)
	}
	r.says("unbar alice", "alice may sign in again")
	if err := connect("alice", "a6=", later); err != nil {
		t.Errorf("a user who was barred: %v", err)
	}
	r.says("queue bob", "1 connections")
	r.says("verify alice", "all data is consistent")
	if _, err := r.ops("bar", "nobody"); err == nil || !strings.Contains(err.Error(), "nothing is known") {
		t.Errorf("a user of whom nothing is kept: %v", err)
	}
}

func TestOps_MissingInput(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"dynamodb": "http://127.0.0.1:1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(dir, "killed.json")
	if err := (endpoints.Endpoints{WebSocket: "x", Token: "x", DynamoDB: "http://127.0.0.1:1", Table: "x",
		OperatorSecret: "s"}).Write(killed); err != nil {
		t.Fatal(err)
	}
	key := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "r"}
	only := func(name string) map[string]string { return map[string]string{name: key[name]} }
	for _, c := range []struct {
		args string
		env  map[string]string
		want string
	}{
		{"-endpoints " + filepath.Join(dir, "none") + " list", nil, "start it with make run"},
		{"-endpoints " + broken + " list", nil, "holds no endpoints"},
		{"-endpoints " + killed + " list", nil, "is not running: start it with make run"},
		{"-table x list", nil, "no Region is chosen"},
		{"-table x list", only("AWS_REGION"), "there are no AWS credentials"},
		{"-stack x list", key, "read the outputs of the stack x: the CLI is not here"},
		{"", nil, "name a command"}, {"lst", nil, `unknown command "lst"`}, {"queue", nil, "takes one word"},
		{"queue a b", nil, "takes one word"}, {"list all", nil, "takes no word"}, {"-nonsense", nil, "not defined"},
	} {
		var out, complaint bytes.Buffer
		err := run(t.Context(), strings.Fields(c.args), world{
			getenv: func(name string) string { return c.env[name] }, out: &out, err: &complaint,
			run: func(context.Context, string, ...string) ([]byte, error) {
				return nil, errors.New("the CLI is not here")
			},
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.want)
		}
	}
}

// With AWS the stack's outputs name the table, and the CLI's configuration gives the credentials.
func TestPlace_DeployedStack(t *testing.T) {
	var asked []string
	w := world{getenv: func(string) string { return "" },
		run: func(_ context.Context, name string, args ...string) ([]byte, error) {
			line := name + " " + strings.Join(args, " ")
			asked = append(asked, line)
			switch {
			case strings.Contains(line, "get region"):
				return []byte("eu-central-1\n"), nil
			case strings.Contains(line, "export-credentials"):
				return []byte("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=s=\nAWS_SESSION_TOKEN=t\n"), nil
			}
			return []byte(`[{"OutputKey":"TableName","OutputValue":"the-table"},{"OutputKey":"Issuer","OutputValue":"https://issuer.test"}]`), nil
		}}
	p, err := open(t.Context(), options{stack: "carrel"}, w)
	if err != nil || p.table == nil || p.issuer != "https://issuer.test" {
		t.Errorf("%+v, %v; asked %q", p, err, asked)
	}
	getenv, err := awsEnvironment(t.Context(), w)
	if err != nil || getenv("AWS_SECRET_ACCESS_KEY") != "s=" || getenv("AWS_REGION") != "eu-central-1" {
		t.Errorf("the credentials: %v", err)
	}
}

// A long wait is not waited for when nothing works any more.
func TestKill_WaitsForEnd(t *testing.T) {
	r := newRig(t)
	alice := r.as("alice")
	r.admit(alice, "r1", "t1")
	h := r.claim(alice, "r1")
	ended := make(chan error, 1)
	go func() {
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for range look.C {
			stop, err := h.CancelRequested(t.Context())
			if err == nil && !stop {
				continue
			}
			_, endErr := h.End(t.Context(),
				[]agui.Event{{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled}}})
			ended <- errors.Join(err, endErr)
			return
		}
	}()
	begun := time.Now()
	r.says("kill r1 -wait 5m", "it ran, and is cancelled now")
	if took := time.Since(begun); took > 2*time.Minute {
		t.Errorf("it took %s", took)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The page for operators lists each command.
func TestCommands_OperatingPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range commands() {
		if !regexp.MustCompile("(?m)^\\| `" + name + " (RUN|USER)` \\|").Match(page) {
			t.Errorf("docs/operating.md does not list the command %s", name)
		}
	}
}

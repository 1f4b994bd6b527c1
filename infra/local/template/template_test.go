package template_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/template"
)

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func function(t *testing.T, tm *template.Template, id string) template.Function {
	t.Helper()
	f, ok := tm.Function(id)
	if !ok {
		t.Fatalf("no function %s", id)
	}
	return f
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// The template that is deployed also runs locally.
func TestResolve_OwnTemplate(t *testing.T) {
	tm, err := template.Resolve(read(t, "..", "..", "..", "template.yaml"), template.Options{
		Parameters: map[string]string{"Issuer": "http://127.0.0.1:3000/issuer", "Audience": "carrel-page",
			"TokenKind": "typ", "Origins": "http://127.0.0.1:3000"},
		Offered: map[string]string{"Architecture": "x86_64", "NotDeclared": "harmless"},
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "api", tm.API, template.API{LogicalID: "Api", ID: "local00000", Stage: "v1",
		RouteSelectionExpression: "$request.body.type", Authorizer: "AuthorizeFunction",
		Routes: map[string]string{"$connect": "ConnectFunction", "$default": "MessageFunction",
			"$disconnect": "DisconnectFunction"}})
	equal(t, "tables", tm.Tables, []template.Table{{LogicalID: "Table", Name: "carrel-Table", TTL: "expires",
		Hash: template.Key{Name: "pk", Type: "S"}, Range: template.Key{Name: "sk", Type: "S"},
		Indexes: []template.Index{{Name: "recent", Local: true, Projection: "KEYS_ONLY",
			Hash: template.Key{Name: "pk", Type: "S"}, Range: template.Key{Name: "recent", Type: "S"}},
			{Name: "live", Projection: "KEYS_ONLY",
				Hash: template.Key{Name: "live", Type: "S"}, Range: template.Key{Name: "due", Type: "N"}}}}})
	equal(t, "functions", len(tm.Functions), 6)

	authorize := function(t, tm, "AuthorizeFunction")
	equal(t, "authorize's env", authorize.Env, map[string]string{
		"ISSUER": "http://127.0.0.1:3000/issuer", "AUDIENCE": "carrel-page", "PAGE_CLIENT": "carrel-page",
		"TOKEN_KIND": "typ", "GRANTS_CLAIM": "scope", "GRANTS_PREFIX": "", "ORIGINS": "http://127.0.0.1:3000",
		"GOMAXPROCS": "1", "GOMEMLIMIT": "230MiB", "GOGC": "400"})
	equal(t, "authorize's limits", []any{authorize.MemoryMB, authorize.Timeout, authorize.MaxRetries,
		authorize.MaxEventAge},
		[]any{256, 29 * time.Second, 2, 6 * time.Hour})

	turn := function(t, tm, "TurnFunction")
	equal(t, "turn", []any{turn.Name, turn.Timeout, turn.PerTenant, turn.AllowRecursion, turn.MaxRetries,
		turn.MaxEventAge, turn.OnFailure},
		[]any{"carrel-TurnFunction", 15 * time.Minute, true, true, 0, 3 * time.Minute, "SweepFunction"})
	equal(t, "turn's endpoint", turn.Env["ENDPOINT"], "https://local00000.execute-api.us-east-1.amazonaws.com/v1")
	equal(t, "turn's last statement", turn.Policies[len(turn.Policies)-1], template.Statement{Effect: "Allow",
		Action: []string{"lambda:InvokeFunction"}, Resource: []string{
			"arn:aws:lambda:us-east-1:000000000000:function:carrel-TurnFunction",
			"arn:aws:lambda:us-east-1:000000000000:function:carrel-SweepFunction"}})

	sweep := function(t, tm, "SweepFunction")
	equal(t, "sweep's schedules", sweep.Schedules, []template.Schedule{{LogicalID: "EachMinute", Every: time.Minute}})
	equal(t, "sweep's turn", sweep.Env["TURN_FUNCTION"], turn.Name)
	equal(t, "sweep", []any{sweep.AllowRecursion, sweep.MaxRetries, sweep.MaxEventAge, sweep.Concurrency},
		[]any{true, 0, time.Minute, 0})
}

func other(o template.Options) template.Options {
	o.File = "other.yaml"
	o.Parameters = map[string]string{"Realm": "north"}
	return o
}

func TestResolve_OtherTemplate(t *testing.T) {
	source := read(t, "testdata", "other.yaml")
	tm, err := template.Resolve(source, other(template.Options{StackName: "shop", APIID: "abc"}))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "api", tm.API, template.API{LogicalID: "Socket", ID: "abc", Stage: "default",
		RouteSelectionExpression: "$request.body.action.name", Authorizer: "Gate",
		Routes: map[string]string{"$connect": "Enter", "$disconnect": "Leave", "$default": "Talk", "order": "Order",
			"cancel2": "Order"}})
	equal(t, "tables", tm.Tables, []template.Table{{LogicalID: "Orders", Name: "shop-orders",
		Hash: template.Key{Name: "id", Type: "N"}}})
	equal(t, "functions", len(tm.Functions), 6)
	equal(t, "a given name", function(t, tm, "Enter").Name, "shop-enter")
	equal(t, "talk's env", function(t, tm, "Talk").Env,
		map[string]string{"REALM": "north", "LEVEL": "debug", "ARCHIVE": "none",
			"LITERAL": "${NotReplaced} arn:aws:dynamodb:us-east-1:000000000000:table/shop-orders", "MAPPED": "one/shop",
			"COUNT": "3"})
	order := function(t, tm, "Order")
	equal(t, "order", []any{order.PerTenant, order.AllowRecursion, order.Concurrency, order.MaxRetries, order.OnFailure,
		order.MemoryMB, order.Timeout},
		[]any{true, false, 7, 1, "Nightly", 128, 10 * time.Second})
	nightly := function(t, tm, "Nightly")
	equal(t, "schedules", nightly.Schedules, []template.Schedule{
		{LogicalID: "Clean", Every: 2 * time.Hour, Input: `{"clean": true}`}, {LogicalID: "Beat", Every: time.Minute}})
	equal(t, "condition of a statement", nightly.Policies[0].Condition,
		map[string]map[string][]string{"StringEquals": {"dynamodb:Select": {"COUNT"}}})
}

// A true condition includes its resources and values.
func TestResolve_Conditions(t *testing.T) {
	o := other(template.Options{StackName: "shop"})
	o.Parameters["Kind"] = "large"
	tm, err := template.Resolve(read(t, "testdata", "other.yaml"), o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tables", len(tm.Tables), 2)
	talk := function(t, tm, "Talk")
	equal(t, "values", []string{talk.Env["ARCHIVE"], talk.Env["ONLY_LARGE"]}, []string{"shop-Archive", "yes"})
}

// Each mistake gives an error with its place and a remedy. Each case changes one piece of other.yaml.
func TestResolve_Errors(t *testing.T) {
	source := string(read(t, "testdata", "other.yaml"))
	golden := strings.Split(strings.TrimSpace(string(read(t, "testdata", "mistakes.txt"))), "\n\n")
	seen := map[string]bool{}
	for _, block := range golden {
		parts := strings.SplitN(block, "\n", 3)
		if len(parts) != 3 {
			t.Fatalf("a case needs three lines: the text to replace, its replacement, and the error:\n%s", block)
		}
		old, with := unquote(parts[0]), unquote(parts[1])
		t.Run(with, func(t *testing.T) {
			if strings.Count(source, old) != 1 {
				t.Fatalf("%q occurs %d times in the template", old, strings.Count(source, old))
			}
			_, err := template.Resolve([]byte(strings.Replace(source, old, with, 1)), other(template.Options{}))
			if err == nil || err.Error() != parts[2] {
				t.Errorf("\n got %v\nwant %s", err, parts[2])
			}
		})
		seen[parts[2]] = true
	}
	if len(seen) < 40 {
		t.Errorf("only %d different mistakes", len(seen))
	}
}

// unquote replaces \n in a line of mistakes.txt by a line break.
func unquote(s string) string { return strings.ReplaceAll(s[2:], `\n`, "\n") }

func TestResolve_ParameterErrors(t *testing.T) {
	source := read(t, "testdata", "other.yaml")
	for _, c := range []struct {
		name string
		give map[string]string
		want string
	}{
		{"missing", nil, `other.yaml:7: Parameters.Realm: has no default and no value was given: give one`},
		{"unknown", map[string]string{"Realm": "x", "Relm": "y"},
			`other.yaml:1: Parameters: a value is given for "Relm", which is not a parameter of the template: ` +
				`declare it, or remove the value`},
		{"not allowed", map[string]string{"Realm": "x", "Kind": "tiny"},
			`other.yaml:9: Parameters.Kind: the value "tiny" is not one of small, large`},
		{"not matching", map[string]string{"Realm": "x", "Prefix": "a-b"},
			`other.yaml:13: Parameters.Prefix: the value "a-b" does not match [a-z]+`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := template.Resolve(source, template.Options{File: "other.yaml", Parameters: c.give})
			if err == nil || err.Error() != c.want {
				t.Errorf("\n got %v\nwant %s", err, c.want)
			}
		})
	}
}

// Any input gives a template or an *Error, never a panic.
func FuzzResolve(f *testing.F) {
	f.Add(read(f, "..", "..", "..", "template.yaml"))
	f.Add(read(f, "testdata", "other.yaml"))
	f.Add([]byte("Resources: {A: !Sub [x, !If [a]]}"))
	f.Add([]byte("Conditions: {A: !Not [{Condition: A}]}"))
	f.Fuzz(func(t *testing.T, source []byte) {
		tm, err := template.Resolve(source, template.Options{Offered: map[string]string{"Realm": "x", "Issuer": "x",
			"Audience": "x"}})
		if err == nil && tm == nil {
			t.Fatal("neither a template nor an error")
		}
		if _, ok := err.(*template.Error); err != nil && !ok {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

package boot_test

import (
	"errors"
	"strings"
	"testing"

	"carrel/shared/awsenv"
	"carrel/shared/boot"
)

func env(m map[string]string) func(string) string { return func(name string) string { return m[name] } }

// read returns what one method of Env reads from these variables.
func read[T any](variables map[string]string, method func(*boot.Env) T) (value T, err error) {
	err = boot.Check("function", env(variables), func(e *boot.Env) { value = method(e) })
	return value, err
}

func TestCheck_EveryErrorAtOnce(t *testing.T) {
	_, err := read(map[string]string{"ENDPOINT": "nonsense", "RUNS_PER_USER": "0", "CLOCK_SKEW": "soon", "GOOD": "x"},
		func(e *boot.Env) string {
			e.RequireURL("ENDPOINT")
			e.Limits()
			e.Clock()
			e.RequireRole("USER_ROLE")
			boot.Read(e, awsenv.Config)
			return e.Require("TABLE") + e.Require("GOOD") + e.Optional("UNSET")
		})
	for _, name := range []string{
		"ENDPOINT", "RUNS_PER_USER", "CLOCK_SKEW", "USER_ROLE", "TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY",
	} {
		if err == nil || strings.Count(err.Error(), name+":") != 1 {
			t.Errorf("error %v, want one line about %s", err, name)
		}
	}
	if err != nil && (strings.Contains(err.Error(), "GOOD") || strings.Contains(err.Error(), "UNSET")) {
		t.Errorf("error %v names a variable that is not wrong", err)
	}
}

func TestEnvCheck_SecondErrorAboutAVariable(t *testing.T) {
	_, err := read(nil, func(e *boot.Env) string {
		e.Require("A")
		e.Check(errors.New("follows from A"), "A", "B")
		e.Check(errors.New("about B"), "B")
		e.Check(errors.New("about no variable"))
		e.Check(nil, "C")
		return ""
	})
	if want := "A: the environment variable is not set\nB: about B\nabout no variable"; err == nil ||
		err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestRequireRole(t *testing.T) {
	for value, good := range map[string]bool{
		"arn:aws:iam::000000000000:role/user": true, "arn:aws-cn:iam::1:role/path/user": true,
		"": false, "user": false, "arn:aws:iam::1:user/alice": false, "arn:aws:sts::1:assumed-role/a/b": false,
	} {
		got, err := read(map[string]string{"USER_ROLE": value},
			func(e *boot.Env) string { return e.RequireRole("USER_ROLE") })
		if good != (err == nil) || good && got != value || !good && !strings.Contains(err.Error(), "USER_ROLE") {
			t.Errorf("%q: got %q, %v", value, got, err)
		}
	}
}

func TestRequireURL(t *testing.T) {
	for value, good := range map[string]bool{
		"https://a.test/v1": true, "http://127.0.0.1:3001/v1": true,
		"": false, "nonsense": false, "a.test/v1": false, "wss://a.test": false, "https://": false, "https://%": false,
	} {
		got, err := read(map[string]string{"ENDPOINT": value},
			func(e *boot.Env) string { return e.RequireURL("ENDPOINT") })
		if good != (err == nil) || good && got != value || !good && !strings.Contains(err.Error(), "ENDPOINT") {
			t.Errorf("%q: got %q, %v", value, got, err)
		}
	}
}

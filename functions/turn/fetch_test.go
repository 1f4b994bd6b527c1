package main

import (
	"testing"

	"carrel/shared/boot"
	"carrel/shared/tool/fetch"
)

// The tool fetch is off unless the environment turns it on, and it never reaches the port of the runtime.
func TestWebOf(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want fetch.Config
		ok   bool
	}{
		"nothing":  {map[string]string{"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, fetch.Config{}, true},
		"on":       {map[string]string{"WEB_FETCH": "on"}, fetch.Config{On: true}, true},
		"loopback": {map[string]string{"WEB_FETCH_LOOPBACK": "1"}, fetch.Config{Loopback: true}, true},
		"on Lambda": {map[string]string{"WEB_FETCH": "on", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"},
			fetch.Config{On: true, RuntimePort: 9001}, true},
		"with a path": {map[string]string{"WEB_FETCH": "on", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001/turn"},
			fetch.Config{On: true, RuntimePort: 9001}, true},
		"wrong value":    {map[string]string{"WEB_FETCH": "yes"}, fetch.Config{}, false},
		"wrong loopback": {map[string]string{"WEB_FETCH_LOOPBACK": "yes"}, fetch.Config{}, false},
	} {
		var got fetch.Config
		getenv := func(name string) string { return c.env[name] }
		err := boot.Check("turn", getenv, func(env *boot.Env) { got = webOf(env) })
		if got.On != c.want.On || got.Loopback != c.want.Loopback || got.RuntimePort != c.want.RuntimePort ||
			(err == nil) != c.ok {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

package main

import (
	"fmt"
	"strconv"
	"strings"

	"carrel/shared/boot"
	"carrel/shared/tool/fetch"
)

// webOf reads which pages of the web runs may read. WEB_FETCH_LOOPBACK=1 allows this machine too; the template does not
// have it.
func webOf(env *boot.Env) fetch.Config {
	c := boot.Parse(env, "WEB_FETCH", fetch.Parse)
	c.Loopback = boot.Parse(env, "WEB_FETCH_LOOPBACK", func(text string) (bool, error) {
		if text != "" && text != "1" {
			return false, fmt.Errorf("must be 1 or nothing, not %q", text)
		}
		return text == "1", nil
	})
	if _, port, ok := strings.Cut(env.Optional("AWS_LAMBDA_RUNTIME_API"), ":"); ok && c.On {
		port, _, _ = strings.Cut(port, "/")
		var err error
		c.RuntimePort, err = strconv.Atoi(port)
		env.Check(err, "AWS_LAMBDA_RUNTIME_API")
	}
	return c
}

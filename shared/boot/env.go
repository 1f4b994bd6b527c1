package boot

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"carrel/shared/monitor"
)

// Env reads the environment variables of one function and collects the errors. A method that finds an error records it
// and returns a value that is safe to pass on, usually the zero value.
type Env struct {
	function string
	getenv   func(name string) string
	errs     []error
	wrong    map[string]bool // the variables that an error has been recorded for
}

// Check records an error about these variables. It drops an error about a variable that has an error already, because
// the second error only follows from the first. A nil error is ignored.
func (e *Env) Check(err error, variables ...string) {
	if err == nil || slices.ContainsFunc(variables, func(name string) bool { return e.wrong[name] }) {
		return
	}
	if len(variables) > 0 {
		err = fmt.Errorf("%s: %w", strings.Join(variables, ", "), err)
	}
	for _, name := range variables {
		e.wrong[name] = true
	}
	e.errs = append(e.errs, err)
}

// Parse returns what parse makes of a variable, which is empty if it is not set.
func Parse[T any](e *Env, name string, parse func(string) (T, error)) T {
	v, err := parse(e.getenv(name))
	e.Check(err, name)
	return v
}

// Optional returns a variable that may be unset or empty.
func (e *Env) Optional(name string) string { return e.getenv(name) }

// Require returns a variable that the function cannot start without.
func (e *Env) Require(name string) string { return Parse(e, name, require) }

// RequireURL returns a variable that must be an http or https address.
func (e *Env) RequireURL(name string) string { return Parse(e, name, requireURL) }

// RequireRole returns a variable that must be the ARN of a role.
func (e *Env) RequireRole(name string) string { return Parse(e, name, requireRole) }

// Read returns what read makes of several variables. awsenv.Config is such a function: this package does not import it,
// so that a function without an AWS client does not link the SDK.
func Read[T any](e *Env, read func(getenv func(name string) string) (T, error)) T {
	v, err := read(e.getenv)
	e.Check(err)
	return v
}

// Log returns the logger of the function, which writes JSON lines to standard output.
func (e *Env) Log() *slog.Logger { return slog.New(slog.NewJSONHandler(os.Stdout, nil)) }

// Monitor returns the monitor of the function, which writes to standard output and reports lost metrics to log.
func (e *Env) Monitor(log *slog.Logger) *monitor.Monitor {
	return monitor.New(os.Stdout, cmp.Or(e.getenv("AWS_LAMBDA_FUNCTION_NAME"), e.function), log)
}

func require(text string) (string, error) {
	if text == "" {
		return "", errors.New("the environment variable is not set")
	}
	return text, nil
}

func requireURL(text string) (string, error) {
	if text == "" {
		return require(text)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("%q is not an address that begins with https://", text)
	}
	return text, nil
}

func requireRole(text string) (string, error) {
	if text == "" {
		return require(text)
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return "", fmt.Errorf("%q is not the ARN of a role, arn:aws:iam::<account>:role/<name>", text)
	}
	return text, nil
}

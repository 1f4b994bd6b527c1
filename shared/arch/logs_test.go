package arch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// logRule keeps log lines searchable: the message is a string literal, values are attributes, and an error is passed as
// itself under the key "err".
func logRule(tr tree) []string {
	var found []string
	logger := regexp.MustCompile(`^(?i:log|logger|slog)$`)
	level := regexp.MustCompile(`^(Debug|Info|Warn|Error)(Context)?$`)
	for _, f := range tr.files {
		if f.test() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !level.MatchString(method.Sel.Name) || !logger.MatchString(lastName(method.X)) {
				return true
			}
			args := call.Args
			if strings.HasSuffix(method.Sel.Name, "Context") {
				args = args[1:]
			}
			found = append(found, logLine(f, args)...)
			return true
		})
	}
	return found
}

// lastName returns the last name of an expression: log in h.log, "" of a call.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// logLine checks a message and its attributes.
func logLine(f file, args []ast.Expr) (found []string) {
	if len(args) == 0 {
		return nil
	}
	if l, ok := args[0].(*ast.BasicLit); !ok || l.Kind != token.STRING {
		found = append(found,
			f.at(args[0])+": a log message is a string literal that names the operation: make the value an attribute")
	}
	for i := 1; i+1 < len(args); i += 2 {
		key, ok := args[i].(*ast.BasicLit)
		if !ok {
			return found
		}
		name, err := strconv.Unquote(key.Value)
		if err != nil {
			continue
		}
		value := args[i+1]
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 0 && lastName(call.Fun) == "Error" {
			found = append(found,
				fmt.Sprintf(`%s: the attribute %q is an error's text: pass the error itself, as "err"`, f.at(value),
					name))
		} else if strings.HasPrefix(strings.ToLower(lastName(value)), "err") && name != "err" {
			found = append(found, fmt.Sprintf(`%s: the attribute %q is an error: call it "err"`, f.at(value), name))
		}
	}
	return found
}

func TestLogs_ConstantMessages(t *testing.T) {
	in := func(line string) string {
		return "-- functions/x/a.go --\npackage main\nfunc f() { " + line + " }\n"
	}
	enforce(t, logRule, map[string]string{
		"a log message is a string literal": in("h.log.WarnContext(ctx, what)"),
		"make the value an attribute":       in(`log.Error("run " + id)`),
		`"reason" is an error's text`:       in(`log.Info("run", "reason", err.Error())`),
		`"error" is an error`:               in(`h.log.ErrorContext(ctx, "run", "n", 1, "error", err)`),
	})
}

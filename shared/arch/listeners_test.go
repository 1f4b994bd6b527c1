package arch_test

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// listenerHome is the only folder that may listen: a guard against web pages precedes everything that it serves.
const listenerHome = "infra/local/loopback"

// listening returns the names with which a program can listen or serve, with the paths of their packages.
func listening() map[string]bool {
	names := map[string]bool{}
	for _, name := range []string{"net.Listen", "net.ListenTCP", "net.ListenUnix", "net.ListenUDP", "net.ListenPacket",
		"net.ListenIP",
		"net.ListenUnixgram", "net.ListenMulticastUDP", "net.FileListener", "net.FilePacketConn", "net.ListenConfig",
		"net/http.Server", "net/http.Serve", "net/http.ServeTLS", "net/http.ListenAndServe",
		"net/http.ListenAndServeTLS",
		"crypto/tls.Listen", "crypto/tls.NewListener", "net/http/httptest.NewServer", "net/http/httptest.NewTLSServer",
		"net/http/httptest.NewUnstartedServer", "net/http/httptest.Server", "syscall.Listen", "syscall.Bind",
		"net/http/fcgi.Serve", "net/rpc.Accept"} {
		names[name] = true
	}
	return names
}

// listenerRule keeps every listener behind the guard. Tests may listen: their servers live as long as a test.
func listenerRule(tr tree) []string {
	var found []string
	names := listening()
	for _, f := range tr.files {
		if f.test() || f.dir() == listenerHome || testHelp(f) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && names[f.importOf(x.Name)+"."+s.Sel.Name] {
					found = append(found, fmt.Sprintf("%s: %s.%s: listen with %s, whose guard keeps web pages out",
						f.at(s), x.Name, s.Sel.Name, listenerHome))
				}
			}
			return true
		})
	}
	return found
}

// testHelp reports whether a file belongs to a test: its package takes a testing.TB, or is a package for tests.
func testHelp(f file) bool {
	pkg, inShared := strings.CutPrefix(f.dir(), "shared/")
	return inShared && under(pkg, testOnly())
}

func TestListeners_Guard(t *testing.T) {
	enforce(t, listenerRule, map[string]string{
		"infra/local/oidc/a.go:3: net.Listen": "-- infra/local/oidc/a.go --\npackage oidc\nimport \"net\"\nfunc f() " +
			"{ _, _ = net.Listen(\"tcp\", \"127.0.0.1:0\") }\n",
		"http.Server": "-- infra/cli/chat/a.go --\npackage main\nimport \"net/http\"\nfunc " +
			"f() { _ = &http.Server{} }\n",
		"web.Serve": "-- infra/local/a.go --\npackage main\nimport web \"net/http\"\nfunc " +
			"f() { _ = web.Serve(nil, nil) }\n",
		"net.ListenConfig": "-- functions/turn/a.go --\npackage main\nimport \"net\"\nfunc f() { " +
			"var c net.ListenConfig; _ = c }\n",
	})
}

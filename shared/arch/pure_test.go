package arch_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// pure returns the packages that tools and agents may import. They compute: none opens a file or a connection, starts
// a process, reads the environment, or reveals credentials.
func pure() []string {
	return []string{
		"bytes", "cmp", "context", "embed", "encoding/base32", "encoding/base64", "encoding/binary", "encoding/csv",
		"encoding/hex", "encoding/json",
		"encoding/xml", "errors", "fmt", "crypto/hmac", "crypto/rand", "crypto/sha256", "crypto/sha512", "hash",
		"hash/crc32", "hash/fnv", "hash/maphash",
		"html", "io", "iter", "maps", "math", "math/big", "math/bits", "math/cmplx", "math/rand/v2", "path", "regexp",
		"slices", "sort", "strconv", "strings", "sync",
		"sync/atomic", "time", "time/tzdata", "unicode", "unicode/utf16", "unicode/utf8",
	}
}

// besides returns further imports of packages that tools and agents use. These packages do not pass them on.
func besides() map[string][]string {
	return map[string][]string{
		"shared/engine":             {"runtime/debug"},                       // the stack of a panic, for the log
		"shared/agent":              {"go.yaml.in/yaml/v3", "io/fs", "path"}, // the files are embedded ones
		"shared/chars":              {"github.com/clipperhouse/uax29/v2/graphemes"},
		"shared/sametext":           {"golang.org/x/text/unicode/norm"},
		"shared/usercontext":        {"runtime", "runtime/metrics"}, // the size of the heap
		"shared/tool":               {"github.com/google/jsonschema-go/jsonschema"},
		"shared/internal/principal": {"log/slog"}, // how a user is logged: as a hash
		// the network, behind a guard that refuses private addresses
		"shared/tool/internal/guardedhttp": {"mime", "net", "net/http", "net/netip", "net/url", "syscall"},
	}
}

// printing returns the functions of fmt that write to the process's own output, which holds the log and the metrics.
func printing() []string {
	return []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}
}

// sandboxed reports whether a folder holds tools or agents.
func sandboxed(dir string) bool {
	return ofTools(dir) || dir == "agents" || strings.HasPrefix(dir, "agents/")
}

// reached returns the folders of this module's packages that tools and agents import, directly or indirectly.
func reached(tr tree) map[string]bool {
	found := map[string]bool{}
	for more := true; more; {
		more = false
		for _, f := range tr.files {
			if f.test() || !found[f.dir()] && !sandboxed(f.dir()) {
				continue
			}
			for _, imp := range f.imports() {
				if ours, ok := strings.CutPrefix(imp, module+"/"); ok && !found[ours] {
					found[ours], more = true, true
				}
			}
		}
	}
	return found
}

// pureRule keeps tools and agents away from the machine that they run on. The packages of this module that they import
// keep the rule too, so that none passes on a refused package.
func pureRule(tr tree) []string {
	var found []string
	reach := reached(tr)
	for _, f := range tr.files {
		if f.test() || !reach[f.dir()] && !sandboxed(f.dir()) {
			continue
		}
		may := slices.Concat(pure(), besides()[f.dir()])
		for _, imp := range f.imports() {
			if !strings.HasPrefix(imp, module+"/") && !slices.Contains(may, imp) {
				found = append(found,
					fmt.Sprintf("%s imports %s: tools and agents compute, and reach all else through an interface of "+
						"their "+
						"own from "+
						"functions/turn. If %s only computes, add it to the list in shared/arch/pure_test.go", f.path,
						imp,
						imp))
			}
		}
		found = append(found, prints(f)...)
	}
	return found
}

// prints returns the places of a file that write to the process's output.
func prints(f file) (found []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && f.importOf(x.Name) == "fmt" && slices.Contains(printing(), n.Sel.Name) {
				found = append(found, fmt.Sprintf("%s: fmt.%s: the output is the log and the metrics of the function",
					f.at(n), n.Sel.Name))
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok && (x.Name == "print" || x.Name == "println") {
				found = append(found, fmt.Sprintf("%s: %s: the output is the log and the metrics of the function",
					f.at(n), x.Name))
			}
		}
		return true
	})
	return found
}

func TestTools_PureImports(t *testing.T) {
	a := func(dir, imports, body string) string {
		return "-- " + dir + "/a.go --\npackage " + path.Base(dir) + "\n" + imports + "\n" + body + "\n"
	}
	violations := map[string]string{
		"fmt.Println: the output": a("shared/tool/diary", `import "fmt"`,
			"func f() { fmt.Println(`{\"_aws\": {}}`) }"),
		"a.go:3: println: the output": a("agents", "", "func f() { println(`x`) }"),
		"shared/util/a.go imports os: tools": a("shared/util", `import "os"`, "var Open = os.Open") +
			a("agents/own", `import "carrel/shared/util"`, "var open = util.Open"),
		"shared/far/a.go imports syscall:": a("shared/far", `import "syscall"`, "var Kill = syscall.Kill") +
			a("shared/near", `import "carrel/shared/far"`, "var Kill = far.Kill") +
			a("shared/tool/diary", `import "carrel/shared/near"`, ""),
	}
	for _, imp := range []string{"os", "os/exec", "os/signal", "net", "net/http", "net/url", "syscall", "unsafe",
		"reflect", "runtime", "runtime/debug", "plugin", "C",
		"log", "log/slog", "io/fs", "path/filepath", "text/template", "testing", "golang.org/x/sys/unix",
		"github.com/aws/aws-sdk-go-v2/config"} {
		for _, dir := range []string{"shared/tool/diary", "agents", "agents/own"} {
			violations[dir+"/a.go imports "+imp+": tools"] = a(dir, `import _ "`+imp+`"`, "")
		}
	}
	enforce(t, pureRule, violations)
	tr := repository(t)
	reach := reached(tr)
	for _, dir := range slices.Sorted(maps.Keys(besides())) {
		for _, imp := range besides()[dir] {
			imports := func(f file) bool {
				return f.dir() == dir && !f.test() && slices.Contains(f.imports(), imp)
			}
			if !reach[dir] && !sandboxed(dir) || !slices.ContainsFunc(tr.files, imports) {
				t.Errorf("no tool or agent reaches an import of %s by %s: remove it from the list", imp, dir)
			}
		}
	}
}

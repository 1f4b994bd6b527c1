package arch_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// allowed lists the imports of a package's files; tests may import more.
type allowed struct {
	ours    []string // below shared/
	outside []string // module or package paths, and everything below them
}

const awsSDK = "github.com/aws/aws-sdk-go-v2"

// table is the import rule: imports point down, and edges do not import each other. An entry also covers the packages
// below it that have no entry of their own.
func table() map[string]allowed {
	return map[string]allowed{
		"internal/principal": {},
		"visible":            {},
		"sametext":           {ours: []string{"visible"}, outside: []string{"golang.org/x/text/unicode/norm"}},
		"chat":               {ours: []string{"internal/principal"}},
		"chars":              {outside: []string{"github.com/clipperhouse/uax29/v2/graphemes"}},
		"agui":               {ours: []string{"chat", "chars"}},
		"wire":               {ours: []string{"chat", "chars", "agui", "visible"}},
		"bucket":             {},
		"parallel":           {},
		"runqueue":           {ours: []string{"bucket", "chat"}},
		"usercontext":        {ours: []string{"chat"}},
		"tool": {ours: []string{"chat", "chars", "agui", "usercontext", "visible", "sametext"},
			outside: []string{"github.com/google/jsonschema-go"}},
		"tool/mcp": {ours: []string{"agui", "chars", "chat", "usercontext", "visible"},
			outside: []string{"github.com/modelcontextprotocol/go-sdk", "go.yaml.in/yaml/v3"}},
		"catalog": {ours: []string{"tool"}},
		"engine":  {ours: []string{"chat", "chars", "agui", "usercontext", "tool", "visible"}},
		"agent":   {ours: []string{"chat", "engine", "tool"}, outside: []string{"go.yaml.in/yaml/v3"}},
		"model":   {ours: []string{"chars", "agui", "engine"}},
		"model/facts": {
			outside: []string{"go.yaml.in/yaml/v3"}},
		"model/bedrock": {ours: []string{"agui", "engine", "tool"},
			outside: []string{awsSDK + "/aws", awsSDK + "/service/bedrockruntime", "github.com/aws/smithy-go"}},
		"model/internal/secret": {
			outside: []string{awsSDK + "/aws"}},
		"model/models": {ours: []string{"engine"},
			outside: []string{awsSDK + "/aws"}},
		"monitor": {ours: []string{"chat"}},
		"client":  {ours: []string{"chat", "agui", "wire"}, outside: []string{"github.com/coder/websocket"}},
		"awsenv":  {outside: []string{awsSDK + "/aws", awsSDK + "/credentials"}},
		"boot":    {ours: []string{"chat", "monitor"}, outside: []string{"github.com/aws/aws-lambda-go"}},
		"store": {ours: []string{"chat", "agui", "parallel", "runqueue", "internal/principal"},
			outside: []string{awsSDK + "/aws", awsSDK + "/service/dynamodb", awsSDK +
				"/feature/dynamodb/attributevalue", "github.com/aws/smithy-go"}},
		"usercreds": {ours: []string{"chat", "store"}, outside: []string{awsSDK + "/aws", awsSDK +
			"/credentials/stscreds", awsSDK + "/service/sts"}},
		"lasthop": {ours: []string{"chat", "wire"}},
		"gateway": {ours: []string{"chat", "wire", "internal/principal"},
			outside: []string{"github.com/aws/aws-lambda-go"}},
		"gateway/invoke": {ours: []string{"chat", "gateway"},
			outside: []string{awsSDK + "/aws", awsSDK + "/service/lambda"}},
		"gateway/post": {ours: []string{"chat", "lasthop"},
			outside: []string{awsSDK + "/aws", awsSDK + "/service/apigatewaymanagementapi"}},
		"emit":  {ours: []string{"chat", "chars", "agui", "wire", "lasthop", "usercontext"}},
		"token": {ours: []string{"chat"}, outside: []string{"github.com/coreos/go-oidc/v3"}},
		"arch":  {},
	}
}

// testOnly returns the packages for tests: they take a testing.TB and may import anything, and only tests import them.
func testOnly() []string {
	return []string{"campaign", "chat/chattest", "gateway/gatewaytest", "lasthop/lasthoptest", "model/modeltest",
		"store/storetest",
		"tool/tooltest",
		"usercontext/walktest",
		"wire/wiretest"}
}

// makers returns the files that may import internal/principal: the vocabulary, and the places where a chat.User is
// made.
func makers() []string {
	return []string{
		"shared/chat/chat.go",
		"shared/chat/chattest/chattest.go",
		"shared/gateway/authorizer.go",
		"shared/gateway/gateway.go",
		"shared/store/owner.go",
	}
}

func entry(pkg string) (allowed, bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		if a, ok := table()[p]; ok {
			return a, true
		}
	}
	return allowed{}, false
}

func under(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return p == r || strings.HasPrefix(p, r+"/") })
}

func importRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		for _, imp := range f.imports() {
			if why := refused(f, imp); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", f.path, imp, why))
			}
		}
	}
	return found
}

// refused returns why a file may not import a path, or "".
func refused(f file, imp string) string {
	pkg, inShared := strings.CutPrefix(f.dir(), "shared/")
	local, ours := strings.CutPrefix(imp, module+"/")
	sharedPkg, ofShared := strings.CutPrefix(local, "shared/")
	standard := !strings.Contains(strings.Split(imp, "/")[0], ".") && !ours
	switch {
	case strings.HasPrefix(local, "functions/") && ours:
		return "nothing is imported from functions/"
	case f.test() || under(pkg, testOnly()):
		return ""
	case ofShared && under(sharedPkg, testOnly()):
		return "only tests may"
	case !inShared:
		if strings.HasPrefix(local, "infra/") && !strings.HasPrefix(f.path, "infra/") {
			return "only infra/ may"
		}
		if under(local, []string{"agents/own"}) && !under(f.dir(), []string{"agents/own", "functions/turn", "infra"}) {
			return "only functions/turn may: the others check the tools' names and link no tool"
		}
		return functionImport(f, imp)
	case standard:
		return ""
	}
	a, ok := entry(pkg)
	switch {
	case !ok:
		return "its package is not in the table of shared/arch"
	case ofShared && (slices.Contains(a.ours, sharedPkg) || parent(sharedPkg) == parent(pkg) &&
		strings.Contains(pkg, "/")):
		return ""
	case ofShared && strings.HasPrefix(pkg, sharedPkg+"/"):
		return "" // a sub-package may use the package that it belongs to
	case !ours && under(imp, a.outside):
		return ""
	}
	return "the table of shared/arch does not allow it"
}

func parent(pkg string) string { return strings.Split(pkg, "/")[0] }

// functionImport keeps AWS clients out of functions/: packages of shared/ make them.
func functionImport(f file, imp string) string {
	if strings.HasPrefix(f.path, "functions/") && strings.HasPrefix(imp, awsSDK+"/service/") {
		return "AWS clients belong to store, usercreds, gateway/post and gateway/invoke"
	}
	return ""
}

func TestImports_Table(t *testing.T) {
	enforce(t, importRule, map[string]string{
		"shared/chat/a.go imports carrel/shared/wire": "-- shared/chat/a.go --\npackage chat\nimport _ " +
			"\"carrel/shared/wire\"\n",
		"shared/emit/a.go imports carrel/shared/store": "-- shared/emit/a.go --\npackage emit\nimport _ " +
			"\"carrel/shared/store\"\n",
		"is not in the table": "-- shared/util/a.go --\npackage util\nimport _ " +
			"\"carrel/shared/chat\"\n",
		"only infra/ may": "-- functions/turn/a.go --\npackage main\nimport _ " +
			"\"carrel/infra/local/oidc\"\n",
		"nothing is imported from functions/": "-- shared/wire/a.go --\npackage wire\nimport _ " +
			"\"carrel/functions/turn\"\n",
		"only functions/turn may": "-- functions/message/a.go --\npackage main\nimport _ " +
			"\"carrel/agents/own\"\n",
		"only tests may": "-- shared/store/a.go --\npackage store\nimport _ " +
			"\"carrel/shared/chat/chattest\"\n",
		"AWS clients belong": "-- functions/turn/a.go --\npackage main\nimport _ \"" +
			awsSDK + "/service/sts\"\n",
		"shared/agui/a.go imports github.com/coder/websocket": "-- shared/agui/a.go --\npackage agui\nimport _ " +
			"\"github.com/coder/websocket\"\n",
	})
}

func makerRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		if slices.Contains(f.imports(), module+"/shared/internal/principal") && !slices.Contains(makers(), f.path) &&
			f.dir() != "shared/internal/principal" {
			found = append(found, f.path+" imports internal/principal: only the edge makes users")
		}
	}
	return found
}

func TestUsers_Makers(t *testing.T) {
	t.Attr("row", "B1: users are made in named files only")
	enforce(t, makerRule, map[string]string{
		"shared/gateway/other.go": "-- shared/gateway/other.go --\npackage gateway\nimport _ " +
			"\"carrel/shared/internal/principal\"\n",
		"shared/tool/a_test.go": "-- shared/tool/a_test.go --\npackage tool\nimport _ " +
			"\"carrel/shared/internal/principal\"\n",
	})
}

func TestImports_StaleEntries(t *testing.T) {
	tr := repository(t)
	dirs, imported, makersSeen := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range tr.files {
		dirs[f.dir()] = true
		for _, imp := range f.imports() {
			makersSeen[f.path] = makersSeen[f.path] || strings.HasSuffix(imp, "/internal/principal")
			for p := f.dir(); p != "." && !f.test() && !under(strings.TrimPrefix(f.dir(), "shared/"),
				testOnly()); p = path.Dir(p) {
				imported[p+" "+imp] = true
			}
		}
	}
	used := func(pkg, imp string) bool {
		for k := range imported {
			if strings.HasPrefix(k, "shared/"+pkg+" "+imp) {
				return true
			}
		}
		return false
	}
	for pkg, a := range table() {
		if !dirs["shared/"+pkg] && !used(pkg, "") {
			t.Errorf("the table lists shared/%s, which does not exist", pkg)
		}
		for _, o := range a.ours {
			if !imported["shared/"+pkg+" "+module+"/shared/"+o] {
				t.Errorf("the table allows shared/%s to import shared/%s, which it does not", pkg, o)
			}
		}
		for _, o := range a.outside {
			if !used(pkg, o) {
				t.Errorf("the table allows shared/%s to import %s, which it does not", pkg, o)
			}
		}
	}
	for _, pkg := range testOnly() {
		if !dirs["shared/"+pkg] {
			t.Errorf("shared/%s is listed for tests and does not exist", pkg)
		}
	}
	for _, m := range makers() {
		if !makersSeen[m] {
			t.Errorf("%s may import internal/principal and does not", m)
		}
	}
}

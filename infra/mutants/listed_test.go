package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// faults is the number of faults in docs/faults.md.
const faults = 49

// TestEveryFaultHasItsGuard compares docs/faults.md, the tests and the guards: each fault has a row, the row's test
// exists, and the test must notice the removal of some guard.
func TestEveryFaultHasItsGuard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOf(t, "infra/audit")
	rows := regexp.MustCompile("(?m)^\\| (\\d+) \\|.*`(Test\\w+)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) != faults {
		t.Errorf("docs/faults.md has %d rows of faults, want %d", len(rows), faults)
	}
	for i, row := range rows {
		number, name := i+1, row[2]
		if row[1] != strconv.Itoa(number) || !strings.HasPrefix(name, fmt.Sprintf("TestFault%02d", number)) {
			t.Errorf("row %d of docs/faults.md is %s with %s", number, row[1], name)
		}
		if _, err := tests.find(audit + " " + name); err != nil {
			t.Errorf("fault %d of docs/faults.md: %v", number, err)
		}
		guarded := false
		for _, g := range faultGuards() {
			guarded = guarded || strings.HasPrefix(g.name, fmt.Sprintf("fault %02d:", number)) &&
				g.test == audit+" "+name
		}
		if !guarded {
			t.Errorf("fault %d: no guard names the test %s", number, name)
		}
	}
}

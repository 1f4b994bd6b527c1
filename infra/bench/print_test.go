package bench_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestPrintTable prints the table of the raw lines and writes it beside them. The script run calls it after the
// benchmarks.
func TestPrintTable(t *testing.T) {
	needsTime(t)
	raw, err := os.ReadFile(rawFile())
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("nothing was measured for the table")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := table(raw)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s\nThe raw lines are in %s.\n", text, rawFile())
	if err := os.WriteFile(filepath.Join(filepath.Dir(rawFile()), "table.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
